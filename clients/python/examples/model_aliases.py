"""Give a model a name of your own, and take it away again."""

from __future__ import annotations

from farebox import Farebox


def run(client: Farebox) -> None:
    """Give a model a name of your own, and take it away again."""
    given = client.model_aliases.create(alias="examples-fast", model="sim/sim-mini")
    print([f"{each.alias} -> {each.model}" for each in client.model_aliases.list()])
    client.model_aliases.delete(given.alias)
