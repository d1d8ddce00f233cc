"""Which customer is whom at Stripe, as a list and as CSV."""

from __future__ import annotations

from farebox import Farebox


def run(client: Farebox) -> None:
    """Which customer is whom at Stripe, as a list and as CSV."""
    print([each.customer for each in client.billing_customer_maps.list()])
    print(client.billing_customer_maps.export().splitlines()[:1])
