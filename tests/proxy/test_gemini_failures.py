"""What goes wrong on Gemini's routes: refusals in Google's shape, a provider's errors, streams that break off."""

from __future__ import annotations

import json
from typing import Any

import httpx
import msgspec
import pytest

from tests.proxy.conftest import Bill, Proxy, Tenant
from tests.proxy.echo import Echo
from tests.proxy.gemini import INFO, chunks, code_of, post, speak_gemini, stream
from tests.proxy.test_gemini import ANSWER


def test_a_refusal_has_googles_shape_and_our_numbers(acme: Tenant, proxy: Proxy, bill: Bill) -> None:
    speak_gemini(acme)
    sent = bill.last()
    budget = acme.budget("0.000001")
    refused = post(proxy, acme.key(acme.customer(budget)))
    assert code_of(refused) == (402, "FAILED_PRECONDITION", "budget_exceeded")
    assert refused.headers["x-should-retry"] == "false"
    metadata = refused.json()["error"]["details"][0]["metadata"]
    assert metadata["budget_id"] == budget.budget_id
    assert (metadata["limit_usd"], metadata["spent_usd"]) == ("0.000001", "0.00")
    assert bill.last() == sent


@pytest.mark.parametrize("sse", [True, False])
def test_a_refused_stream_is_a_whole_document(acme: Tenant, proxy: Proxy, sse: bool) -> None:
    speak_gemini(acme)
    refused = stream(proxy, acme.key(acme.customer(acme.budget("0.000001"))), sse=sse)
    assert code_of(refused)[2] == "budget_exceeded"
    assert refused.headers["content-type"] == "application/json"


def test_every_refusal_of_ours_has_the_shape(acme: Tenant, proxy: Proxy, chat: Any) -> None:
    key = acme.key(acme.customer(acme.budget()))
    assert code_of(post(proxy, key)) == (404, "NOT_FOUND", "no_provider_account")
    speak_gemini(acme)
    assert code_of(post(proxy, "fbx_ck_test_nonsense")) == (401, "UNAUTHENTICATED", "invalid_key")
    assert code_of(post(proxy, "")) == (401, "UNAUTHENTICATED", "invalid_key")
    assert code_of(post(proxy, "", query="?key=nonsense"))[2] == "invalid_key"
    assert code_of(post(proxy, key, "sim-exact")) == (400, "INVALID_ARGUMENT", "unpriced_model")
    assert code_of(post(proxy, key, contents=None))[2] == "invalid_request"
    assert code_of(post(proxy, key, method="batchGenerateContent")) == (404, "NOT_FOUND", "unsupported_route")
    assert code_of(post(proxy, key, version="v9"))[2] == "unsupported_route"
    for query in ("?fields=candidates", "?$fields=candidates", "?alt=proto"):
        assert code_of(post(proxy, key, query=query)) == (400, "INVALID_ARGUMENT", "invalid_request")
    narrow = acme.key(acme.customer(acme.budget()), models_allowed=("sim-mini",))
    assert code_of(post(proxy, narrow, "gem/sim-exact")) == (403, "PERMISSION_DENIED", "model_not_allowed")
    assert chat(key).json()["error"]["code"] == "no_provider_account"


@pytest.mark.parametrize(
    "body",
    [
        b'{"contents":[{"parts":[{"text":"a"}]}],"contents":[]}',
        b'{"generationConfig":{"maxOutputTokens":1},"generation_config":{},"contents":[{"parts":[{"text":"a"}]}]}',
        b'{"generationConfig":{"maxOutputTokens":1,"max_output_tokens":9},"contents":[{"parts":[{"text":"a"}]}]}',
        b'{"generationConfig":{"MaxOutputTokens":9},"contents":[{"parts":[{"text":"a"}]}]}',
        b'{"model":"models/another","contents":[{"parts":[{"text":"a"}]}]}',
        b"[]",
        b'{"contents":',
    ],
)
def test_a_body_that_can_be_read_in_two_ways_is_refused(
    acme: Tenant, proxy: Proxy, bill: Bill, body: bytes
) -> None:
    speak_gemini(acme)
    sent = bill.last()
    headers = {"x-goog-api-key": acme.key(acme.customer(acme.budget()))}
    url = f"{proxy.url}/gemini/v1beta/models/sim-mini:generateContent"
    assert code_of(httpx.post(url, content=body, headers=headers)) == (
        400,
        "INVALID_ARGUMENT",
        "invalid_request",
    )
    assert bill.last() == sent


def test_what_cannot_be_bounded_is_named(acme: Tenant, proxy: Proxy) -> None:
    speak_gemini(acme, "gemini-2.5-flash")
    key = acme.key(acme.customer(acme.budget()))
    file = {"fileData": {"fileUri": "https://generativelanguage.googleapis.com/v1beta/files/x"}}
    refused = post(proxy, key, "gemini-2.5-flash", contents=[{"parts": [file]}])
    assert code_of(refused)[2] == "uncountable"
    assert refused.json()["error"]["details"][0]["metadata"][
        "param"
    ] == "contents[0].parts[0].fileData.fileUri" or ("fileData" in refused.json()["error"]["message"])
    cached = post(proxy, key, "gemini-2.5-flash", cachedContent="cachedContents/x")
    assert "cached_content" in cached.json()["error"]["message"]


@pytest.mark.parametrize(
    ("status", "code", "ended"),
    [
        (400, None, "released"),
        (401, "provider_auth_failed", "released"),
        (403, "provider_auth_failed", "released"),
        (429, "provider_rate_limited", "released"),
        (500, None, "expired"),
        (503, None, "released"),
    ],
)
@pytest.mark.parametrize("streamed", [None, True, False])
def test_a_providers_error_is_booked_by_its_status(
    acme: Tenant, proxy: Proxy, status: int, code: str | None, ended: str, streamed: bool | None
) -> None:
    model = f"sim-error-{status}"
    speak_gemini(acme, model)
    key = acme.key(acme.customer(acme.budget()))
    answer = post(proxy, key, model) if streamed is None else stream(proxy, key, model, sse=streamed)
    if code is not None:
        assert code_of(answer)[2] == code
    else:
        document = answer.json()
        error = (document[0] if isinstance(document, list) else document)["error"]
        assert (answer.status_code, error["code"]) == (status, status)
    [(kind, _, _, _)] = acme.rows()
    assert kind == ended


def test_a_wrong_credential_is_the_accounts_fault_although_google_says_400(
    acme: Tenant, proxy: Proxy
) -> None:
    made = acme.account("gem", default=True, base_url=acme.base_url.removesuffix("/v1"), key="nonsense")
    speak_gemini(acme)
    acme.publish(accounts=(msgspec.structs.replace(made, dialect="gemini"),))
    key = acme.key(acme.customer(acme.budget()))
    for answer in (post(proxy, key), stream(proxy, key), stream(proxy, key, sse=False)):
        assert code_of(answer) == (502, "UNAVAILABLE", "provider_auth_failed")


def test_a_missing_model_is_named(acme: Tenant, proxy: Proxy) -> None:
    speak_gemini(acme, "no-such")
    assert code_of(post(proxy, acme.key(acme.customer(acme.budget())), "no-such"))[2] == "model_not_found"


@pytest.mark.parametrize("sse", [True, False])
def test_a_stream_that_breaks_off_stays_at_the_quote_and_ends_in_an_error(
    acme: Tenant, proxy: Proxy, sse: bool
) -> None:
    speak_gemini(acme, "sim-cut-2")
    answer = stream(proxy, acme.key(acme.customer(acme.budget())), "sim-cut-2", sse=sse)
    *whole, last = chunks(answer)
    assert len(whole) == 2
    info = last["error"]["details"][0]
    assert (last["error"]["code"], info["@type"], info["reason"]) == (502, INFO, "provider_error")
    [(kind, basis, _, body)] = acme.rows()
    assert (kind, basis, body.end) == ("expired", "unresolved", "cut")


def test_an_array_that_breaks_off_before_its_first_element_is_still_one(
    acme: Tenant, proxy: Proxy, echo: Echo
) -> None:
    speak_gemini(acme, base_url=echo.base_url.removesuffix("/v1"))
    echo.kind = b"application/json"
    echo.pieces = [b'[{"candidates": [', b"x" * (33 * 1024 * 1024)]
    answer = stream(proxy, acme.key(acme.customer(acme.budget())), sse=False)
    [only] = answer.json()
    assert only["error"]["details"][0]["reason"] == "provider_error"


@pytest.mark.parametrize("sse", [True, False])
def test_an_error_within_a_stream_passes_and_what_came_before_is_booked(
    acme: Tenant, proxy: Proxy, sse: bool
) -> None:
    speak_gemini(acme, "sim-midstream-error")
    answer = stream(proxy, acme.key(acme.customer(acme.budget())), "sim-midstream-error", sse=sse)
    assert chunks(answer)[-1]["error"]["status"] == "UNAVAILABLE"
    [(_, basis, cost, body)] = acme.rows()
    assert body.end == "error_inside"
    assert (basis, cost) == ("reported", 8 * 1000 + body.usage["output"] * 2000)


def answered(**usage: Any) -> bytes:
    return json.dumps({**ANSWER, "usageMetadata": usage}).encode()


@pytest.mark.parametrize(
    ("piece", "basis"),
    [
        (answered(promptTokenCount=8, candidatesTokenCount=3, totalTokenCount=5), "estimated"),
        (answered(candidatesTokenCount=3), "estimated"),
        (answered(promptTokenCount="many"), "estimated"),
        (
            b'{"candidates": 7, "usageMetadata": {"promptTokenCount": 8, "candidatesTokenCount": 3}}',
            "reported",
        ),
        (b'[{"candidates": []}, ' + answered(promptTokenCount=8, candidatesTokenCount=3) + b"]", "reported"),
        (b"data: " + answered(promptTokenCount=8, candidatesTokenCount=3) + b"\r\n\r\n", "reported"),
        (b"not JSON at all", "estimated"),
        (answered(promptTokenCount=8, totalTokenCount=8), "estimated"),
        (b'{"candidates": [], "usageMetadata": 7}', "estimated"),
    ],
)
def test_a_report_is_believed_or_booked_at_the_hold(
    acme: Tenant, proxy: Proxy, echo: Echo, piece: bytes, basis: str
) -> None:
    speak_gemini(acme, base_url=echo.base_url.removesuffix("/v1"))
    echo.pieces = [piece]
    post(proxy, acme.key(acme.customer(acme.budget())), generationConfig={"maxOutputTokens": 100})
    [(_, booked, cost, _)] = acme.rows()
    assert booked == basis
    if basis == "reported":
        assert cost == 8 * 1000 + 3 * 2000
    else:
        assert 0 < cost <= 8 * 1000 + 100 * 2000


def test_a_model_that_thinks_unseen_is_booked_at_its_hold_without_usage(
    acme: Tenant, proxy: Proxy, echo: Echo
) -> None:
    speak_gemini(acme, "gemini-2.5-flash", base_url=echo.base_url.removesuffix("/v1"))
    echo.pieces = [json.dumps({"candidates": ANSWER["candidates"]}).encode()]
    key = acme.key(acme.customer(acme.budget()))
    for thinking, at_hold in (({}, True), ({"thinkingBudget": 0}, False)):
        config = {"maxOutputTokens": 100, "thinkingConfig": thinking}
        answer = post(proxy, key, "gemini-2.5-flash", generationConfig=config)
        assert acme.rows()[-1][1] == "estimated"
        assert (answer.headers["farebox-cost-usd"] == answer.headers["farebox-quote-usd"]) is at_hold


def test_the_shape_of_errors_is_kept_on_every_path_of_its_own(proxy: Proxy) -> None:
    assert code_of(httpx.get(f"{proxy.url}/gemini/v1beta/files"))[2] == "unsupported_route"
