"""What customers brought in above what they cost, by model."""

from __future__ import annotations

from farebox import Farebox


def run(client: Farebox) -> None:
    """What customers brought in above what they cost, by model."""
    for group in client.margin.read(group_by="model"):
        print(group)
