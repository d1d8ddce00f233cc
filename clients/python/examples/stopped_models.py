"""Models that overran their quotes too often, and how one is resumed."""

from __future__ import annotations

from farebox import Farebox


def run(client: Farebox) -> None:
    """Models that overran their quotes too often, and how one is resumed."""
    for stopped in client.stopped_models.list():
        print(client.stopped_models.resume(stopped.id))
