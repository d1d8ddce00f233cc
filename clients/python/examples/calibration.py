"""How far bounds and holds were from what providers reported."""

from __future__ import annotations

from farebox import Farebox


def run(client: Farebox) -> None:
    """How far bounds and holds were from what providers reported."""
    print(client.calibration.read(days=7))
