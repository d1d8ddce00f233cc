"""Settings and markup in one place."""

from __future__ import annotations

from farebox import Farebox


def run(client: Farebox) -> None:
    """Settings and markup in one place."""
    tenant = client.tenant.get()
    print(tenant.name, tenant.mode)
