"""Whether there is a connection to Stripe."""

from __future__ import annotations

from farebox import ApiError, Farebox


def run(client: Farebox) -> None:
    """Whether there is a connection to Stripe."""
    try:
        print(client.billing_connection.get())
    except ApiError as error:
        print(error.status, error.code)
