"""Give a customer a key, rotate it with an hour's overlap, revoke it."""

from __future__ import annotations

from farebox import Farebox


def run(client: Farebox) -> None:
    """Give a customer a key, rotate it with an hour's overlap, revoke it."""
    customer = client.customers.create(external_id="examples-keys")
    issued = client.keys.create(customer=customer.id, name="production")
    print("shown once:", issued.key[:12], "…")
    client.keys.rotate(issued.id, overlap_seconds=3600)
    print(client.keys.revoke(issued.id).state)
