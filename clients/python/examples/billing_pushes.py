"""Where each push stands, and all of them summed."""

from __future__ import annotations

from itertools import islice

from farebox import Farebox


def run(client: Farebox) -> None:
    """Where each push stands, and all of them summed."""
    print([each.state for each in islice(client.billing_pushes.list(), 5)])
    print(client.billing_pushes.summary())
