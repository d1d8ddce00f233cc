"""Read what holds for every call, and change the cap of answers nobody capped."""

from __future__ import annotations

from farebox import Farebox


def run(client: Farebox) -> None:
    """Read what holds for every call, and change the cap of answers nobody capped."""
    settings = client.settings.get()
    changed = client.settings.change(output_cap_plain=settings.output_cap_plain or 4096)
    print(changed.output_cap_plain, changed.pending)
