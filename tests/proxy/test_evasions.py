"""Requests and answers that would be booked for less than they cost: what a count, a cut or an odd type may hide."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from proxy.providers.anthropic import AnthropicMessages
from proxy.providers.base import Countable, Report, Traits
from proxy.providers.gemini import find_gemini
from proxy.providers.gemini_answers import read_answer as read_gemini
from proxy.providers.openai import OpenAIChat
from proxy.providers.openai_answers import ChatTap, read_answer
from proxy.providers.openai_wire import TRAITS
from proxy.providers.responses import OpenAIResponses
from tests.proxy.conftest import Proxy, Tenant
from tests.proxy.echo import Echo
from tests.proxy.gemini import post as post_gemini
from tests.proxy.gemini import speak_gemini
from tests.proxy.messages import post
from tests.proxy.responses import post as post_responses
from tests.proxy.responses import price
from tests.proxy.test_counting import MODEL, TEXT, Counting, key_of, priced, provider, quoted_nanousd
from tests.proxy.test_streams import USAGE, chunk

__all__ = ["provider"]  # the fixture

PAINTED = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}


def test_a_count_under_one_beta_says_nothing_of_another(
    acme: Tenant, proxy: Proxy, provider: Counting
) -> None:
    key = key_of(acme, provider)
    provider.count = b'{"input_tokens":600}'
    assert quoted_nanousd(post(proxy, key, MODEL, messages=TEXT, headers={"anthropic-beta": "b"})) == priced(
        612
    )
    provider.count = b'{"input_tokens":1000}'
    assert quoted_nanousd(post(proxy, key, MODEL, messages=TEXT)) == priced(1020)
    assert len(provider.counted) == 2


@pytest.mark.parametrize("count", [0, 10_000_001, 10**30])
def test_a_count_of_nothing_or_of_everything_is_none(
    acme: Tenant, proxy: Proxy, provider: Counting, count: int
) -> None:
    key = key_of(acme, provider)
    provider.count = b'{"input_tokens":%d}' % count
    assert quoted_nanousd(post(proxy, key, MODEL, messages=TEXT)) > priced(2000)


def counting(dialect: Any, **fields: Any) -> object:
    """What a dialect would ask its provider to count of a request with these fields."""
    call = dialect.decode(json.dumps(fields).encode())
    assert isinstance(call, Countable)
    return call.counting(call.model, dialect.traits_of("openai"))


AT_AN_ADDRESS = "https://a.example/x"


@pytest.mark.parametrize(
    "fields",
    [
        {"conversation": "conv_1"},
        {"prompt": {"id": "pmpt_1"}},
        {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": AT_AN_ADDRESS}]}]},
        {"input": [{"role": "user", "content": [{"type": "input_file", "file_url": AT_AN_ADDRESS}]}]},
    ],
)
def test_what_may_be_another_by_the_time_of_the_call_is_not_counted(fields: dict[str, Any]) -> None:
    assert counting(OpenAIResponses(), **{"model": "gpt-5", "input": "hi", **fields}) is None


@pytest.mark.parametrize("kind", ["image", "document"])
def test_anthropics_addresses_are_not_counted(kind: str) -> None:
    for source, counts in (
        ({"type": "url", "url": AT_AN_ADDRESS}, False),
        ({"type": "file", "file_id": "f"}, True),
    ):
        said = [{"role": "user", "content": [{"type": kind, "source": source}]}]
        found = counting(AnthropicMessages(), model="claude-opus-4-8", max_tokens=5, messages=said)
        assert (found is not None) is counts


@pytest.mark.parametrize("name", ["fileUri", "file_uri"])
def test_googles_addresses_are_counted_where_they_are_its_own(name: str) -> None:
    dialect = find_gemini("POST", "/gemini/v1/models/gemini-3-flash:generateContent", b"")
    kept = "https://generativelanguage.googleapis.com/v1beta/files/x"
    for address, counts in ((AT_AN_ADDRESS, False), (kept, True)):
        contents = [{"parts": [{"fileData": {name: address}}]}]
        assert (counting(dialect, contents=contents) is not None) is counts


def test_what_is_in_the_request_is_counted() -> None:
    part = {"type": "input_image", "image_url": "data:image/png;base64,AAAA"}
    given = [{"role": "user", "content": [part, {"type": "input_text", "text": AT_AN_ADDRESS}]}]
    assert counting(OpenAIResponses(), model="gpt-5", input=given) is not None


def chat_report(*events: bytes, traits: Traits = TRAITS["perplexity"], ends: bool = False) -> Report:
    """What a stream of these events tells, cut off unless it ends."""
    tap = ChatTap(strip_usage=False, traits=traits)
    for event in events:
        tap.feed(event)
    if ends:
        tap.finish()
    return tap.report()


def test_usage_that_grows_is_not_whole_before_its_stream_is() -> None:
    events = [
        chunk("a", usage=USAGE),
        chunk("b", usage={**USAGE, "completion_tokens": 5, "total_tokens": 13}),
    ]
    cut = chat_report(*events)
    assert cut.usage is None
    assert cut.prompt is not None
    assert (cut.prompt.input_tokens, cut.prompt.all_output_tokens, cut.text) == (8, 0, "ab")
    last = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
    for whole in (chat_report(*events, ends=True), chat_report(*events, last)):
        assert whole.usage is not None
        assert whole.usage.output_tokens == 5
    assert chat_report(*events, traits=TRAITS["openai"]).usage is not None


def test_an_empty_report_takes_nothing_back() -> None:
    found = chat_report(chunk("a", usage=USAGE), chunk(usage={}), traits=TRAITS["openai"])
    assert found.usage is not None
    assert found.usage.output_tokens == 3


@pytest.mark.parametrize(
    "media", [{"audio": {"data": "AAAA"}}, {"images": [{"image_url": {"url": "data:"}}]}]
)
def test_sound_and_pictures_say_nothing_of_their_tokens(media: dict[str, Any]) -> None:
    streamed = b"data: " + json.dumps({"choices": [{"index": 0, "delta": media}]}).encode() + b"\n\n"
    whole = json.dumps({"choices": [{"index": 0, "message": media}]}).encode()
    for found in (chat_report(streamed), read_answer(whole)):
        assert found.usage is None
        assert found.thought
    assert not chat_report(chunk("a")).thought


def test_what_a_custom_tool_is_given_is_counted() -> None:
    call = {"type": "custom", "custom": {"name": "run", "input": "print(1)"}}
    whole = json.dumps({"choices": [{"message": {"tool_calls": [call]}}]}).encode()
    assert read_answer(whole).text == "runprint(1)"


def test_an_answer_that_is_to_be_spoken_hides_its_tokens() -> None:
    fields = {"model": "gpt-audio", "messages": [{"role": "user", "content": "hi"}]}
    for more, hides in (({}, False), ({"modalities": ["text", "audio"], "audio": {"voice": "a"}}, True)):
        call = OpenAIChat().decode(json.dumps({**fields, **more}).encode())
        assert call.hides_output("gpt-audio") is hides


def test_pictures_without_usage_are_booked_at_the_hold(acme: Tenant, proxy: Proxy, echo: Echo) -> None:
    speak_gemini(acme, base_url=echo.base_url.removesuffix("/v1"))
    key = acme.key(acme.customer(acme.budget()))
    painted: dict[str, Any] = {"candidates": [{"content": {"parts": [PAINTED]}, "finishReason": "STOP"}]}
    zero = {"promptTokenCount": 0, "candidatesTokenCount": 0, "totalTokenCount": 0}
    for answer in (painted, {**painted, "usageMetadata": zero}):
        echo.pieces = [json.dumps(answer).encode()]
        assert post_gemini(proxy, key).status_code == 200
    rows = acme.rows()
    assert [(basis, cost) for _, basis, cost, _ in rows] == [
        ("estimated", body.quote_cost_nanousd) for *_, body in rows
    ]
    assert rows[0][2] > 1000


def test_a_picture_is_told_from_text_by_what_the_answer_holds() -> None:
    def extras(*parts: Any, **told: Any) -> dict[str, int]:
        usage = {"promptTokenCount": 1, "candidatesTokenCount": 1300, **told}
        body = {"candidates": [{"content": {"parts": parts}}], "usageMetadata": usage}
        found = read_gemini(json.dumps(body).encode(), "gemini-2.5-flash-image").usage
        assert found is not None
        assert found.all_output_tokens == 1300
        return dict(found.extras)

    sound = {"inlineData": {"mimeType": "audio/L16", "data": "AAAA"}}
    share = [{"modality": "IMAGE", "tokenCount": 1290}]
    assert extras({"text": "a"}) == {}
    assert extras(sound) == {}
    assert extras(PAINTED) == {"image_output_token": 1300}
    assert extras(PAINTED, candidatesTokensDetails=share) == {"image_output_token": 1290}


def test_a_folder_before_the_model_does_not_hide_it() -> None:
    for path in ("models/gemini-3-pro-image", "gemini-3-pro-image"):
        dialect = find_gemini("POST", f"/gemini/v1beta/models/{path}:generateContent", b"")
        assert dialect is not None
        assert dialect.decode(b'{"contents":[{"parts":[{"text":"x"}]}]}').model == "gemini-3-pro-image"


@pytest.mark.parametrize("requests", [True, 7, {"a": 1}, "x"])
def test_a_list_that_is_none_is_refused(acme: Tenant, proxy: Proxy, requests: Any) -> None:
    key = acme.key(speak_gemini(acme).customer(acme.budget()))
    answer = post_gemini(proxy, key, method="batchEmbedContents", requests=requests, contents=None)
    assert answer.status_code == 400, answer.text


@pytest.mark.parametrize("fields", [{"text": {"format": {"type": []}}}, {"tool_choice": {"mode": {}}}])
def test_an_odd_type_in_a_request_is_no_failure_of_ours(
    acme: Tenant, proxy: Proxy, fields: dict[str, Any]
) -> None:
    price(acme)
    key = acme.key(acme.customer(acme.budget()))
    assert post_responses(proxy, key, **fields).status_code in (200, 400)


def test_a_name_that_moves_is_held_at_the_dearest(acme: Tenant, proxy: Proxy, echo: Echo) -> None:
    """The recorded case: the alias was priced as a cheaper model than the one that answered."""
    speak_gemini(acme, base_url=echo.base_url.removesuffix("/v1"))
    account = acme.policy.accounts[0]
    acme.publish(accounts=(msgspec.structs.replace(account, provider="google"),))
    key = acme.key(acme.customer(acme.budget()))
    usage = {
        "promptTokenCount": 10,
        "candidatesTokenCount": 1,
        "thoughtsTokenCount": 11,
        "totalTokenCount": 22,
    }
    echo.pieces = [
        json.dumps(
            {
                "candidates": [{"content": {"parts": [{"text": "a"}]}, "finishReason": "MAX_TOKENS"}],
                "usageMetadata": usage,
                "modelVersion": "gemini-3.5-flash",
            }
        ).encode()
    ]
    answer = post_gemini(proxy, key, "gemini-flash-latest", generationConfig={"maxOutputTokens": 16})
    assert answer.status_code == 200, answer.text
    [(_, basis, cost, body)] = acme.rows()
    assert (basis, body.price_id.split("/")[3]) == ("reported", "gemini-3.5-flash")
    assert cost <= body.quote_cost_nanousd
    per_token_nanousd = 9_000
    assert body.quote_cost_nanousd >= 16 * per_token_nanousd
