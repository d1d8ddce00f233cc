"""Sum what customers used by model and day."""

from __future__ import annotations

from farebox import Farebox


def run(client: Farebox) -> None:
    """Sum what customers used by model and day."""
    for group in client.usage.read(group_by="customer,model", interval="day"):
        print(group.more.get("customer"), group.more.get("model"), group.attempts, group.charge_usd)
