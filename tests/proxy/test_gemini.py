"""Gemini through the proxy: whole answers, both forms of stream, names of models, caps, embeddings and counting."""

from __future__ import annotations

import json
import logging
from typing import Any

import httpx
import pytest

from proxy.logs import WithoutQueries
from tests.proxy.conftest import SIM_KEY, Bill, Proxy, Tenant, wait_for
from tests.proxy.echo import Echo
from tests.proxy.gemini import CONTENTS, SEARCH_NANOUSD, TOOLS, chunks, post, speak_gemini, stream

USAGE = {"promptTokenCount": 8, "candidatesTokenCount": 3, "totalTokenCount": 11}
ANSWER: dict[str, Any] = {
    "candidates": [{"content": {"parts": [{"text": "hi"}], "role": "model"}, "finishReason": "STOP"}],
    "usageMetadata": USAGE,
    "modelVersion": "sim-mini",
}


@pytest.mark.parametrize("version", ["v1beta", "v1"])
def test_a_whole_answer_is_settled_to_the_providers_own_bill(
    acme: Tenant, proxy: Proxy, bill: Bill, version: str
) -> None:
    budget = speak_gemini(acme).budget()
    answer = post(proxy, acme.key(acme.customer(budget)), version=version)
    assert answer.status_code == 200, answer.text
    usage = answer.json()["usageMetadata"]
    cost = usage["promptTokenCount"] * 1000 + usage["candidatesTokenCount"] * 2000
    assert answer.headers["farebox-cost-usd"] == f"{cost / 1e9:.9f}".rstrip("0")
    [(kind, basis, booked, body)] = acme.rows()
    assert (kind, basis, booked, body.end, body.dialect) == (
        "settled",
        "reported",
        cost,
        "complete",
        "gemini",
    )
    assert acme.spent(budget) == (cost, 0)
    record = bill.records()[-1]
    path = f"/{version}/models/sim-mini:generateContent"
    assert (record["billed_nanousd"], record["path"]) == (cost, path)


@pytest.mark.parametrize("sse", [True, False])
@pytest.mark.parametrize(
    "model", ["sim-mini", "sim-gzip", "sim-tools", "sim-words-5-lastusage", "sim-words-300", "sim-blocked"]
)
def test_a_streams_usage_is_its_last_report(
    acme: Tenant, proxy: Proxy, bill: Bill, model: str, sse: bool
) -> None:
    budget = speak_gemini(acme, model).budget()
    answer = stream(proxy, acme.key(acme.customer(budget)), model, sse=sse, tools=TOOLS)
    assert answer.headers["content-type"].startswith("text/event-stream" if sse else "application/json")
    usage = chunks(answer)[-1]["usageMetadata"]
    cost = usage["promptTokenCount"] * 1000 + usage["candidatesTokenCount"] * 2000
    assert acme.spent(budget) == (cost, 0)
    [(kind, basis, _, body)] = acme.rows()
    assert (kind, basis, body.end, body.stream) == ("settled", "reported", "complete", True)
    assert bill.records()[-1]["billed_nanousd"] == cost
    assert answer.headers["farebox-output-cap"] == "4096"


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("model", "buckets"),
    [
        ("sim-cached-3", {"cache_read": 3, "input": 5}),
        ("sim-reasoning-20", {"reasoning": 20}),
        ("sim-words-3-noprompt", {"input": 8, "output": 3}),
        ("sim-reasoning-20-nocandidates", {"input": 8, "reasoning": 20}),
    ],
)
def test_cache_thoughts_and_parts_left_out_are_decomposed(
    acme: Tenant, proxy: Proxy, bill: Bill, model: str, buckets: dict[str, int], streamed: bool
) -> None:
    budget = speak_gemini(acme, model).budget()
    key = acme.key(acme.customer(budget))
    assert (stream(proxy, key, model) if streamed else post(proxy, key, model)).status_code == 200
    [(_, basis, cost, body)] = acme.rows()
    assert basis == "reported"
    assert {name: body.usage.get(name) for name in buckets} == buckets
    assert cost == bill.records()[-1]["billed_nanousd"]


def test_what_a_total_alone_holds_is_billed_as_output(acme: Tenant, proxy: Proxy) -> None:
    speak_gemini(acme, "sim-words-3-mismatch")
    post(proxy, acme.key(acme.customer(acme.budget())), "sim-words-3-mismatch")
    [(_, basis, cost, body)] = acme.rows()
    assert (basis, cost, body.usage["reasoning"]) == ("reported", 8 * 1000 + 10 * 2000, 7)


@pytest.mark.parametrize(("streamed", "model"), [(False, "gemini-2.5-pro"), (True, "gemini-3-pro-preview")])
def test_searches_are_billed_by_the_models_generation(
    acme: Tenant, proxy: Proxy, echo: Echo, streamed: bool, model: str
) -> None:
    allowances = {"web_search": 1000}
    speak_gemini(acme, model, base_url=echo.base_url.removesuffix("/v1"), allowances=allowances)
    found = {"webSearchQueries": ["one", "", "two", "one"]}
    candidate = {**ANSWER["candidates"][0], "groundingMetadata": found}
    document = {**ANSWER, "candidates": [candidate], "modelVersion": model}
    if streamed:
        echo.kind = b"text/event-stream"
        echo.pieces = [b"data: " + json.dumps(document).encode() + b"\r\n\r\n"]
    else:
        echo.pieces = [json.dumps(document).encode()]
    budget = acme.budget("100.00")
    key = acme.key(acme.customer(budget))
    send = stream if streamed else post
    answer = send(proxy, key, model, tools=[{"googleSearch": {}}])
    assert answer.status_code == 200, answer.text
    searches = 2 if streamed else 1
    [(_, basis, cost, body)] = acme.rows()
    assert (basis, body.extras) == ("reported", {"web_search": searches})
    assert cost == 8 * 1000 + 3 * 2000 + searches * SEARCH_NANOUSD
    acme.publish(allowances={})
    refused = post(proxy, key, model, tools=[{"googleSearch": {}}])
    assert refused.status_code == 400
    assert "web_search" in refused.json()["error"]["message"]


@pytest.mark.parametrize("cut_bytes", [1, 7, 10_000])
@pytest.mark.parametrize("sse", [True, False])
def test_a_stream_passes_byte_for_byte(
    acme: Tenant, proxy: Proxy, echo: Echo, cut_bytes: int, sse: bool
) -> None:
    speak_gemini(acme, base_url=echo.base_url.removesuffix("/v1"))
    budget = acme.budget()
    parts = ["h\u00e9l", 'a "quoted" } ] , { [ \\', "lo  "]
    documents = [
        json.dumps({"candidates": [{"content": {"parts": [{"text": text}]}}]}, indent=1 if not sse else None)
        for text in parts
    ]
    documents.append(json.dumps(ANSWER))
    if sse:
        whole = b"".join(b"data: " + one.encode() + b"\r\n\r\n" for one in documents)
    else:
        whole = b"[" + b"\n,\r\n".join(one.encode() for one in documents) + b"\n]\n"
    echo.kind = b"text/event-stream" if sse else b"application/json; charset=UTF-8"
    echo.pieces = [whole[place : place + cut_bytes] for place in range(0, len(whole), cut_bytes)]
    answer = stream(proxy, acme.key(acme.customer(budget)), sse=sse)
    assert answer.content == whole
    assert acme.spent(budget) == (8 * 1000 + 3 * 2000, 0)


def test_an_array_is_not_held_back_until_its_end(acme: Tenant, proxy: Proxy) -> None:
    model = "sim-drip-100-words-9"
    speak_gemini(acme, model)
    url = f"{proxy.url}/gemini/v1beta/models/{model}:streamGenerateContent"
    headers = {"x-goog-api-key": acme.key(acme.customer(acme.budget()))}
    with httpx.stream("POST", url, json={"contents": CONTENTS}, headers=headers) as answer:
        pieces = answer.iter_bytes()
        first = next(pieces)
        assert first.startswith(b"[{")
        assert b"]" not in first[-1:]
        assert not acme.rows()
        assert b"".join(pieces).endswith(b"]")
    [(_, basis, _, body)] = acme.rows()
    assert (basis, body.usage["output"]) == ("reported", 9)


@pytest.mark.parametrize(
    "name",
    [
        "sim-mini",
        "gem/sim-mini",
        "gem%2Fsim-mini",
        "models/sim-mini",
        "models%2Fsim-mini",
        "gem/models/sim-mini",
    ],
)
def test_a_model_is_named_plainly_or_with_its_account(
    acme: Tenant, proxy: Proxy, bill: Bill, name: str
) -> None:
    speak_gemini(acme)
    answer = post(proxy, acme.key(acme.customer(acme.budget())), name)
    assert answer.status_code == 200, answer.text
    assert bill.records()[-1]["path"] == "/v1beta/models/sim-mini:generateContent"


def test_the_provider_gets_the_callers_bytes_and_its_own_credential(
    acme: Tenant, proxy: Proxy, echo: Echo
) -> None:
    speak_gemini(acme, base_url=echo.base_url.removesuffix("/v1"))
    echo.pieces = [json.dumps(ANSWER).encode()]
    key = acme.key(acme.customer(acme.budget()))
    body = b'{ "contents":[{"parts":[{"text":"h\\u00e9"}]}],  "generation_config":{"max_output_tokens": 7}, "x": 1.0 }'
    headers = {"x-goog-api-client": "google-genai-sdk/3", "x-secret": "mine", "x-goog-user-project": "p"}
    url = f"{proxy.url}/gemini/v1beta/models/sim-mini:generateContent?key={key}&prettyPrint=false"
    answer = httpx.post(url, content=body, headers=headers)
    assert answer.json() == ANSWER
    assert "farebox-output-cap" not in answer.headers
    assert echo.bodies == [body]
    head = echo.heads[-1].lower()
    assert head.startswith(b"post /v1beta/models/sim-mini:generatecontent http/1.1\r\n")
    assert b"x-goog-api-key: " + SIM_KEY.encode() + b"\r\n" in head
    assert b"x-goog-api-client: google-genai-sdk/3\r\n" in head
    assert key.lower().encode() not in head
    assert not any(name in head for name in (b"authorization", b"x-secret", b"x-goog-user-project"))
    assert key not in proxy.log.read_text()
    stream(proxy, key)
    assert echo.heads[-1].startswith(b"POST /v1beta/models/sim-mini:streamGenerateContent?alt=sse HTTP")


@pytest.mark.parametrize(
    ("sent", "seen"),
    [
        ({}, {"generationConfig": {"maxOutputTokens": 4096}}),
        ({"generationConfig": None}, {"generationConfig": {"maxOutputTokens": 4096}}),
        (
            {"generation_config": {"temperature": 1.0}},
            {"generation_config": {"temperature": 1.0, "maxOutputTokens": 4096}},
        ),
    ],
)
def test_an_output_cap_always_goes_out_in_the_spelling_present(
    acme: Tenant, proxy: Proxy, echo: Echo, sent: dict[str, Any], seen: dict[str, Any]
) -> None:
    speak_gemini(acme, base_url=echo.base_url.removesuffix("/v1"))
    echo.pieces = [json.dumps(ANSWER).encode()]
    key = acme.key(acme.customer(acme.budget()))
    assert post(proxy, key, **sent).headers["farebox-output-cap"] == "4096"
    assert json.loads(echo.bodies[-1]) == {"contents": CONTENTS, **seen}


def test_a_hold_is_for_every_candidate_and_is_cut_in_the_callers_spelling(
    acme: Tenant, proxy: Proxy, echo: Echo
) -> None:
    speak_gemini(acme, base_url=echo.base_url.removesuffix("/v1"))
    echo.pieces = [json.dumps(ANSWER).encode()]
    key = acme.key(acme.customer(acme.budget("0.003", on_exhaustion="clamp")))
    config = {"max_output_tokens": 2000, "candidate_count": 2}
    answer = post(proxy, key, generationConfig=config)
    assert answer.status_code == 200, answer.text
    cap = int(answer.headers["farebox-output-cap"])
    assert 256 <= cap < 2000
    assert json.loads(echo.bodies[-1])["generationConfig"] == {"max_output_tokens": cap, "candidate_count": 2}
    assert 2 * cap * 2000 <= 3_000_000
    schema = {**config, "responseSchema": {"type": "OBJECT"}}
    assert post(proxy, key, generationConfig=schema).status_code == 402


@pytest.mark.parametrize("method", ["embedContent", "batchEmbedContents"])
@pytest.mark.parametrize("model", ["sim-mini", "sim-nousage"])
def test_embeddings_are_billed_for_what_is_embedded(
    acme: Tenant, proxy: Proxy, bill: Bill, method: str, model: str
) -> None:
    budget = speak_gemini(acme, model).budget()
    one = {"model": f"models/gem/{model}", "content": CONTENTS[0]}
    fields = {"contents": None, **(one if method == "embedContent" else {"requests": [one, one]})}
    answer = post(proxy, acme.key(acme.customer(budget)), f"gem/{model}", method=method, **fields)
    assert answer.status_code == 200, answer.text
    tokens = 2 if method == "embedContent" else 4
    [(_, basis, cost, body)] = acme.rows()
    assert (basis, cost) == ("estimated" if model == "sim-nousage" else "reported", tokens * 1000)
    assert body.usage == {"input": tokens}
    assert bill.records()[-1]["billed_nanousd"] == cost


@pytest.mark.parametrize("nested", [False, True])
def test_counting_goes_through_the_door_and_costs_nothing(
    acme: Tenant, proxy: Proxy, bill: Bill, nested: bool
) -> None:
    budget = speak_gemini(acme, "not-priced").budget("0.000001")
    key = acme.key(acme.customer(budget))
    inner = {"model": "models/gem/sim-mini", "contents": CONTENTS}
    fields = {"contents": None, "generateContentRequest": inner} if nested else {}
    answer = post(proxy, key, "gem/sim-mini", method="countTokens", **fields)
    assert answer.json()["totalTokens"] == 8
    [(kind, basis, cost, body)] = acme.rows()
    assert (kind, basis, cost, body.price_id) == ("released", "none", 0, "free")
    assert bill.records()[-1]["billed_nanousd"] == 0
    assert acme.spent(budget) == (0, 0)


def test_a_servers_own_access_lines_tell_no_query() -> None:
    key = "fbx_ck_test_secret"
    given = ("127.0.0.1:1", "POST", f"/gemini/v1beta/models/x:countTokens?key={key}", "1.1", 200)
    record = logging.LogRecord("uvicorn.access", logging.INFO, "", 0, '%s - "%s %s HTTP/%s" %d', given, None)
    assert WithoutQueries().filter(record)
    assert key not in record.getMessage()
    assert "/gemini/v1beta/models/x:countTokens HTTP/1.1" in record.getMessage()


@pytest.mark.parametrize("sse", [True, False])
def test_a_caller_who_leaves_is_charged_for_what_was_used(
    acme: Tenant, proxy: Proxy, bill: Bill, sse: bool
) -> None:
    model = "sim-drip-20-words-100"
    speak_gemini(acme, model)
    budget = acme.budget()
    url = f"{proxy.url}/gemini/v1beta/models/{model}:streamGenerateContent{'?alt=sse' if sse else ''}"
    headers = {"x-goog-api-key": acme.key(acme.customer(budget))}
    with httpx.stream("POST", url, json={"contents": CONTENTS}, headers=headers) as answer:
        next(answer.iter_bytes())
    [(kind, basis, cost, body)] = wait_for(acme.rows)
    assert (kind, basis, body.end, body.usage["output"]) == ("settled", "reported", "client_gone", 100)
    assert cost == bill.records()[-1]["billed_nanousd"]
    assert acme.spent(budget) == (cost, 0)


def test_the_tier_that_the_provider_reports_sets_the_price(acme: Tenant, proxy: Proxy, echo: Echo) -> None:
    speak_gemini(acme, "sim-mini", "sim-mini@priority", base_url=echo.base_url.removesuffix("/v1"))
    dearer = acme.policy.prices[1]
    key = acme.key(acme.customer(acme.budget()))
    for tier in ("priority", "SERVICE_TIER_PRIORITY"):
        echo.pieces = [json.dumps({**ANSWER, "usageMetadata": {**USAGE, "serviceTier": tier}}).encode()]
        post(proxy, key, serviceTier="priority")
        assert acme.rows()[-1][3].price_id == dearer.price_id
    plain = {**ANSWER, "usageMetadata": {**USAGE, "serviceTier": "standard"}}
    echo.pieces = [json.dumps(plain).encode()]
    post(proxy, key, serviceTier="priority")
    assert acme.rows()[-1][3].price_id == acme.policy.prices[0].price_id
