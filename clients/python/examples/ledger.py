"""Find what is unresolved and say what it cost; one answer for each row."""

from __future__ import annotations

from itertools import islice

from farebox import Farebox, NotFound


def run(client: Farebox) -> None:
    """Find what is unresolved and say what it cost; one answer for each row."""
    waiting = list(islice(client.ledger.list(basis="unresolved", resolved=False), 100))
    items = [{"event": row.event_id, "as": "nothing"} for row in waiting]
    if items:
        print(client.ledger.resolve_many(reason="the provider's bill has none of them", items=items).resolved)
    try:
        client.ledger.resolve(
            "00000000000000000000000000.expired.0", as_="nothing", reason="there is no such row"
        )
    except NotFound as error:
        print(error.code)
