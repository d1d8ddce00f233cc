"""Start and end: a process that cannot serve does not start, and one that is told to stop leaves the books whole."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Thread
from types import SimpleNamespace

import httpx
import pytest

from config.devservers import Valkey, free_port, stop_process
from enforcement.control import Control
from proxy.errors import GateOpen
from proxy.selftest import prove_gate
from tests.proxy.conftest import ROOT, Proxy, Tenant, code_of, start_proxy, wait_for
from tests.proxy.test_streams import documents, stream


def test_a_missing_variable_stops_the_start_and_is_named() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "FAREBOX_SECRET_KEYS"}
    command = [sys.executable, "-m", "uvicorn", "proxy.app:app", "--port", str(free_port())]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode != 0
    assert "FAREBOX_SECRET_KEYS" in done.stderr


def test_a_stopped_proxy_settles_what_it_cut(
    valkey: Valkey, make_tenant: Callable[[], Tenant], tmp_path: Path
) -> None:
    acme = make_tenant()
    started = start_proxy(valkey.url, tmp_path, FAREBOX_SHUTDOWN_GRACE_MS="300")
    budget = acme.budget()
    key = acme.key(acme.customer(budget))
    seen: list[bytes] = []

    def call() -> None:
        try:
            seen.append(stream(started, key, "sim-drip-100-words-100")[1])
        except httpx.TransportError:
            seen.append(b"")

    caller = Thread(target=call)
    caller.start()
    wait_for(lambda: started.metric("farebox_requests_under_way") == 1)
    wait_for(lambda: acme.spent(budget)[1] > 0)
    started.process.send_signal(signal.SIGTERM)
    caller.join(15)
    stop_process(started.process)
    [(kind, _, cost, body)] = wait_for(acme.rows)
    assert kind == "settled"
    assert body.end in {"shutdown", "client_gone"}
    assert acme.spent(budget) == (cost, 0)


def test_without_redis_nothing_is_admitted(
    make_tenant: Callable[[], Tenant], simulator: str, tmp_path: Path
) -> None:
    server = Valkey(tmp_path / "own")
    server.start()
    import redis

    acme = Tenant(Control(server.url), redis.Redis.from_url(server.url), simulator)
    started = start_proxy(server.url, tmp_path)
    try:
        key = acme.key(acme.customer(acme.budget()))
        body = {"model": "sim-mini", "messages": [{"role": "user", "content": "x"}]}
        url = f"{started.url}/v1/chat/completions"
        with httpx.Client(headers={"authorization": f"Bearer {key}"}, timeout=20) as client:
            assert client.post(url, json=body).status_code == 200
            server.kill()
            answer = client.post(url, json=body)
            assert code_of(answer) == (503, "enforcement_unavailable")
            assert "retry-after" in answer.headers
            assert httpx.get(f"{started.url}/readyz", timeout=20).status_code == 503
            assert httpx.get(f"{started.url}/healthz").status_code == 200
    finally:
        stop_process(started.process)
        server.stop()
        acme.control.close()
        acme.client.close()


def test_a_body_in_a_million_pieces_keeps_nobody_else_waiting(acme: Tenant, proxy: Proxy) -> None:
    """Counted on the loop it would stop every tenant's calls for seconds, and the replies of Redis would be late."""
    message = b'{"role":"user","content":"a"}'
    body = b'{"model":"sim-mini","messages":[' + b",".join([message] * 600_000) + b"]}"
    key = acme.key(acme.customer(acme.budget("0.01")))
    url = f"{proxy.url}/v1/chat/completions"
    headers = {"authorization": f"Bearer {key}"}
    waited_seconds = []
    began = time.monotonic()
    with ThreadPoolExecutor(1) as pool:
        large = pool.submit(httpx.post, url, content=body, headers=headers, timeout=60)
        while not large.done():
            asked = time.monotonic()
            assert httpx.get(f"{proxy.url}/healthz", timeout=60).status_code == 200
            waited_seconds.append(time.monotonic() - asked)
    assert code_of(large.result()) == (402, "budget_exceeded")
    # Judged by its own length, so that a busy machine changes nothing.
    assert max(waited_seconds) < max(1.0, (time.monotonic() - began) / 2)


class OpenGate:
    """An application without a gate."""

    async def __call__(self, scope, receive, send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})


async def test_the_self_test_fails_where_the_gate_is_not_in_the_path() -> None:
    with pytest.raises(GateOpen):
        await prove_gate(
            OpenGate(), SimpleNamespace(door=SimpleNamespace(asked=0)), [("POST", "/v1/chat/completions")]
        )  # type: ignore[arg-type]


def test_documents_helper_reads_what_a_stream_says() -> None:
    assert documents(b'data: {"a":1}\n\ndata: [DONE]\n\n') == [{"a": 1}]
