"""The meters that usage is pushed to."""

from __future__ import annotations

from farebox import Farebox


def run(client: Farebox) -> None:
    """The meters that usage is pushed to."""
    print(list(client.billing_meters.list()))
