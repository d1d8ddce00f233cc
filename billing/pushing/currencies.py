"""What a currency's minor unit is, and how few of them a price may be of.

Source: Stripe's page on supported currencies (zero-decimal and three-decimal ones), read November 2026. Amounts of
three-decimal currencies must be multiples of ten minor units there. All others have two decimals.
"""

from __future__ import annotations

USD = "usd"
# Ugandan shillings and Icelandic krónur count as two at Stripe.
_ZERO_DECIMALS = frozenset({
    "bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf",
})  # fmt: skip
_THREE_DECIMALS = frozenset({"bhd", "jod", "kwd", "omr", "tnd"})


def minor_digits(currency: str) -> int:
    """Say how many decimals a currency's minor unit has (lower-case ISO code)."""
    if currency in _ZERO_DECIMALS:
        return 0
    return 3 if currency in _THREE_DECIMALS else 2


def unit_minor_of(currency: str) -> int:
    """Say how many minor units one pushed unit is worth unless a meter says otherwise: 1 cent, 1 yen, 10 fils."""
    return 10 if currency in _THREE_DECIMALS else 1


def minor_text(amount_minor: int, currency: str) -> str:
    """Write an amount of a currency's minor units exactly: ``12.34 USD``."""
    digits = minor_digits(currency)
    whole, fraction = divmod(abs(amount_minor), 10**digits)
    text = f"{whole}.{fraction:0{digits}d}" if digits else str(whole)
    return f"{'-' if amount_minor < 0 else ''}{text} {currency.upper()}"
