"""Forms about Stripe. What is acceptable, the actions decide."""

from __future__ import annotations

from typing import Any

from django import forms

from billing.stripe.keys import KEY_CHARS_MAX
from billing.stripe.objects import Meter

_PLAIN = {"autocomplete": "off", "spellcheck": "false"}
FILE_BYTES_MAX = 1_000_000


class StripeKeyForm(forms.Form):
    """A restricted key."""

    api_key = forms.CharField(
        label="Restricted key",
        max_length=KEY_CHARS_MAX,
        help_text="Tried at once, encrypted, and never shown again.",
        widget=forms.PasswordInput(attrs={**_PLAIN, "placeholder": "rk_…"}),
    )


class MeterForm(forms.Form):
    """A currency to set up."""

    currency = forms.RegexField(
        r"^[A-Za-z]{3}$", label="Currency", initial="usd",
        help_text="What these customers are invoiced in. One meter and one price each.",
        widget=forms.TextInput(attrs={**_PLAIN, "maxlength": "3"}),
    )  # fmt: skip
    meter_id = forms.ChoiceField(
        label="Meter", required=False, choices=[("", "Make one")],
        help_text="Only meters of your account that add values up can be used.",
    )  # fmt: skip

    def __init__(self, *args: Any, adoptable: list[Meter], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["meter_id"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [
            ("", "Make one"),
            *((each.id, f"Use {each.display_name} ({each.event_name})") for each in adoptable),
        ]

    def clean_currency(self) -> str:
        """Currencies are written small."""
        return str(self.cleaned_data["currency"]).lower()


class FindForm(forms.Form):
    """What to look for among Stripe's customers."""

    q = forms.CharField(
        label="Find at Stripe", required=False, max_length=200,
        help_text="A name, an e-mail address or an id (cus_…). Left empty: the newest.",
        widget=forms.TextInput(attrs=_PLAIN),
    )  # fmt: skip


class NewBuyerForm(forms.Form):
    """A customer to be made at Stripe."""

    email = forms.EmailField(
        label="E-mail for invoices", required=False, widget=forms.EmailInput(attrs={"autocomplete": "off"})
    )


class MapsFileForm(forms.Form):
    """A file of mappings."""

    file = forms.FileField(
        label="CSV file",
        help_text="Columns external_id and stripe_customer_id, up to 200 lines. Each is checked at Stripe.",
        widget=forms.ClearableFileInput(attrs={"accept": ".csv,text/csv"}),
    )

    def clean_file(self) -> str:
        """Read the file as text."""
        upload = self.cleaned_data["file"]
        if upload.size > FILE_BYTES_MAX:
            raise forms.ValidationError(f"The file has {upload.size} bytes, more than {FILE_BYTES_MAX}.")
        try:
            return str(upload.read().decode("utf-8-sig"))
        except UnicodeDecodeError:
            raise forms.ValidationError("The file is not UTF-8.") from None
