"""One stack for all failure tests: two proxies, short leases, a zone whose midnight is near."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.chaos.traffic import Traffic
from tests.chaos.zones import midnight_in
from tests.evidence import compare
from tests.stack import Stack, running_stack

# Leases are short so that what a dead proxy held is swept while we watch; production's are longer.
ENVIRONMENT = {"FAREBOX_LEASE_MS": "4000", "FAREBOX_RENEW_EVERY_MS": "1000", "FAREBOX_RESERVE_TTL_MS": "3000"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder is of the suite ``chaos``."""
    for item in items:
        if "tests/chaos/" in item.path.as_posix():
            item.add_marker(pytest.mark.chaos)


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The stack, whole at the start of each test that leaves it so."""
    zones = tmp_path_factory.mktemp("zones")
    midnight_in(3600, zones)  # known by name from the start; its test writes it anew before anybody reads it
    with running_stack(proxies=2, environment={**ENVIRONMENT, "PYTHONTZPATH": str(zones)}) as running:
        running.zones = zones
        yield running


@pytest.fixture
def check_books() -> Callable[[Stack, dict[str, Any], Traffic], dict[str, Any]]:
    """What must hold after any failure, once quiet; returns the sums by basis for a closer look."""

    def check(stack: Stack, customer: dict[str, Any], traffic: Traffic) -> dict[str, Any]:
        stack.wait_until_quiet(60)
        rows = stack.rows("customer_id = %s", customer["customer"]["id"])
        holds = {row["hold_id"] for row in rows}
        comparison = compare(rows, [record for record in stack.bill_records() if record["hold_id"] in holds])
        assert comparison.broken == []
        booked = {row["request_id"] for row in rows if row["kind"] != "released"}
        missing = [answer.request_id for answer in traffic.answered if answer.request_id not in booked]
        assert missing == [], f"{len(missing)} answered calls have no row"
        budget = stack.budget(customer["budget"]["id"])
        spent = sum(row["charge_nanousd"] for row in rows)
        assert budget["held_usd"] == "0.00"
        assert stack.nanousd(budget["spent_usd"]) == spent, "spent in Redis differs from the ledger"
        assert spent <= stack.nanousd(budget["limit_usd"])
        assert len(traffic.answered) > 20, "too little traffic to show anything"
        return comparison.by_basis

    return check
