"""Make a customer, change it, find it by your own id."""

from __future__ import annotations

from farebox import Farebox


def run(client: Farebox) -> None:
    """Make a customer, change it, find it by your own id."""
    customer = client.customers.create(
        external_id="examples-customers", name="Initech", metadata={"plan": "pro"}
    )
    client.customers.change(customer.id, markup_percent="25.00")
    found = client.customers.get_by_external_id("examples-customers")
    print(found.id, found.name, found.markup_percent)
