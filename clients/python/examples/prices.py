"""Set a model's price in dollars per million tokens and read the one in force."""

from __future__ import annotations

from decimal import Decimal

from farebox import Farebox


def run(client: Farebox) -> None:
    """Set a model's price in dollars per million tokens and read the one in force."""
    client.prices.put("openai", "examples-model", input_usd_per_mtok="0.15", output_usd_per_mtok="0.60")
    price = client.prices.get("openai", "examples-model")
    print(price.input_usd_per_mtok, price.output_usd_per_mtok)
    assert price.input_usd_per_mtok == Decimal("0.15")
