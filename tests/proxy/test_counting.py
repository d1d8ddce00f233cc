"""An account that asks its provider for the count of a prompt: when, for what, and what comes of it."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import re
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import msgspec
import pytest

from metering.allowances import NONE
from metering.errors import UsageError
from metering.quote import BoundClass
from proxy.addresses import Origins
from proxy.counting import COUNT_BYTES_MAX, COUNTING_SECONDS, CountingDoor
from proxy.errors import ForbiddenAddress, NotSent, Unfinished
from proxy.providers.base import Countable, CountingRequest
from proxy.providers.counts import read_input_tokens, read_total_tokens
from proxy.providers.gemini import find_gemini
from proxy.providers.responses import OpenAICompact, OpenAIResponses
from proxy.settings import read_settings
from tests.proxy.conftest import Proxy, Tenant
from tests.proxy.echo import Echo
from tests.proxy.messages import INPUT, OUTPUT, account, code_of, post, speak_anthropic
from tests.proxy.test_settings import GOOD

MODEL = "claude-sonnet-4-5"
COUNTING = b"POST /v1/messages/count_tokens"
TEXT = [{"role": "user", "content": "word " * 400}]
ANSWER = {
    "id": "msg_1", "type": "message", "role": "assistant", "model": MODEL, "content": [{"type": "text", "text": "hi"}],
    "stop_reason": "end_turn", "usage": {"input_tokens": 1000, "output_tokens": 1},
}  # fmt: skip


class Counting(Echo):
    """A provider that counts and answers, each as it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.count: bytes = b'{"input_tokens":1000}'
        self.count_status = b"200 OK"
        self.count_waits_for = 0.0

    @property
    def counted(self) -> list[dict[str, Any]]:
        """The bodies that it was asked to count."""
        heads = zip(self.heads, self.bodies, strict=True)
        return [json.loads(body) for head, body in heads if head.startswith(COUNTING)]

    @property
    def generated(self) -> int:
        """How many calls it answered."""
        return len(self.heads) - len(self.counted)

    def _answer(self, connection: socket.socket) -> None:
        asked_to_count = self.heads[-1].startswith(COUNTING)
        self.pieces = [self.count if asked_to_count else json.dumps(ANSWER).encode()]
        self.status = self.count_status if asked_to_count else b"200 OK"
        if asked_to_count and self.count_waits_for:
            asyncio.run(asyncio.sleep(self.count_waits_for))
        super()._answer(connection)


@pytest.fixture
def provider() -> Iterator[Counting]:
    server = Counting()
    yield server
    server.close()


def key_of(acme: Tenant, provider: Counting, *, counts: bool = True, **changes: Any) -> str:
    """A key of a tenant whose account asks for counts."""
    root = provider.base_url.removesuffix("/v1")
    speak_anthropic(acme, MODEL, "sim-mini", base_url=root)
    acme.publish(accounts=(account(acme, root, provider="simulator", counts_exactly=counts),))
    return acme.key(acme.customer(acme.budget(), **changes))


def quoted_nanousd(answer: httpx.Response) -> int:
    assert answer.status_code == 200, answer.text
    return round(float(answer.headers["farebox-quote-usd"]) * 10**9)


def priced(input_tokens: int, output_tokens: int = 100) -> int:
    return (input_tokens * INPUT + output_tokens * OUTPUT) // 10**6


def outcomes(proxy: Proxy) -> dict[str, float]:
    text = httpx.get(f"{proxy.url}/metrics").text
    found = re.findall(r'farebox_counts_total\{outcome="(\w+)"\} (\d+)', text)
    return {name: float(number) for name, number in found}


def test_a_count_makes_the_quote_exact(acme: Tenant, proxy: Proxy, provider: Counting) -> None:
    key = key_of(acme, provider)
    fields = {"system": "Be brief.", "temperature": 0, "stop_sequences": ["x"], "messages": TEXT}
    answer = post(proxy, key, MODEL, headers={"anthropic-beta": "b-1"}, **fields)
    assert quoted_nanousd(answer) == priced(1020)  # and two per cent: Anthropic calls its counts estimates
    assert provider.counted == [{"model": MODEL, "messages": TEXT, "system": "Be brief."}]
    head = provider.heads[0].lower()
    assert b"x-api-key: sk-sim-" in head
    assert b"anthropic-beta: b-1" in head
    assert key.encode() not in head
    [(_, basis, cost_nanousd, body)] = acme.rows()
    assert (basis, body.bound_class, body.quoted_input_tokens) == ("reported", "exact", 1020)
    assert cost_nanousd == priced(1000, 1)


def test_what_was_counted_is_not_asked_again(acme: Tenant, proxy: Proxy, provider: Counting) -> None:
    key = key_of(acme, provider)
    before = outcomes(proxy)
    for max_tokens in (100, 50):
        post(proxy, key, MODEL, messages=TEXT, max_tokens=max_tokens)
    post(proxy, key, MODEL, messages=[{"role": "user", "content": "other"}])
    assert len(provider.counted) == 2
    assert provider.generated == 3
    after = outcomes(proxy)
    assert after["counted"] - before.get("counted", 0) == 2
    assert after["remembered"] - before.get("remembered", 0) == 1


def test_an_account_that_did_not_ask_for_it_is_bounded_here(
    acme: Tenant, proxy: Proxy, provider: Counting
) -> None:
    answer = post(proxy, key_of(acme, provider, counts=False), MODEL, messages=TEXT)
    assert quoted_nanousd(answer) > priced(2000)
    assert provider.counted == []


def test_a_bound_that_is_exact_is_not_asked_about(acme: Tenant, proxy: Proxy, provider: Counting) -> None:
    assert post(proxy, key_of(acme, provider), "sim-mini", messages=TEXT).status_code == 200
    assert provider.counted == []


@pytest.mark.parametrize(
    ("status", "count"),
    [
        (b"500 Internal Server Error", b'{"input_tokens":1000}'),
        (b"200 OK", b"<html>"),
        (b"200 OK", b'{"input_tokens":-1}'),
        (b"200 OK", b'{"input_tokens":1000' + b" " * COUNT_BYTES_MAX + b"}"),
    ],
    ids=["refused", "no JSON", "no count", "endless"],
)
def test_without_a_count_our_own_bound_holds(
    acme: Tenant, proxy: Proxy, provider: Counting, status: bytes, count: bytes
) -> None:
    key = key_of(acme, provider)
    provider.count_status, provider.count = status, count
    before = outcomes(proxy)
    answer = post(proxy, key, MODEL, messages=TEXT)
    assert quoted_nanousd(answer) > priced(2000)
    assert outcomes(proxy)["failed"] - before.get("failed", 0) == 1
    # A failure is not remembered.
    provider.count_status, provider.count = b"200 OK", b'{"input_tokens":900}'
    assert quoted_nanousd(post(proxy, key, MODEL, messages=TEXT)) == priced(918)


def test_a_slow_count_is_not_waited_for(acme: Tenant, proxy: Proxy, provider: Counting) -> None:
    provider.count_waits_for = COUNTING_SECONDS + 2
    answer = post(proxy, key_of(acme, provider), MODEL, messages=TEXT)
    assert quoted_nanousd(answer) > priced(2000)
    assert answer.elapsed.total_seconds() < COUNTING_SECONDS + 2


def test_a_file_that_only_the_provider_knows_is_served_by_its_count(
    acme: Tenant, proxy: Proxy, provider: Counting
) -> None:
    file = {"type": "document", "source": {"type": "file", "file_id": "file_1"}}
    messages = [{"role": "user", "content": [file]}]
    key = key_of(acme, provider)
    acme.publish(accounts=(msgspec.structs.replace(acme.policy.accounts[0], provider="anthropic"),))
    prices = tuple(msgspec.structs.replace(price, provider="anthropic") for price in acme.policy.prices)
    acme.publish(prices=prices)
    assert quoted_nanousd(post(proxy, key, MODEL, messages=messages)) == priced(1020)
    provider.count_status = b"404 Not Found"
    messages[0]["content"] = [file, {"type": "text", "text": "and?"}]
    assert code_of(post(proxy, key, MODEL, messages=messages))[2] == "uncountable"
    assert provider.generated == 1


def test_who_may_not_use_a_model_has_nothing_counted(acme: Tenant, proxy: Proxy, provider: Counting) -> None:
    key = key_of(acme, provider, models_allowed=("sim-*",))
    assert code_of(post(proxy, key, MODEL))[2] == "model_not_allowed"
    assert code_of(post(proxy, key, "sim-mini", messages=[7]))[2] == "invalid_request"
    assert provider.heads == []


def send(path: str, base_url: str, *private: str) -> bytes:
    """Send one request through a door of its own."""
    settings = dataclasses.replace(read_settings(GOOD), private_upstreams=frozenset(private))
    made = account_at(base_url)
    return asyncio.run(CountingDoor(Origins(settings)).send(made, CountingRequest(path, b"{}"), []))


def account_at(base_url: str) -> Any:
    from enforcement.policies import ProviderAccount

    return ProviderAccount("acc_1", "a", "anthropic", "anthropic", base_url, "", counts_exactly=True)


@pytest.mark.parametrize(
    "path",
    [
        *("/v1/messages", "/v1/messages/count_tokens?x=1", "/v1/messages/count_tokens/../../messages"),
        *("/v1beta/models/gemini:generateContent", "/v1beta/models/a/b:countTokens", "/v1/responses", ""),
    ],
)
def test_the_door_leads_to_counting_paths_alone(echo: Echo, path: str) -> None:
    root = echo.base_url.removesuffix("/v1")
    with pytest.raises(NotSent, match="counts nothing"):
        send(path, root, root.removeprefix("http://"))
    assert echo.heads == []


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/v1/messages/count_tokens",
            "/v1beta/models/gemini-3-flash:countTokens",
            "/responses/input_tokens",
        ),
        *("/v1/responses/input_tokens", "/v1/models/gemini-3-flash:countTokens", "/messages/count_tokens"),
    ],
)
def test_the_door_leads_to_every_providers_count(echo: Echo, path: str) -> None:
    root = echo.base_url.removesuffix("/v1")
    echo.pieces = [b'{"input_tokens":', b"7}"]
    assert read_input_tokens(send(path, root, root.removeprefix("http://"))) == 7
    assert echo.heads[0].startswith(f"POST {path} HTTP".encode())


def test_the_door_goes_by_judged_addresses() -> None:
    for base_url in ("https://127.0.0.1", "http://127.0.0.1:1", "https://169.254.169.254"):
        with pytest.raises(ForbiddenAddress):
            send("/v1/messages/count_tokens", base_url)


def test_an_answer_that_never_comes_is_no_count(echo: Echo) -> None:
    echo.answers = False
    root = echo.base_url.removesuffix("/v1")
    with pytest.raises(Unfinished, match="did not come"):
        send("/v1/messages/count_tokens", root, root.removeprefix("http://"))


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'{"input_tokens":null}', b'{"input_tokens":1.5}', b'{"tokens":1}']
)
def test_what_is_no_count_is_an_error(body: bytes) -> None:
    for read in (read_input_tokens, read_total_tokens):
        with pytest.raises(UsageError):
            read(body)


def counted_call(dialect: Any, body: dict[str, Any]) -> tuple[CountingRequest | None, Any]:
    """What a dialect would ask about a request, and the call."""
    call = dialect.decode(json.dumps(body).encode())
    assert isinstance(call, Countable)
    return call.counting(call.model, dialect.traits_of("openai")), call


def test_openais_count_is_asked_of_what_makes_up_the_prompt() -> None:
    body = {
        "model": "gpt-5",
        "input": "hi",
        "instructions": "Be brief.",
        "stream": True,
        "max_output_tokens": 9,
    }
    asked, call = counted_call(OpenAIResponses(), body)
    assert asked is not None
    assert asked.path == "/responses/input_tokens"
    assert json.loads(asked.body) == {"model": "gpt-5", "input": "hi", "instructions": "Be brief."}
    found = call.bound_counted(
        "gpt-5", call.read_count(b'{"input_tokens":50}'), provider="openai", allowances=NONE
    )
    assert (found.tokens, found.bound_class) == (51, BoundClass.EXACT)
    assert counted_call(OpenAICompact(), {"model": "gpt-5", "input": "hi"})[0] is None
    assert (
        call.counting("gpt-5", dataclasses.replace(OpenAIResponses().traits_of("openai"), query="v=1"))
        is None
    )


def test_geminis_count_is_asked_of_the_whole_request() -> None:
    contents = [{"parts": [{"text": "hi"}]}]
    dialect = find_gemini("POST", "/gemini/v1/models/gemini-3-flash:generateContent", b"")
    assert dialect is not None
    asked, call = counted_call(
        dialect, {"contents": contents, "system_instruction": {"parts": [{"text": "x"}]}}
    )
    assert asked is not None
    assert asked.path == "/v1beta/models/gemini-3-flash:countTokens"
    assert json.loads(asked.body) == {
        "generateContentRequest": {
            "model": "models/gemini-3-flash",
            "contents": contents,
            "system_instruction": {"parts": [{"text": "x"}]},
        }
    }
    count = call.read_count(b'{"totalTokens":100,"promptTokensDetails":[]}')
    found = call.bound_counted(call.model, count, provider="gemini", allowances=NONE)
    assert (found.tokens, found.bound_class) == (102, BoundClass.EXACT)
    assert call.counting("tunedModels/mine", dialect.traits_of("gemini")) is None
