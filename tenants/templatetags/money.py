"""The one formatter of money on screens. Exact: what lies below a cent is written smaller, never dropped."""

from __future__ import annotations

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from metering.money import format_usd

register = template.Library()

CENT_PLACES = 2
# Below a cent as many places for all, so that points stand under points.
SMALL_PLACES = (6, 9)
UNKNOWN = "—"


@register.filter
def usd_text(amount_nanousd: int | None) -> str:
    """Write nano-dollars as plain text: ``$1,234.50``; a dash where nobody knows."""
    if amount_nanousd is None:
        return UNKNOWN
    sign, whole, fraction = _parts(amount_nanousd)
    return f"{sign}${whole}.{fraction}"


@register.filter
def usd(amount_nanousd: int | None) -> SafeString:
    """Write nano-dollars with what lies below a cent set apart, so that columns stay readable."""
    if amount_nanousd is None:
        return format_html('<span class="money unknown">{}</span>', UNKNOWN)
    sign, whole, fraction = _parts(amount_nanousd)
    cents, below = fraction[:CENT_PLACES], fraction[CENT_PLACES:]
    if not below:
        return format_html('<span class="money">{}${}.{}</span>', sign, whole, cents)
    return format_html('<span class="money">{}${}.{}<small>{}</small></span>', sign, whole, cents, below)


def _parts(amount_nanousd: int) -> tuple[str, str, str]:
    sign = "\N{MINUS SIGN}" if amount_nanousd < 0 else ""
    whole, _, fraction = format_usd(abs(amount_nanousd)).partition(".")
    if len(fraction) > CENT_PLACES:
        fraction = fraction.ljust(next(places for places in SMALL_PLACES if places >= len(fraction)), "0")
    return sign, f"{int(whole):,}", fraction
