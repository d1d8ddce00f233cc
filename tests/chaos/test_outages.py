"""PostgreSQL away, Valkey away, Valkey restored to an old copy: calls go on or are refused, the books stay right."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx

from benchmarks.overspend import prompt
from tests.chaos.traffic import Traffic
from tests.chaos.zones import midnight_in
from tests.stack import Stack, wait_for

CheckBooks = Callable[[Stack, dict[str, Any], Traffic], dict[str, Any]]
OUTAGE_SECONDS = 20
# How old the restored copy is at the least; `make chaos-long` makes it a minute.
COPY_AGE_SECONDS = int(os.environ.get("FAREBOX_COPY_AGE_SECONDS", "0"))


def call(stack: Stack, proxy: str, key: str) -> httpx.Response:
    """One small call."""
    return httpx.post(
        f"{stack.address(proxy)}/v1/chat/completions",
        json={"model": "sim-mini", "messages": prompt(3), "max_completion_tokens": 20},
        headers={"authorization": f"Bearer {key}"},
        timeout=10,
    )


def test_no_call_fails_while_postgresql_is_away_and_a_window_turns(
    stack: Stack, check_books: CheckBooks
) -> None:
    zone = midnight_in(14, stack.zones)
    customer = stack.customer("postgres-away", "20.00", window="day", zone=zone)
    with Traffic(stack, customer["key"], concurrency=6) as traffic:
        wait_for(lambda: len(traffic.answered) > 5, "some calls answered")
        stack.postgres.stop()
        stopped_at = datetime.now(UTC)
        time.sleep(OUTAGE_SECONDS)
        stack.postgres.start()
    assert {answer.status for answer in traffic.tally.answers} == {200}
    stack.wait_until_quiet(60)
    rows = stack.rows("customer_id = %s", customer["customer"]["id"])
    windows = {draw[1] for row in rows for draw in row["draws"]}
    assert len(windows) == 2, "the window did not turn"
    during = [row for row in rows if row["started_at"] > stopped_at]
    assert len(during) > 20
    booked = {row["request_id"] for row in rows}
    assert [answer for answer in traffic.answered if answer.request_id not in booked] == []


def test_valkey_away_is_503_within_a_second_and_reaches_no_provider(stack: Stack) -> None:
    customer = stack.customer("valkey-away", "20.00")
    assert call(stack, "proxy1", customer["key"]).status_code == 200
    stack.wait_until_quiet()
    stack.valkey.stop()
    reached = len(stack.bill_records())
    try:
        for proxy in stack.proxy_names * 3:
            began = time.monotonic()
            answer = call(stack, proxy, customer["key"])
            assert time.monotonic() - began < 1.0
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "enforcement_unavailable")
        assert len(stack.bill_records()) == reached
    finally:
        stack.valkey.start()
    wait_for(lambda: call(stack, "proxy1", customer["key"]).status_code == 200, "calls served again", 40)


def test_a_valkey_restored_to_an_old_copy_is_rebuilt_from_the_books(
    stack: Stack, check_books: CheckBooks
) -> None:
    customer = stack.customer("restored", "20.00")
    doomed = stack.customer("restored-revoked", "20.00")
    with Traffic(stack, customer["key"], concurrency=6) as traffic:
        wait_for(lambda: len(traffic.answered) > 10, "some calls answered")
        stack.pause("recorder")
        copy = stack.home / "valkey-copy"
        shutil.copytree(stack.valkey.home, copy)
        keys = stack.api("GET", f"/keys?customer={doomed['customer']['id']}")["data"]
        stack.api("POST", f"/keys/{keys[0]['id']}/revoke", {})
        before = len(traffic.answered)
        time.sleep(COPY_AGE_SECONDS)
        wait_for(lambda: len(traffic.answered) > before + 20, "calls that the copy does not know", 40)
        stack.valkey.kill()
        shutil.rmtree(stack.valkey.home)
        shutil.move(copy, stack.valkey.home)
        stack.valkey.start()
        stack.resume("recorder")
        assert call(stack, "proxy1", customer["key"]).status_code == 503, "the restored shard was not closed"
        before = len(traffic.answered)
        wait_for(lambda: len(traffic.answered) > before + 10, "calls after the rebuild", 40)
    check_books(stack, customer, traffic)
    refused = call(stack, "proxy2", doomed["key"])
    assert (refused.status_code, refused.json()["error"]["code"]) == (401, "key_revoked")
