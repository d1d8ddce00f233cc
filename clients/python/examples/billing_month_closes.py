"""Months that were closed, and what did not add up then."""

from __future__ import annotations

from farebox import Farebox


def run(client: Farebox) -> None:
    """Months that were closed, and what did not add up then."""
    print(list(client.billing_month_closes.list()))
