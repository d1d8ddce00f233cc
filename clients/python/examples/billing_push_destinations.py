"""Where usage is sent besides Stripe."""

from __future__ import annotations

from farebox import Farebox


def run(client: Farebox) -> None:
    """Where usage is sent besides Stripe."""
    print(list(client.billing_push_destinations.list()))
