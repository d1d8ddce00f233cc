"""Forms over the books."""

from __future__ import annotations

from typing import Any

from django import forms

from billing.ledger.resolving import REASON_CHARS_MAX, RESOLVED_NANOUSD_MAX
from metering.money import NanoUsd, format_usd
from tenants.portal.forms import UsdField

NOTHING = "nothing"
KNOWN = "known"


class ResolveForm(forms.Form):
    """What unresolved calls really cost."""

    how = forms.ChoiceField(
        label="What did the provider bill?",
        choices=[(NOTHING, "Nothing: it did not bill these calls"), (KNOWN, "A known cost per call")],
        widget=forms.RadioSelect,
        initial=NOTHING,
    )
    cost_usd = UsdField(
        label="Cost per call in dollars",
        required=False,
        help_text="What the provider charges you for each; the customer's charge follows by its markup.",
    )
    reason = forms.CharField(
        label="How do you know?",
        max_length=REASON_CHARS_MAX,
        help_text="For example the provider's bill and its date; it stands in the audit log beside your name.",
    )

    def clean(self) -> dict[str, Any] | None:
        """A known cost must be given and not be negative."""
        given = super().clean() or self.cleaned_data
        cost = given.get("cost_usd")
        if given.get("how") == KNOWN and "cost_usd" not in self.errors:
            if cost is None:
                self.add_error("cost_usd", "Write what the provider bills for one such call.")
            elif cost < 0:
                self.add_error("cost_usd", "A cost is never negative.")
            elif cost > RESOLVED_NANOUSD_MAX:
                self.add_error("cost_usd", f"One call costs at most ${format_usd(RESOLVED_NANOUSD_MAX)}.")
        return given

    @property
    def cost_nanousd(self) -> NanoUsd:
        """What each call is to have cost."""
        return NanoUsd(0) if self.cleaned_data["how"] == NOTHING else NanoUsd(self.cleaned_data["cost_usd"])
