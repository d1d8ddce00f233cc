"""kill -9 of each process under load: every answered call has its row once, nothing is over, nothing held."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.chaos.traffic import Traffic
from tests.stack import Stack, wait_for

CheckBooks = Callable[[Stack, dict[str, Any], Traffic], dict[str, Any]]


@pytest.mark.parametrize("victim", ["proxy1", "recorder", "worker", "publisher"])
def test_a_killed_process_costs_no_answered_call(stack: Stack, check_books: CheckBooks, victim: str) -> None:
    customer = stack.customer(f"kill-{victim}", "20.00")
    with Traffic(stack, customer["key"]) as traffic:
        wait_for(lambda: len(traffic.answered) > 15, "some calls answered")
        stack.kill(victim)
        time.sleep(1.0)
        stack.spawn(victim)
        if victim == "proxy1":
            wait_for(lambda: stack.answers(f"{stack.address('proxy1')}/readyz"), "the proxy ready again")
        before = len(traffic.answered)
        wait_for(lambda: len(traffic.answered) > before + 15, "calls answered after the kill")
    bases = check_books(stack, customer, traffic)
    if victim == "proxy1":
        assert "unresolved" in bases, "no call was cut by the kill: the test showed nothing"


def test_a_killed_valkey_closes_the_shard_and_comes_back_with_the_books_right(
    stack: Stack, check_books: CheckBooks
) -> None:
    customer = stack.customer("kill-valkey", "20.00")
    with Traffic(stack, customer["key"]) as traffic:
        wait_for(lambda: len(traffic.answered) > 15, "some calls answered")
        stack.valkey.kill()
        time.sleep(0.5)
        stack.valkey.start()
        before = len(traffic.answered)
        wait_for(lambda: len(traffic.answered) > before + 15, "calls answered after the rebuild", 40)
    check_books(stack, customer, traffic)
    refused = {answer.code for answer in traffic.tally.answers if answer.status == 503}
    assert refused == {"enforcement_unavailable"}
