"""Who changed what, newest first."""

from __future__ import annotations

from itertools import islice

from farebox import Farebox


def run(client: Farebox) -> None:
    """Who changed what, newest first."""
    for entry in islice(client.audit_log.list(), 5):
        print(entry)
