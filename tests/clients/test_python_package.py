"""The Python package in ``clients/python``: it has what the API has, is safe to retry, and its examples run."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from drf_spectacular.generators import SchemaGenerator

from tests.stack import running_stack

PACKAGE = Path(__file__).parents[2] / "clients" / "python"
EXAMPLES_SECONDS_MAX = 30.0
sys.path.insert(0, str(PACKAGE / "src"))

from farebox import (  # noqa: E402  # type: ignore[import-not-found,unused-ignore]
    AsyncFarebox,
    BudgetExceeded,
    ConnectionFailed,
    Farebox,
    RateLimited,
)

BUDGET_FIELDS = {
    "id": "bud_1", "scope": "customer", "customer": "cus_1", "key": None, "mode": "test", "name": "",
    "limit_usd": "0.30", "spent_usd": None, "held_usd": None, "available_usd": None, "balance": "live",
    "measure": "charge", "on_exhaustion": "refuse", "count_so_far": False, "state": "active", "pending": False,
    "window": {"kind": "month", "zone": "UTC", "anchor_day": 1, "start": None, "end": None},
    "created_at": "2026-11-01T00:00:00Z", "updated_at": "2026-11-01T00:00:00Z", "hue": "new here",
}  # fmt: skip


def generator() -> Any:
    spec = importlib.util.spec_from_file_location("generate_client", PACKAGE / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def schema() -> Any:
    found = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    return json.loads(json.dumps(found, default=str))


def test_the_client_has_every_operation_of_the_schema_and_no_other() -> None:
    module, folder = generator(), PACKAGE / "src" / "farebox" / "resources"
    wanted = {name: module.formatted(name, text) for name, text in module.resources_of(schema()).items()}
    kept = {path.name: path.read_text() for path in folder.glob("*.py")}
    drifted = {name for name in wanted.keys() | kept.keys() if wanted.get(name) != kept.get(name)}
    assert drifted == set(), "run `make client`"


def test_every_resource_has_an_example_and_both_kinds_of_client_have_every_resource() -> None:
    sync, awaited = Farebox("k", base_url="http://x"), AsyncFarebox("k", base_url="http://x")
    resources = {name for name in vars(sync) if not name.startswith("_")}
    assert resources == {name for name in vars(awaited) if not name.startswith("_")}
    assert resources == {path.stem for path in (PACKAGE / "examples").glob("[!_]*.py")}
    for name in resources:
        methods = [
            {method for method in dir(getattr(client, name)) if not method.startswith("_")}
            for client in (sync, awaited)
        ]
        assert methods[0] == methods[1]


def client_of(*answers: httpx.Response | Exception, retries: int = 2) -> tuple[Any, list[httpx.Request]]:
    """A client whose server gives these answers in turn, and what it was asked."""
    waiting, asked = list(answers), []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        given = waiting.pop(0)
        if isinstance(given, Exception):
            raise given
        return given

    http = httpx.Client(transport=httpx.MockTransport(answer))
    return Farebox("fbx_ak_test", base_url="http://farebox", http=http, retries=retries), asked


def test_a_post_is_sent_again_under_the_same_idempotency_key() -> None:
    client, asked = client_of(
        httpx.ConnectError("gone"), httpx.Response(503), httpx.Response(201, json=BUDGET_FIELDS)
    )
    budget = client.budgets.create(customer="cus_1", limit_usd=Decimal("0.30"))
    assert (budget.limit_usd, budget.more) == (Decimal("0.30"), {"hue": "new here"})
    assert budget.created_at.tzinfo is not None
    [key] = {request.headers["Idempotency-Key"] for request in asked}
    assert len(key) == 32
    assert json.loads(asked[0].content) == {"customer": "cus_1", "limit_usd": "0.30"}


def test_402_is_final_and_429_waits_as_long_as_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    problem = {"code": "budget_exceeded", "detail": "no", "limit_usd": "50.00", "resets_at": None}
    client, asked = client_of(httpx.Response(402, json=problem))
    with pytest.raises(BudgetExceeded) as refused:
        client.holds.create(customer="cus_1", model="m", input_tokens_max=1, output_tokens_max=1)
    assert (len(asked), refused.value.code) == (1, "budget_exceeded")
    assert refused.value.numbers == {"limit_usd": Decimal("50.00"), "resets_at": None}

    crowded = httpx.Response(429, json={"code": "budget_in_flight"}, headers={"Retry-After": "7"})
    client, asked = client_of(crowded, crowded, crowded)
    with pytest.raises(RateLimited) as limited:
        client.holds.get("x")
    assert (len(asked), pauses, limited.value.retry_after_seconds) == (3, [7, 7], 7)


def test_a_lost_connection_and_a_float_are_told_apart_from_refusals() -> None:
    client, _ = client_of(httpx.ReadTimeout("slow"), retries=0)
    with pytest.raises(ConnectionFailed):
        client.tenant.get()
    client, asked = client_of()
    with pytest.raises(TypeError, match="float"):
        client.budgets.create(customer="cus_1", limit_usd=0.3)
    assert asked == []


def test_null_is_sent_and_what_is_left_out_is_not() -> None:
    client, asked = client_of(httpx.Response(200, json={}), retries=0)
    with pytest.raises(Exception, match="CustomerOut"):
        client.customers.change("cus_1", markup_percent=None)
    assert json.loads(asked[0].content) == {"markup_percent": None}


def pages() -> Callable[[httpx.Request], httpx.Response]:
    def answer(request: httpx.Request) -> httpx.Response:
        cursor = request.url.params.get("cursor")
        return httpx.Response(200, json={"data": [BUDGET_FIELDS], "next_cursor": None if cursor else "more"})

    return answer


def test_lists_are_followed_to_their_end_by_both_clients() -> None:
    sync = Farebox("k", base_url="http://f", http=httpx.Client(transport=httpx.MockTransport(pages())))
    assert [budget.id for budget in sync.budgets.list(state="all")] == ["bud_1", "bud_1"]

    async def awaited() -> list[str]:
        http = httpx.AsyncClient(transport=httpx.MockTransport(pages()))
        async with AsyncFarebox("k", base_url="http://f", http=http) as client:
            return [budget.id async for budget in client.budgets.list()]

    assert asyncio.run(awaited()) == ["bud_1", "bud_1"]


def test_every_example_runs_against_a_whole_stack() -> None:
    with running_stack(with_worker=False) as stack:
        environment = {
            **os.environ,
            "PYTHONPATH": str(PACKAGE / "src"),
            "FAREBOX_URL": stack.address("web"),
            "FAREBOX_API_KEY": stack.tenant["api_key"],
        }
        began_s = time.monotonic()
        done = subprocess.run(
            [sys.executable, str(PACKAGE / "examples")],
            env=environment,
            capture_output=True,
            text=True,
            timeout=90,
        )
        took_s = time.monotonic() - began_s
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
    assert took_s < EXAMPLES_SECONDS_MAX
