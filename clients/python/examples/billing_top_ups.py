"""Payments of customers who pay ahead."""

from __future__ import annotations

from farebox import Farebox


def run(client: Farebox) -> None:
    """Payments of customers who pay ahead."""
    print(list(client.billing_top_ups.list()))
