"""How long names, tags and audit entries are kept."""

from __future__ import annotations

from farebox import Farebox


def run(client: Farebox) -> None:
    """How long names, tags and audit entries are kept."""
    print(client.retention.get())
