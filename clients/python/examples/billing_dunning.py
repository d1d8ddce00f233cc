"""What happens to customers who do not pay."""

from __future__ import annotations

from farebox import Farebox


def run(client: Farebox) -> None:
    """What happens to customers who do not pay."""
    print(client.billing_dunning.get())
    print(list(client.billing_dunning.cases()))
