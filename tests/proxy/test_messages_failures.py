"""What goes wrong with Messages: errors in Anthropic's own shape, and books that never give anything away."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.proxy.conftest import Bill, Proxy, Tenant
from tests.proxy.echo import Echo
from tests.proxy.messages import HELLO, TOOLS, code_of, events, post, speak_anthropic
from tests.proxy.test_messages import MESSAGE, end, event, start, text


def key_of(tenant: Tenant, *models: str, limit_usd: str = "10.00", base_url: str = "") -> str:
    speak_anthropic(tenant, *models, base_url=base_url)
    return tenant.key(tenant.customer(tenant.budget(limit_usd)))


def test_refusals_have_anthropics_statuses_types_and_shape(acme: Tenant, proxy: Proxy) -> None:
    key = key_of(acme, limit_usd="0.00001")
    over = post(proxy, key)
    assert code_of(over) == (402, "billing_error", "budget_exceeded")
    assert over.headers["x-should-retry"] == "false"
    assert over.json()["error"]["limit_usd"] == "0.00001"
    assert code_of(post(proxy, "nonsense")) == (401, "authentication_error", "invalid_key")
    assert code_of(post(proxy, key, "no-such-model")) == (400, "invalid_request_error", "unpriced_model")
    for body in ({"messages": []}, {"max_tokens": 0}, {"thinking": {"type": 5}}):
        assert code_of(post(proxy, key, **body)) == (400, "invalid_request_error", "invalid_request")
    gone = httpx.get(f"{proxy.url}/anthropic/v1/anything", headers={"x-api-key": key})
    assert code_of(gone) == (404, "not_found_error", "unsupported_route")
    head = {"x-api-key": key}
    large = httpx.post(f"{proxy.url}/anthropic/v1/messages", content=b"x" * (33 << 20), headers=head)
    assert code_of(large) == (413, "request_too_large", "body_too_large")
    twice = b'{"model":"sim-mini","model":"claude-opus-4","max_tokens":5,"messages":[{"role":"user","content":"x"}]}'
    for path in ("/v1/messages", "/v1/messages/count_tokens"):
        refused = httpx.post(f"{proxy.url}{path}", content=twice, headers=head)
        assert code_of(refused) == (400, "invalid_request_error", "invalid_request")
    assert acme.rows() == []


def test_openais_paths_keep_openais_shape(acme: Tenant, proxy: Proxy) -> None:
    refused = httpx.post(f"{proxy.url}/v1/chat/completions", headers={"anthropic-version": "2023-06-01"})
    assert "type" not in refused.json()
    assert "request-id" not in refused.headers


@pytest.mark.parametrize(
    ("status", "seen", "kind", "code"),
    [
        (400, 400, "invalid_request_error", None),
        (401, 502, "api_error", "provider_auth_failed"),
        (402, 502, "api_error", "provider_error"),
        (403, 502, "api_error", "provider_auth_failed"),
        (404, 502, "api_error", "provider_error"),  # no model is named: it is the address that is missing
        (413, 413, "request_too_large", None),
        (429, 429, "rate_limit_error", "provider_rate_limited"),
        (503, 503, "api_error", None),
        (529, 529, "overloaded_error", None),
    ],
)
def test_what_anthropic_refused_before_generating_costs_nothing(
    acme: Tenant, proxy: Proxy, status: int, seen: int, kind: str, code: str | None
) -> None:
    answer = post(proxy, key_of(acme, f"sim-error-{status}"), f"sim-error-{status}")
    document = answer.json()
    assert (answer.status_code, document["type"], document["error"]["type"]) == (seen, "error", kind)
    assert document["error"].get("code") == code
    [(row, basis, cost, body)] = acme.rows()
    assert (row, basis, cost, body.end, body.upstream_status) == ("released", "none", 0, "refused", status)


def test_a_model_that_the_provider_does_not_have_is_the_callers_404(acme: Tenant, proxy: Proxy) -> None:
    answer = post(proxy, key_of(acme, "sim-unknown"), "sim-unknown")
    assert code_of(answer) == (404, "not_found_error", "model_not_found")
    assert [row[:3] for row in acme.rows()] == [("released", "none", 0)]


@pytest.mark.parametrize("status", [408, 500, 502, 504])
def test_a_failure_that_may_have_been_billed_stays_at_the_quote(
    acme: Tenant, proxy: Proxy, status: int
) -> None:
    answer = post(proxy, key_of(acme, f"sim-error-{status}"), f"sim-error-{status}")
    assert answer.status_code >= 400
    assert answer.json()["type"] == "error"
    [(kind, basis, cost, body)] = acme.rows()
    assert (kind, basis, cost) == ("expired", "unresolved", body.quote_cost_nanousd)


def test_a_stream_that_is_cut_off_stays_unresolved_and_says_so(acme: Tenant, proxy: Proxy) -> None:
    answer = post(proxy, key_of(acme, "sim-cut-5"), "sim-cut-5", stream=True)
    last = events(answer.content)[-1]
    assert (last["type"], last["error"]["type"], last["error"]["code"]) == (
        "error",
        "api_error",
        "provider_error",
    )
    assert answer.content.rpartition(b"event: ")[2].startswith(b"error\n")
    [(kind, basis, cost, body)] = acme.rows()
    assert (kind, basis, cost, body.end) == ("expired", "unresolved", body.quote_cost_nanousd, "cut")


def test_an_error_inside_a_stream_is_settled_by_what_came(acme: Tenant, proxy: Proxy) -> None:
    answer = post(proxy, key_of(acme, "sim-midstream-error"), "sim-midstream-error", stream=True)
    assert events(answer.content)[-1]["error"]["type"] == "overloaded_error"
    [(_, basis, cost, body)] = acme.rows()
    assert (basis, body.end) == ("estimated", "error_inside")
    assert 0 < cost < body.quote_cost_nanousd
    assert body.usage["input"] == 8


@pytest.mark.parametrize("model", ["sim-nousage", "sim-zerousage"])
@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_without_a_usage_to_believe_is_counted(
    acme: Tenant, proxy: Proxy, bill: Bill, model: str, stream: bool
) -> None:
    post(proxy, key_of(acme, model), model, stream=stream, max_tokens=1000)
    [(kind, basis, cost, body)] = acme.rows()
    assert (kind, basis) == ("settled", "estimated")
    assert bill.records()[-1]["billed_nanousd"] <= cost < body.quote_cost_nanousd


THINKING: dict[str, Any] = {"type": "thinking", "thinking": "", "signature": ""}


@pytest.mark.parametrize("asked", [True, False])
def test_a_thinking_stream_without_usage_is_charged_at_its_hold(
    acme: Tenant, proxy: Proxy, echo: Echo, asked: bool
) -> None:
    key = key_of(acme, base_url=echo.base_url.removesuffix("/v1"))
    echo.kind = b"text/event-stream"
    opened = b"" if asked else event("content_block_start", index=0, content_block=THINKING)
    echo.pieces = [start() + opened + text("hi") + event("message_stop")]
    thinking = {"thinking": {"type": "adaptive"}} if asked else {}
    post(proxy, key, stream=True, **thinking)
    [(_, basis, cost, body)] = acme.rows()
    assert (basis, cost) == ("estimated", body.quote_cost_nanousd)


def test_the_prompt_that_a_streams_start_reports_is_kept_where_the_end_is_missing(
    acme: Tenant, proxy: Proxy, echo: Echo
) -> None:
    key = key_of(acme, base_url=echo.base_url.removesuffix("/v1"))
    echo.kind = b"text/event-stream"
    echo.pieces = [start(input_tokens=3, cache_read_input_tokens=4), text("one two"), b'data: "odd"\n\n']
    post(proxy, key, stream=True)
    [(_, basis, _, body)] = acme.rows()
    assert (basis, body.usage["input"], body.usage["cache_read"]) == ("estimated", 3, 4)
    assert body.usage["output"] > 2


@pytest.mark.parametrize("usage", [{"output_tokens": -1}, {"output_tokens": "x"}])
def test_a_usage_that_cannot_be_true_is_booked_at_the_hold(
    acme: Tenant, proxy: Proxy, echo: Echo, usage: dict[str, Any]
) -> None:
    key = key_of(acme, base_url=echo.base_url.removesuffix("/v1"))
    echo.kind = b"text/event-stream"
    echo.pieces = [start(), text("hi"), end(**usage)]
    post(proxy, key, stream=True)
    echo.kind = b"application/json"
    echo.pieces = [json.dumps({**MESSAGE, "usage": {"input_tokens": 8, **usage}}).encode()]
    post(proxy, key, stream=True)
    for _, basis, cost, body in acme.rows():
        assert (basis, cost) == ("estimated", body.quote_cost_nanousd)


def test_answers_of_an_unknown_shape_are_counted_never_free(acme: Tenant, proxy: Proxy, echo: Echo) -> None:
    key = key_of(acme, base_url=echo.base_url.removesuffix("/v1"))
    odd = [
        b"hello there",
        b'{"content":"a plain text","usage":{"output_tokens":null}}',
        b'{"model":5,"content":[1],"usage":{"input_tokens":8,"output_tokens":2}}',
    ]
    for body in odd:
        echo.pieces = [body]
        assert post(proxy, key).content == body
    assert [basis for _, basis, _, _ in acme.rows()] == ["estimated", "estimated", "reported"]
    echo.kind = b"text/event-stream"
    echo.pieces = [
        b'data: {"type":"message_start","message":{"model":3,"usage":{"input_tokens":8}}}\n\n',
        b"data: no json\n\n: comment\n\n",
        b'data: {"type":"message_delta","delta":7,"usage":{"output_tokens":2}}\n\n',
        b'data: {"type":"message_delta","usage":{"output_tokens":3}}',
    ]
    post(proxy, key, stream=True)
    assert acme.rows()[-1][1:3] == ("reported", 8_000 + 6_000)
    assert acme.rows()[-1][3].usage == {"input": 8, "output": 3}


def test_tools_that_run_at_the_provider_are_refused(acme: Tenant, proxy: Proxy, bill: Bill) -> None:
    speak_anthropic(acme, "claude-sonnet-4-5")
    key = acme.key(acme.customer(acme.budget()))
    before = bill.last()
    searching = [*TOOLS, {"type": "web_search_20250305", "name": "web_search"}]
    answer = post(proxy, key, "claude-sonnet-4-5", tools=searching, messages=HELLO)
    assert code_of(answer) == (400, "invalid_request_error", "uncountable")
    assert bill.records(after=before) == []


def test_a_stream_under_another_content_type_is_read_all_the_same(
    acme: Tenant, proxy: Proxy, echo: Echo
) -> None:
    key = key_of(acme, base_url=echo.base_url.removesuffix("/v1"))
    echo.pieces = [start(), text("hi"), end(output_tokens=3)]
    assert post(proxy, key, stream=True).content == b"".join(echo.pieces)
    assert [row[1:3] for row in acme.rows()] == [("reported", 8_000 + 6_000)]
