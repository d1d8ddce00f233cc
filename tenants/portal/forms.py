"""Forms: from what people type to the types that actions take. What is acceptable, the actions decide."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.contrib.auth import password_validation

from metering.errors import MoneyError
from metering.money import NanoUsd, parse_usd
from tenants import providers
from tenants.models import Budget, Member, ProviderAccount

WINDOW_NAMES = {
    "month": "Calendar month",
    "day": "Day",
    "week": "Week (from Monday)",
    "anniversary": "Month from a day of yours",
    "total": "Total, never renewed (prepaid)",
}
EXHAUSTION_NAMES = {
    "refuse": "Refuse a call whose whole quote does not fit",
    "clamp": "Shorten the answer to what still fits, then refuse",
}
MEASURE_NAMES = {
    "charge": "Charge (what the customer is billed)",
    "cost": "Cost (what the provider charges us)",
}
OTHER_PROVIDER = "other"
PROVIDER_NAMES = {name: provider.title for name, provider in providers.KNOWN.items()}


class UsdField(forms.Field):
    """A dollar amount as people type it; its value is nano-dollars, exact."""

    def __init__(self, **kwargs: Any) -> None:
        attrs = {
            "inputmode": "decimal",
            "autocomplete": "off",
            "placeholder": "50.00",
            "class": "usd",
            "maxlength": "30",
        }
        super().__init__(widget=forms.TextInput(attrs=attrs), **kwargs)

    def to_python(self, value: Any) -> NanoUsd | None:
        """Read dollars; a sign in front and thousands separators are let pass."""
        text = str(value or "").strip()
        if not text:
            return None
        try:
            return parse_usd(text.replace("$", "").replace(",", ""))
        except MoneyError:
            raise forms.ValidationError(
                "Write an amount in dollars such as 50 or 0.25, with at most nine decimals."
            ) from None


class CustomerForm(forms.Form):
    """A customer's own data."""

    external_id = forms.CharField(
        label="Your id for this customer",
        max_length=200,
        help_text="The id in your own system. It never changes, and server keys name the customer by it.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "placeholder": "acme-1"}),
    )
    name = forms.CharField(
        label="Name", max_length=200, required=False, widget=forms.TextInput(attrs={"autocomplete": "off"})
    )


class BudgetForm(forms.Form):
    """What a budget allows."""

    limit_usd = UsdField(label="Limit in dollars")
    window = forms.ChoiceField(label="Per", choices=list(WINDOW_NAMES.items()), initial="month")
    anchor_day = forms.IntegerField(
        label="Day it begins",
        min_value=1,
        max_value=31,
        initial=1,
        required=False,
        help_text="Only for a month from a day of yours; in a short month it begins on the last day.",
    )
    on_exhaustion = forms.ChoiceField(
        label="When it runs low", choices=list(EXHAUSTION_NAMES.items()), initial="refuse"
    )

    def clean_anchor_day(self) -> int:
        """Left empty it is the first."""
        return int(self.cleaned_data.get("anchor_day") or 1)


class OpenCustomerForm(BudgetForm, CustomerForm):
    """A customer with its budget and its first key, in one step."""

    field_order = ["external_id", "name", "limit_usd", "window", "anchor_day", "on_exhaustion"]


class NewBudgetForm(BudgetForm):
    """A further budget."""

    measure = forms.ChoiceField(label="Counts", choices=list(MEASURE_NAMES.items()), initial="charge")
    field_order = ["limit_usd", "window", "anchor_day", "measure", "on_exhaustion"]


class LimitForm(forms.Form):
    """Another limit."""

    limit_usd = UsdField(label="New limit in dollars")


class KeyForm(forms.Form):
    """A key's name."""

    name = forms.CharField(
        label="Name of the new key",
        max_length=200,
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "off", "placeholder": "production"}),
    )


class TenantKeyForm(KeyForm):
    """A key that stands for the tenant itself."""

    kind = forms.ChoiceField(
        label="Kind",
        choices=[
            ("server", "Server key: makes calls, names the customer per call"),
            ("api", "API key: manages Farebox, makes no calls"),
        ],
    )
    field_order = ["kind", "name"]


class AccountForm(forms.Form):
    """A provider account."""

    provider = forms.ChoiceField(label="Provider")
    name = forms.SlugField(
        label="Name",
        max_length=60,
        initial="main",
        help_text="Calls may name it in front of a model, as in main/gpt-4o-mini.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    other_name = forms.CharField(
        label="Provider's name",
        max_length=40,
        required=False,
        help_text="Only for another OpenAI-compatible server: the name its prices are kept under.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    base_url = forms.CharField(
        label="Base URL",
        max_length=500,
        required=False,
        help_text="What the provider's own client would take. Left empty: the provider's public address.",
        widget=forms.URLInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    api_key = forms.CharField(
        label="The provider's API key",
        max_length=4096,
        help_text="Encrypted at once and never shown again.",
        widget=forms.PasswordInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    counts_exactly = forms.BooleanField(
        label="Ask for exact counts",
        required=False,
        help_text="Before each quote the provider counts the prompt for free, where it can. Quotes get tighter, calls "
        "start a little later.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        first = [providers.KNOWN[name] for name in ("openai", "anthropic", "google")]
        others = sorted(providers.KNOWN.values(), key=lambda each: each.title.casefold())
        ordered = [*first, *(each for each in others if each not in first)]
        self.known = ordered
        choices = [(each.provider_id, each.title) for each in ordered]
        field = self.fields["provider"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [*choices, (OTHER_PROVIDER, "Another OpenAI-compatible server")]
        field.widget.attrs["data-base-urls"] = json.dumps(
            {each.provider_id: each.base_url for each in ordered}
        )

    def clean(self) -> dict[str, Any] | None:
        """Another server needs a name and an address."""
        given = super().clean() or self.cleaned_data
        if given.get("provider") == OTHER_PROVIDER:
            for field in ("other_name", "base_url"):
                if not given.get(field):
                    self.add_error(field, "Needed for a server that we do not know.")
        known = providers.find(str(given.get("provider")))
        if known and not known.base_url and not given.get("base_url"):
            self.add_error(
                "base_url", f"{known.title} has an address of yours, as in {known.base_url_example}"
            )
        return given

    @property
    def provider_id(self) -> str:
        """The provider that was meant."""
        chosen = str(self.cleaned_data["provider"])
        return str(self.cleaned_data["other_name"]) if chosen == OTHER_PROVIDER else chosen


class CredentialForm(forms.Form):
    """A new credential of an account, and with it perhaps another address."""

    base_url = forms.CharField(
        label="Base URL",
        max_length=500,
        widget=forms.URLInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    api_key = forms.CharField(
        label="New API key",
        max_length=4096,
        widget=forms.PasswordInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )


class RoleForm(forms.Form):
    """A member's role."""

    role = forms.ChoiceField(label="Role", choices=Member.Role.choices, initial=Member.Role.VIEWER)


class InviteForm(RoleForm):
    """Somebody to invite."""

    email = forms.EmailField(label="E-mail", widget=forms.EmailInput(attrs={"autocomplete": "off"}))
    field_order = ["email", "role"]


class AcceptForm(forms.Form):
    """The password that an invited person chooses."""

    password1 = forms.CharField(
        label="Choose a password",
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="At least ten characters.",
    )
    password2 = forms.CharField(
        label="The same again",
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )

    def clean(self) -> dict[str, Any] | None:
        """Both must be the same, and good enough."""
        given = super().clean() or self.cleaned_data
        first = given.get("password1")
        if first and first != given.get("password2"):
            self.add_error("password2", "The two are not the same.")
        elif first:
            try:
                password_validation.validate_password(first)
            except forms.ValidationError as error:
                self.add_error("password1", error)
        return given


def window_name(budget: Budget) -> str:
    """A budget's window in words."""
    names = {"day": "per day", "week": "per week", "month": "per month", "total": "in total"}
    return names.get(budget.window_kind, f"per month from day {budget.anchor_day}")


def dialect_name(account: ProviderAccount) -> str:
    """An account's provider in words."""
    return PROVIDER_NAMES.get(account.provider, account.provider)
