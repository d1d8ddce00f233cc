"""Say what a dollar was worth on a day."""

from __future__ import annotations

from datetime import date

from farebox import Farebox


def run(client: Farebox) -> None:
    """Say what a dollar was worth on a day."""
    client.billing_exchange_rates.create(currency="eur", day=date(2026, 11, 2), rate="0.91")
    print([each.rate for each in client.billing_exchange_rates.list()])
