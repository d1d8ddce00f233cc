"""Hours in which Stripe's books and ours differ."""

from __future__ import annotations

from itertools import islice

from farebox import Farebox


def run(client: Farebox) -> None:
    """Hours in which Stripe's books and ours differ."""
    print(list(islice(client.billing_reconciliation.list(state="differing"), 5)))
