"""Go through the newest calls; pages are fetched as they are needed."""

from __future__ import annotations

from itertools import islice

from farebox import Farebox


def run(client: Farebox) -> None:
    """Go through the newest calls; pages are fetched as they are needed."""
    for call in islice(client.requests.list(), 5):
        print(call.request_id, call.model, call.cost_usd)
