"""Streams pass through untouched while their usage is read, whatever the provider does with it."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from enforcement.policies import PublishedPrice
from metering.ids import make_id
from tests.proxy.conftest import Proxy, Tenant, wait_for
from tests.proxy.echo import Echo


def stream(proxy: Proxy, key: str, model: str = "sim-mini", **fields: Any) -> tuple[httpx.Response, bytes]:
    body = {"model": model, "messages": [{"role": "user", "content": "Say hello"}], "stream": True, **fields}
    with httpx.stream(
        "POST",
        f"{proxy.url}/v1/chat/completions",
        json=body,
        headers={"authorization": f"Bearer {key}"},
        timeout=20,
    ) as answer:
        return answer, answer.read()


def documents(raw: bytes) -> list[dict[str, Any]]:
    lines = [
        line.removeprefix("data:").strip() for line in raw.decode().splitlines() if line.startswith("data:")
    ]
    return [json.loads(line) for line in lines if line != "[DONE]"]


def chunk(text: str = "", **fields: Any) -> bytes:
    choices = [{"index": 0, "delta": {"content": text}, "finish_reason": None}] if text else []
    return (
        b"data: "
        + json.dumps({"id": "x", "model": "sim-mini", "choices": choices, **fields}).encode()
        + b"\n\n"
    )


USAGE = {"prompt_tokens": 8, "completion_tokens": 3, "total_tokens": 11}
COST = 8 * 1000 + 3 * 2000


@pytest.mark.parametrize(
    "model",
    [
        "sim-mini",
        "sim-tools",
        "sim-usage-every",
        "sim-usage-choice",
        "sim-usage-not-last",
        "sim-crlf",
        "sim-comments",
        "sim-gzip",
    ],
)
def test_usage_is_found_wherever_a_stream_reports_it(acme: Tenant, proxy: Proxy, model: str) -> None:
    budget = acme.budget()
    answer, raw = stream(
        proxy, acme.key(acme.customer(budget)), model, stream_options={"include_usage": True}
    )
    assert answer.status_code == 200
    usage = [d["usage"] for d in documents(raw) if d.get("usage")][-1]
    assert acme.spent(budget) == (usage["prompt_tokens"] * 1000 + usage["completion_tokens"] * 2000, 0)
    [(kind, basis, _, body)] = acme.rows()
    assert (kind, basis, body.end, body.stream) == ("settled", "reported", "complete", True)


def test_usage_that_only_we_asked_for_does_not_reach_the_caller(acme: Tenant, proxy: Proxy) -> None:
    budget = acme.budget()
    _, raw = stream(proxy, acme.key(acme.customer(budget)))
    assert raw.endswith(b"data: [DONE]\n\n")
    assert all(document["choices"] for document in documents(raw))
    assert not [d for d in documents(raw) if d.get("usage")]
    assert [basis for _, basis, _, _ in acme.rows()] == ["reported"]


@pytest.mark.parametrize("asks", [False, True])
@pytest.mark.parametrize("cut_bytes", [1, 7, 10_000])
@pytest.mark.parametrize("ending", [b"\n\n", b"\r\n\r\n"])
def test_a_stream_passes_byte_for_byte_but_for_the_usage_chunk_we_asked_for(
    acme: Tenant, proxy: Proxy, echo: Echo, asks: bool, cut_bytes: int, ending: bytes
) -> None:
    acme.publish(accounts=(acme.account("main", default=True, base_url=echo.base_url),))
    budget = acme.budget()
    extra = chunk(usage=USAGE).replace(b"\n\n", ending)
    kept_before = (
        b": a comment"
        + ending
        + chunk(prompt_filter_results=[]).replace(b"\n\n", ending)
        + chunk("h\u00e9l", usage=None).replace(b"\n\n", ending)
        + b"event: message"
        + (b"\r\n" if b"\r" in ending else b"\n")
        + chunk("lo", obfuscation="xxxx").replace(b"\n\n", ending)
    )
    kept_after = b"data: [DONE]" + ending
    whole = kept_before + extra + kept_after
    echo.kind = b"text/event-stream; charset=utf-8"
    echo.pieces = [whole[place : place + cut_bytes] for place in range(0, len(whole), cut_bytes)]
    options = {"stream_options": {"include_usage": True}} if asks else {}
    answer, raw = stream(proxy, acme.key(acme.customer(budget)), **options)
    assert raw == (whole if asks else kept_before + kept_after)
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert acme.spent(budget) == (COST, 0)
    assert json.loads(echo.bodies[-1])["stream_options"] == {"include_usage": True}


def test_groqs_own_place_for_usage_is_read(acme: Tenant, proxy: Proxy, echo: Echo) -> None:
    acme.publish(accounts=(acme.account("main", default=True, base_url=echo.base_url),))
    budget = acme.budget()
    echo.kind = b"text/event-stream"
    echo.pieces = [chunk("hi", x_groq={"usage": USAGE}), b"data: [DONE]\n\n"]
    _, raw = stream(proxy, acme.key(acme.customer(budget)))
    assert raw == b"".join(echo.pieces)
    assert acme.spent(budget) == (COST, 0)


def test_a_stream_without_usage_is_counted_from_what_was_relayed(acme: Tenant, proxy: Proxy) -> None:
    budget = acme.budget()
    _, raw = stream(proxy, acme.key(acme.customer(budget)), "sim-nousage")
    [(kind, basis, cost, body)] = acme.rows()
    assert (kind, basis) == ("settled", "estimated")
    assert acme.spent(budget) == (cost, 0)
    assert body.usage["output"] > 0
    assert raw.endswith(b"data: [DONE]\n\n")


def test_a_zero_usage_beside_text_is_not_believed(acme: Tenant, proxy: Proxy) -> None:
    before = proxy.metric('farebox_alarms_total{alarm="zero_usage"}')
    budget = acme.budget()
    stream(proxy, acme.key(acme.customer(budget)), "sim-zerousage")
    [(_, basis, cost, _)] = acme.rows()
    assert basis == "estimated"
    assert cost > 0
    assert proxy.metric('farebox_alarms_total{alarm="zero_usage"}') == before + 1


def test_usage_above_the_quote_is_booked_in_full(acme: Tenant, proxy: Proxy) -> None:
    budget = acme.budget()
    stream(proxy, acme.key(acme.customer(budget)), "sim-over-50", max_tokens=10)
    [(_, basis, cost, body)] = acme.rows()
    assert basis == "reported"
    assert cost > body.quote_cost_nanousd
    assert acme.spent(budget) == (cost, 0)


def test_usage_that_cannot_be_true_is_booked_at_the_hold(acme: Tenant, proxy: Proxy, echo: Echo) -> None:
    acme.publish(accounts=(acme.account("main", default=True, base_url=echo.base_url),))
    budget = acme.budget()
    echo.kind = b"text/event-stream"
    echo.pieces = [chunk("hi"), chunk(usage={"prompt_tokens": -5, "completion_tokens": 1, "total_tokens": 2})]
    stream(proxy, acme.key(acme.customer(budget)), max_tokens=100)
    [(kind, basis, cost, body)] = acme.rows()
    assert (kind, basis, cost) == ("settled", "estimated", body.quote_cost_nanousd)


def test_an_error_inside_a_stream_reaches_the_caller_and_is_settled(acme: Tenant, proxy: Proxy) -> None:
    budget = acme.budget()
    _, raw = stream(proxy, acme.key(acme.customer(budget)), "sim-midstream-error")
    assert any("error" in document for document in documents(raw))
    [(kind, _, cost, _)] = acme.rows()
    assert kind in {"settled", "expired"}
    assert acme.spent(budget) == (cost, 0)


def test_a_stream_that_is_cut_off_stays_unresolved_and_says_so(acme: Tenant, proxy: Proxy) -> None:
    budget = acme.budget()
    _, raw = stream(proxy, acme.key(acme.customer(budget)), "sim-cut-5", max_tokens=100)
    assert documents(raw)[-1]["error"]["code"] == "provider_error"
    [(kind, basis, cost, body)] = acme.rows()
    assert (kind, basis, cost, body.end) == ("expired", "unresolved", body.quote_cost_nanousd, "cut")
    assert acme.spent(budget) == (cost, 0)


def test_a_stream_that_stalls_is_given_up(acme: Tenant, proxy: Proxy) -> None:
    budget = acme.budget()
    _, raw = stream(proxy, acme.key(acme.customer(budget)), "sim-stall-5", max_tokens=100)
    assert documents(raw)[-1]["error"]["code"] == "provider_timeout"
    [(kind, basis, _, body)] = acme.rows()
    assert (kind, basis, body.end) == ("expired", "unresolved", "timeout")


def hang_up(proxy: Proxy, key: str, model: str) -> None:
    body = {"model": model, "messages": [{"role": "user", "content": "Say hello"}], "stream": True}
    headers = {"authorization": f"Bearer {key}"}
    with httpx.stream("POST", f"{proxy.url}/v1/chat/completions", json=body, headers=headers) as answer:
        next(answer.iter_raw())


def test_a_caller_that_hangs_up_is_charged_for_what_the_provider_reports(acme: Tenant, proxy: Proxy) -> None:
    budget = acme.budget()
    hang_up(proxy, acme.key(acme.customer(budget)), "sim-drip-20-words-100")
    [(_, basis, cost, body)] = wait_for(acme.rows)
    assert (basis, body.end, body.usage["output"]) == ("reported", "client_gone", 100)
    assert acme.spent(budget) == (cost, 0)


def test_draining_for_a_caller_that_has_gone_ends_and_counts_what_came(acme: Tenant, proxy: Proxy) -> None:
    acme.publish(drain_seconds=1)
    budget = acme.budget()
    hang_up(proxy, acme.key(acme.customer(budget)), "sim-drip-100-words-100")
    [(_, basis, cost, body)] = wait_for(acme.rows)
    assert (basis, body.end) == ("estimated", "client_gone")
    assert 0 < body.usage["output"] < 100
    assert acme.spent(budget) == (cost, 0)


def test_a_slow_reader_slows_the_provider_down(acme: Tenant, proxy: Proxy, echo: Echo) -> None:
    acme.publish(accounts=(acme.account("main", default=True, base_url=echo.base_url),))
    echo.kind = b"text/event-stream"
    echo.pieces = [chunk("x" * 60_000) for _ in range(1000)]
    key = acme.key(acme.customer(acme.budget("1000.00")))
    body = {"model": "sim-mini", "messages": [{"role": "user", "content": "x"}], "stream": True}
    headers = {"authorization": f"Bearer {key}"}
    with httpx.stream("POST", f"{proxy.url}/v1/chat/completions", json=body, headers=headers) as answer:
        pieces = answer.iter_raw()  # kept: dropping it would hang up
        next(pieces)
        wait_for(lambda: still(lambda: echo.written))
        assert echo.written < 30_000_000
    [(_, _, _, row)] = wait_for(acme.rows)
    assert row.end == "client_gone"


def still(read: Callable[[], int]) -> bool:
    import time

    before = read()
    time.sleep(0.3)
    return read() == before


def test_usage_beside_an_error_inside_a_stream_counts(acme: Tenant, proxy: Proxy, echo: Echo) -> None:
    acme.publish(accounts=(acme.account("main", default=True, base_url=echo.base_url),))
    budget = acme.budget()
    echo.kind = b"text/event-stream"
    echo.pieces = [chunk("hi"), chunk(error={"message": "Token limit reached"}, usage=USAGE)]
    _, raw = stream(proxy, acme.key(acme.customer(budget)))
    assert raw == b"".join(echo.pieces)  # the error is not taken out with its usage
    [(_, basis, cost, body)] = acme.rows()
    assert (basis, cost, body.end) == ("reported", COST, "error_inside")


def test_a_stream_under_another_content_type_is_read_all_the_same(
    acme: Tenant, proxy: Proxy, echo: Echo
) -> None:
    acme.publish(accounts=(acme.account("main", default=True, base_url=echo.base_url),))
    echo.pieces = [chunk("hi"), chunk(usage=USAGE), b"data: [DONE]\n\n"]
    _, raw = stream(proxy, acme.key(acme.customer(acme.budget())))
    assert raw == b"".join(echo.pieces)
    assert [(basis, cost) for _, basis, cost, _ in acme.rows()] == [("reported", COST)]


@pytest.mark.parametrize("streams", [False, True])
def test_the_service_tier_that_the_provider_reports_sets_the_price(
    acme: Tenant, proxy: Proxy, echo: Echo, streams: bool
) -> None:
    dear = {"input": 2_000_000_000, "output": 4_000_000_000}
    price = PublishedPrice(make_id("pri", 999), "simulator", "sim-mini@priority", 0, dear)
    account = acme.account("main", default=True, base_url=echo.base_url)
    acme.publish(accounts=(account,), prices=(*acme.policy.prices, price))
    key = acme.key(acme.customer(acme.budget()))
    for tier in ("priority", "default", "unheard_of"):
        if streams:
            echo.kind = b"text/event-stream"
            echo.pieces = [chunk("hi", service_tier=tier), chunk(usage=USAGE), b"data: [DONE]\n\n"]
            stream(proxy, key)
        else:
            choice = {"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}
            whole = {"model": "sim-mini", "choices": [choice], "usage": USAGE, "service_tier": tier}
            echo.pieces = [json.dumps(whole).encode()]
            stream(proxy, key, stream=False)
    assert [(basis, cost) for _, basis, cost, _ in acme.rows()] == [
        ("reported", 2 * COST),
        ("reported", COST),
        ("reported", COST),
    ]
    assert acme.rows()[0][3].price_id == price.price_id
    acme.publish(prices=acme.policy.prices[:-1])  # no price is known for what was billed: never free
    echo.pieces = [piece.replace(b"unheard_of", b"priority") for piece in echo.pieces]
    stream(proxy, key, stream=streams)
    [*_, (_, basis, cost, body)] = acme.rows()
    assert (basis, cost) == ("estimated", body.quote_cost_nanousd)


def test_a_caller_that_never_reads_is_charged_for_what_the_provider_reports(
    acme: Tenant, proxy: Proxy, echo: Echo
) -> None:
    """It stays connected and lets the buffers fill: upstream is read on, as after a hang-up."""
    echo.kind = b"text/event-stream"
    echo.pieces = [*[chunk("x" * 100_000)] * 200, chunk(usage=USAGE), b"data: [DONE]\n\n"]
    acme.publish(accounts=(acme.account("main", default=True, base_url=echo.base_url),))
    budget = acme.budget()
    key = acme.key(acme.customer(budget))
    body = json.dumps({"model": "sim-mini", "stream": True, "messages": [{"role": "user", "content": "x"}]})
    with socket.socket() as caller:
        caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        address = httpx.URL(proxy.url)
        caller.connect((address.host, address.port))
        head = f"host: x\r\nauthorization: Bearer {key}\r\ncontent-length: {len(body)}"
        caller.sendall(f"POST /v1/chat/completions HTTP/1.1\r\n{head}\r\n\r\n{body}".encode())
        wait_for(acme.rows)
    [(kind, basis, cost, event)] = acme.rows()
    assert (kind, basis, cost, event.end) == ("settled", "reported", COST, "client_gone")
    assert acme.spent(budget) == (COST, 0)
