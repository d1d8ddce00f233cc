"""A customer's credit: what was paid in and what is left."""

from __future__ import annotations

from farebox import ApiError, Farebox


def run(client: Farebox) -> None:
    """A customer's credit: what was paid in and what is left."""
    customer = client.customers.create(external_id="examples-prepaid")
    try:
        print(client.billing_prepaid.get(customer.id))
    except ApiError as error:
        print(error.status, error.code)
