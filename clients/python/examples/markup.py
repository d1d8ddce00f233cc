"""Charge customers a fifth more than calls cost."""

from __future__ import annotations

from farebox import Farebox


def run(client: Farebox) -> None:
    """Charge customers a fifth more than calls cost."""
    before = client.markup.get()
    client.markup.put(markup_percent="20.00")
    print(client.markup.get().markup_percent)
    client.markup.put(markup_percent=before.markup_percent or "0")
