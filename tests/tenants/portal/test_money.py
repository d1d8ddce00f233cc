from __future__ import annotations

import pytest

from tenants.templatetags.money import usd, usd_text


@pytest.mark.parametrize(
    ("amount_nanousd", "shown"),
    [
        (0, "$0.00"),
        (50_000_000_000, "$50.00"),
        (1_234_567_890_000_000, "$1,234,567.89"),
        (1_500_000, "$0.001500"),
        (1, "$0.000000001"),
        (-2_500_000_000, "\N{MINUS SIGN}$2.50"),
        (None, "—"),
    ],
)
def test_money_is_shown_exactly(amount_nanousd: int | None, shown: str) -> None:
    assert usd_text(amount_nanousd) == shown


def test_what_lies_below_a_cent_is_set_apart() -> None:
    assert usd(12_345_600_000) == '<span class="money">$12.34<small>5600</small></span>'
