"""Forms about credit and dunning. What is acceptable, the actions decide."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms

from billing.dunning.policies import REASONS
from billing.models import DunningPolicy
from metering.errors import MoneyError
from metering.money import format_usd, parse_usd

PRESETS_USD = ("10.00", "25.00", "50.00", "100.00")
_PLAIN = {"autocomplete": "off", "inputmode": "decimal", "maxlength": "30"}


class UsdField(forms.CharField):
    """Dollars as people write them, read exactly."""

    def clean(self, value: Any) -> int:
        """Read nano-dollars."""
        text = str(super().clean(value)).removeprefix("$")
        try:
            return int(parse_usd(text))
        except MoneyError:
            raise forms.ValidationError("Write an amount in dollars, such as 25.00.") from None


class AmountForm(forms.Form):
    """How much credit to buy."""

    amount_usd = UsdField(label="Amount in US dollars", widget=forms.TextInput(attrs=_PLAIN))


class LinkForm(forms.Form):
    """How long a link is to work."""

    days = forms.IntegerField(label="Days it works", initial=7, min_value=1, max_value=90)

    @property
    def lasts(self) -> timedelta:
        """The span chosen."""
        return timedelta(days=self.cleaned_data["days"])


class DunningForm(forms.Form):
    """What follows from each reason."""

    past_due = forms.ChoiceField(label="A payment is past due")
    unpaid = forms.ChoiceField(label="The subscription is unpaid")
    canceled = forms.ChoiceField(label="The subscription was canceled")
    disputed = forms.ChoiceField(label="A payment is disputed")
    throttle_requests_per_minute = forms.IntegerField(
        label="Calls a minute while throttled", min_value=1, help_text="Beside the customer's own limit."
    )
    cap_usd = UsdField(
        label="Further budget per month while capped, in dollars",
        help_text="Counts from when it is made. The customer's own budgets stay as they are.",
        widget=forms.TextInput(attrs=_PLAIN),
    )

    def __init__(self, *args: Any, policy: DunningPolicy, **kwargs: Any) -> None:
        given = {name: getattr(policy, name) for name in (*REASONS, "throttle_requests_per_minute")}
        kwargs["initial"] = {**given, "cap_usd": format_usd(policy.cap_nanousd)}
        super().__init__(*args, **kwargs)
        for reason in REASONS:
            field = self.fields[reason]
            assert isinstance(field, forms.ChoiceField)
            field.choices = DunningPolicy.Measure.choices

    @property
    def values(self) -> dict[str, Any]:
        """What was chosen, as the action takes it."""
        given = dict(self.cleaned_data)
        cap_nanousd = given.pop("cap_usd")
        return {**given, "cap_nanousd": cap_nanousd}
