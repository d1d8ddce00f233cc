"""What customers are billed for a period."""

from __future__ import annotations

from farebox import Farebox


def run(client: Farebox) -> None:
    """What customers are billed for a period."""
    print(client.billing_statements.read())
