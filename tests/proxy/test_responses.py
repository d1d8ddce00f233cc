"""OpenAI's Responses through the proxy: whole answers, streams, what is told of their bill, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.proxy.conftest import SIM_KEY, Bill, Proxy, Tenant, code_of
from tests.proxy.echo import Echo
from tests.proxy.responses import TOOLS, cost_of, event, events, post, price, response, usage


def customer_key(tenant: Tenant, limit_usd: str = "10.00", **changes: Any) -> Any:
    """A budget and a key that draws on it."""
    budget = tenant.budget(limit_usd, **changes)
    return budget, tenant.key(tenant.customer(budget))


def test_a_whole_answer_is_settled_to_the_providers_own_bill(acme: Tenant, proxy: Proxy, bill: Bill) -> None:
    budget, key = customer_key(price(acme))
    answer = post(proxy, key)
    assert answer.status_code == 200, answer.text
    cost = cost_of(answer.json()["usage"])
    assert answer.headers["farebox-cost-usd"] == f"{cost / 1e9:.9f}".rstrip("0")
    [(kind, basis, booked, body)] = acme.rows()
    assert (kind, basis, booked, body.end) == ("settled", "reported", cost, "complete")
    assert (body.bound_class, body.quoted_input_tokens) == ("exact", answer.json()["usage"]["input_tokens"])
    assert acme.spent(budget) == (cost, 0)
    record = bill.records()[-1]
    assert (record["billed_nanousd"], record["path"]) == (cost, "/v1/responses")


@pytest.mark.parametrize(
    "model",
    ["sim-mini", "sim-crlf", "sim-comments", "sim-gzip", "sim-tools", "sim-cached-3", "sim-reasoning-20"],
)
def test_a_streams_usage_is_in_its_last_event(acme: Tenant, proxy: Proxy, bill: Bill, model: str) -> None:
    budget, key = customer_key(price(acme, model))
    answer = post(proxy, key, model, stream=True, tools=TOOLS)
    last = events(answer.content)[-1]
    assert last["type"] == "response.completed"
    cost = cost_of(last["response"]["usage"])
    assert acme.spent(budget) == (cost, 0)
    [(kind, basis, _, body)] = acme.rows()
    assert (kind, basis, body.end, body.stream) == ("settled", "reported", "complete", True)
    assert bill.records()[-1]["billed_nanousd"] == cost
    if model == "sim-reasoning-20":
        assert body.usage["reasoning"] == 20


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_that_fills_its_cap_costs_its_quote_to_the_nano_dollar(
    acme: Tenant, proxy: Proxy, stream: bool
) -> None:
    budget, key = customer_key(price(acme, "sim-exact"))
    answer = post(proxy, key, "sim-exact", stream=stream, max_output_tokens=40, instructions="Be brief")
    assert answer.status_code == 200
    told = events(answer.content)[-1]["response"] if stream else answer.json()
    assert (told["status"], told["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
    [(_, _, cost, body)] = acme.rows()
    assert cost == body.quote_cost_nanousd == acme.spent(budget)[0] == (2 + 6 + 6) * 1000 + 40 * 2000


def test_the_cap_is_always_sent_and_cut_where_it_may_be(acme: Tenant, proxy: Proxy, echo: Echo) -> None:
    price(acme, base_url=echo.base_url)
    echo.pieces = [json.dumps(response(usage=usage())).encode()]
    _, key = customer_key(acme)
    post(proxy, key, headers={"openai-beta": "responses=v1"}, user="ann", store=False, include=[])
    post(proxy, key, max_output_tokens=50)
    _, poor = customer_key(acme, "0.001", on_exhaustion="clamp")
    clamped = post(proxy, poor, max_output_tokens=5000)
    sent = [json.loads(body) for body in echo.bodies]
    default = acme.policy.output_cap_plain
    assert [body["max_output_tokens"] for body in sent[:2]] == [default, 50]
    assert (sent[0]["user"], sent[0]["store"]) == ("ann", False)
    assert acme.policy.output_minimum <= sent[2]["max_output_tokens"] < 5000
    assert clamped.headers["farebox-output-cap"] == str(sent[2]["max_output_tokens"])
    assert b"authorization: Bearer " + SIM_KEY.encode() in echo.heads[0].replace(
        b"Authorization", b"authorization"
    )
    assert key.encode() not in echo.heads[0]
    assert echo.heads[0].startswith(b"POST /v1/responses ")


def test_the_callers_bytes_go_on_unchanged_where_nothing_has_to_change(
    acme: Tenant, proxy: Proxy, echo: Echo
) -> None:
    price(acme, base_url=echo.base_url)
    echo.pieces = [json.dumps(response(usage=usage())).encode()]
    _, key = customer_key(acme)
    raw = b'{ "model":"sim-mini",  "input":"h\\u00e9", "max_output_tokens": 50 }'
    sent = {"authorization": f"Bearer {key}"}
    assert httpx.post(f"{proxy.url}/v1/responses", content=raw, headers=sent).status_code == 200
    assert echo.bodies == [raw]


@pytest.mark.parametrize("cut_bytes", [1, 7, 10_000])
def test_a_stream_passes_byte_for_byte(acme: Tenant, proxy: Proxy, echo: Echo, cut_bytes: int) -> None:
    budget, key = customer_key(price(acme, base_url=echo.base_url))
    whole = (
        event("response.created", response=response("in_progress"))
        + b": OPENROUTER PROCESSING\n\n"
        + event("response.output_text.delta", delta="h\u00e9l", obfuscation="xyz")
        + event("response.completed", response=response(usage=usage(cached=4)))
        + b"data: [DONE]\n\n"
    )
    echo.kind = b"text/event-stream; charset=utf-8"
    echo.pieces = [whole[place : place + cut_bytes] for place in range(0, len(whole), cut_bytes)]
    answer = post(proxy, key, stream=True)
    assert answer.content == whole
    assert acme.spent(budget) == (4 * 1000 + 4 * 250 + 3 * 2000, 0)


@pytest.mark.parametrize(
    ("told", "basis"),
    [
        ({"usage": None}, "estimated"),
        ({"usage": usage(0, 0)}, "estimated"),
        ({"usage": {"input_tokens": -5, "output_tokens": 1}}, "estimated"),
        ({"usage": "nothing"}, "estimated"),
        ({"usage": usage(8, 2)}, "reported"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_bill_that_is_not_told_or_not_true(
    acme: Tenant, proxy: Proxy, echo: Echo, told: dict[str, Any], basis: str, stream: bool
) -> None:
    budget, key = customer_key(price(acme, base_url=echo.base_url))
    said = [{"type": "message", "content": [{"type": "output_text", "text": "one two"}]}]
    whole = response("incomplete", output=said, **told)
    echo.pieces = [json.dumps(whole).encode()]
    if stream:
        echo.kind = b"text/event-stream"
        echo.pieces = [
            event("response.output_text.delta", delta="one two"),
            event("response.incomplete", response=whole),
        ]
    assert post(proxy, key, max_output_tokens=50, stream=stream).status_code == 200
    [(_, found, cost, body)] = acme.rows()
    assert found == basis
    assert 0 < cost <= body.quote_cost_nanousd
    assert acme.spent(budget) == (cost, 0)
    assert (cost == body.quote_cost_nanousd) == (
        told["usage"] in ("nothing", {"input_tokens": -5, "output_tokens": 1})
    )


def test_an_answer_without_text_may_have_cost_nothing(acme: Tenant, proxy: Proxy, echo: Echo) -> None:
    budget, key = customer_key(price(acme, base_url=echo.base_url))
    filtered = response("incomplete", incomplete_details={"reason": "content_filter"}, usage=usage(0, 0))
    echo.pieces = [json.dumps(filtered).encode()]
    assert post(proxy, key).status_code == 200
    assert acme.spent(budget) == (0, 0)
    [(_, basis, _, _)] = acme.rows()
    assert basis == "reported"


@pytest.mark.parametrize(
    "whole",
    [
        response("queued", background=True, usage=None),
        response("completed", output=[{"type": "reasoning", "summary": []}], usage=None),
    ],
)
def test_what_cannot_be_seen_is_charged_at_the_hold(
    acme: Tenant, proxy: Proxy, echo: Echo, whole: dict[str, Any]
) -> None:
    budget, key = customer_key(price(acme, base_url=echo.base_url))
    echo.pieces = [json.dumps(whole).encode()]
    assert post(proxy, key, max_output_tokens=50).status_code == 200
    [(_, basis, cost, body)] = acme.rows()
    assert (basis, cost) == ("estimated", body.quote_cost_nanousd)
    assert acme.spent(budget) == (cost, 0)


def test_a_stream_that_stays_in_the_queue_is_charged_at_the_hold(
    acme: Tenant, proxy: Proxy, echo: Echo
) -> None:
    _, key = customer_key(price(acme, base_url=echo.base_url))
    echo.kind = b"text/event-stream"
    echo.pieces = [event("response.queued", response=response("queued", usage=None))]
    assert post(proxy, key, stream=True, max_output_tokens=50).status_code == 200
    [(_, basis, cost, body)] = acme.rows()
    assert (basis, cost, body.response_model) == ("estimated", body.quote_cost_nanousd, "sim-mini")


def test_an_answer_of_unexpected_types_is_still_billed(acme: Tenant, proxy: Proxy, echo: Echo) -> None:
    _, key = customer_key(price(acme, base_url=echo.base_url))
    odd = [{"type": "web_search_call", "action": {"type": "open_page"}, "content": "none"}, 5, {"type": 5}]
    echo.pieces = [json.dumps(response(output=odd, usage=usage(), service_tier=["odd"])).encode()]
    assert post(proxy, key).status_code == 200
    [(_, basis, cost, body)] = acme.rows()
    assert (basis, cost, dict(body.extras)) == ("reported", 8 * 1000 + 3 * 2000, {})


@pytest.mark.parametrize("raw", [b"<html>", b"[]", b'{"object":"response"}'])
def test_an_answer_that_is_none_is_counted_as_it_stands(
    acme: Tenant, proxy: Proxy, echo: Echo, raw: bytes
) -> None:
    _, key = customer_key(price(acme, base_url=echo.base_url))
    echo.pieces = [raw]
    assert post(proxy, key).status_code == 200
    [(_, basis, cost, _)] = acme.rows()
    assert (basis, cost > 0) == ("estimated", True)


def test_a_stream_under_another_content_type_is_read_all_the_same(
    acme: Tenant, proxy: Proxy, echo: Echo
) -> None:
    budget, key = customer_key(price(acme, base_url=echo.base_url))
    echo.pieces = [event("response.completed", response=response(usage=usage()))]
    assert post(proxy, key).status_code == 200
    assert acme.spent(budget) == (8 * 1000 + 3 * 2000, 0)


@pytest.mark.parametrize(
    "failure",
    [
        event("error", code="server_error", message="no", param=None),
        event("response.failed", response=response("failed", error={"code": "server_error"}, usage=None)),
        b'data: {"error":{"message":"no"}}\n\n',
    ],
)
def test_an_error_inside_a_stream_is_told_and_counted(
    acme: Tenant, proxy: Proxy, echo: Echo, failure: bytes
) -> None:
    budget, key = customer_key(price(acme, base_url=echo.base_url))
    echo.kind = b"text/event-stream"
    echo.pieces = [event("response.output_text.delta", delta="one two"), failure]
    answer = post(proxy, key, stream=True)
    assert answer.content.endswith(failure)
    [(_, basis, cost, body)] = acme.rows()
    assert (basis, body.end) == ("estimated", "error_inside")
    assert acme.spent(budget) == (cost, 0)


def test_searches_are_billed_by_the_call(acme: Tenant, proxy: Proxy, echo: Echo) -> None:
    price(acme, base_url=echo.base_url, web_search=10_000_000)
    acme.publish(allowances={"web_search": 100})
    budget, key = customer_key(acme)
    calls = [
        {"type": "web_search_call", "action": {"type": kind}} for kind in ("search", "open_page", "search")
    ]
    echo.pieces = [json.dumps(response(output=calls, usage=usage(700, 3))).encode()]
    tools = [{"type": "web_search"}]
    assert code_of(post(proxy, key, tools=[{"type": "file_search"}])) == (400, "uncountable")
    assert post(proxy, key, tools=tools, max_tool_calls=3, max_output_tokens=50).status_code == 200
    [(_, basis, cost, body)] = acme.rows()
    assert (basis, dict(body.extras)) == ("reported", {"web_search": 2})
    assert cost == 700 * 1000 + 3 * 2000 + 2 * 10_000_000
    most = 4 * (body.quoted_input_tokens // 4 * 1000 + 50 * 2000) + 3 * 10_000_000
    assert body.quote_cost_nanousd == most >= cost
    assert acme.spent(budget) == (cost, 0)


def test_a_number_of_calls_that_nobody_stated_is_sent_along(acme: Tenant, proxy: Proxy, echo: Echo) -> None:
    price(acme, base_url=echo.base_url, web_search=10_000_000)
    acme.publish(allowances={"web_search": 100})
    _, key = customer_key(acme)
    echo.pieces = [json.dumps(response(usage=usage())).encode()]
    for fields in ({}, {"max_tool_calls": 2}):
        assert post(proxy, key, tools=[{"type": "web_search"}], **fields).status_code == 200
    assert post(proxy, key).status_code == 200
    assert [json.loads(body).get("max_tool_calls") for body in echo.bodies] == [10, 2, None]


@pytest.mark.parametrize(
    ("fields", "code", "param"),
    [
        ({"background": True}, "invalid_request", "background"),
        ({"max_tokens": 5}, "invalid_request", "max_tokens"),
        ({"input": 5}, "invalid_request", "input"),
        ({"previous_response_id": "resp_1"}, "uncountable", "previous_response_id"),
        ({"conversation": "conv_1"}, "uncountable", "conversation"),
        ({"prompt": {"id": "pmpt_1"}}, "uncountable", "prompt"),
        ({"tools": [{"type": "image_generation"}]}, "uncountable", "tools[0].image_generation"),
        ({"tools": [{"type": "mcp"}]}, "uncountable", "tools[0].mcp"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "uncountable", "input[0].item_reference"),
        ({"modalities": ["audio"]}, "uncountable", "modalities"),
    ],
)
def test_what_has_no_bound_is_refused_by_name(
    acme: Tenant, proxy: Proxy, bill: Bill, fields: dict[str, Any], code: str, param: str
) -> None:
    before = bill.last()
    budget, key = customer_key(price(acme))
    answer = post(proxy, key, **fields)
    assert code_of(answer) == (400, code)
    assert answer.json()["error"]["param"] == param
    assert (bill.last(), acme.spent(budget)) == (before, (0, 0))


def test_a_compaction_is_held_at_its_most_and_settled(acme: Tenant, proxy: Proxy, bill: Bill) -> None:
    budget, key = customer_key(price(acme, "sim-words-3"))
    answer = post(proxy, key, "sim-words-3", path="/v1/responses/compact")
    assert answer.json()["object"] == "response.compaction"
    [(_, basis, cost, body)] = acme.rows()
    assert (basis, cost) == ("reported", cost_of(answer.json()["usage"]))
    assert (body.output_cap, acme.spent(budget)) == (1024, (cost, 0))
    assert "farebox-output-cap" not in answer.headers
    assert bill.records()[-1]["billed_nanousd"] == cost


def test_a_compaction_without_usage_is_charged_at_the_hold(acme: Tenant, proxy: Proxy, echo: Echo) -> None:
    budget, key = customer_key(price(acme, base_url=echo.base_url))
    echo.pieces = [json.dumps({"object": "response.compaction", "output": [{"type": "compaction"}]}).encode()]
    assert post(proxy, key, path="/v1/responses/compact").status_code == 200
    assert b"max_output_tokens" not in echo.bodies[0]
    [(_, basis, cost, body)] = acme.rows()
    assert (basis, cost) == ("estimated", body.quote_cost_nanousd)
    assert acme.spent(budget) == (cost, 0)


def test_counting_a_prompt_is_free_and_leaves_a_row(acme: Tenant, proxy: Proxy, bill: Bill) -> None:
    price(acme)
    budget, key = customer_key(acme, "0.000001")
    answer = post(proxy, key, path="/v1/responses/input_tokens")
    assert answer.json() == {"object": "response.input_tokens", "input_tokens": 8}
    [(kind, basis, cost, body)] = acme.rows()
    assert (kind, basis, cost, body.quote_cost_nanousd) == ("released", "none", 0, 0)
    assert acme.spent(budget) == (0, 0)
    assert bill.records()[-1]["path"] == "/v1/responses/input_tokens"


def test_counting_names_the_model_as_the_account_knows_it(acme: Tenant, proxy: Proxy, echo: Echo) -> None:
    price(acme, base_url=echo.base_url)
    _, key = customer_key(acme)
    for path in ("/v1/responses/input_tokens", "/v1/responses"):
        echo.pieces = [json.dumps(response(usage=usage())).encode()]
        assert post(proxy, key, "main/sim-mini", path=path).status_code == 200
    assert [json.loads(body)["model"] for body in echo.bodies] == ["sim-mini", "sim-mini"]


@pytest.mark.parametrize("path", ["/v1/responses", "/v1/responses/compact", "/v1/responses/input_tokens"])
def test_a_provider_that_refuses_costs_nothing(acme: Tenant, proxy: Proxy, path: str) -> None:
    budget, key = customer_key(price(acme, "sim-error-400"))
    answer = post(proxy, key, "sim-error-400", path=path)
    assert answer.status_code == (200 if path.endswith("tokens") else 400)
    assert acme.spent(budget) == (0, 0)
