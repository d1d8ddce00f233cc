"""The older completions through the proxy: whole and streamed, every answer that is generated held and billed."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest

from tests.proxy.conftest import Bill, Proxy, Tenant, code_of
from tests.proxy.echo import Echo
from tests.proxy.texts import account, hold_ids, post, price, record_of


@pytest.fixture
def client(proxy: Proxy, acme: Tenant):
    with openai.OpenAI(base_url=f"{proxy.url}/v1", api_key=acme.key(acme.customer(acme.budget()))) as made:
        yield made


def test_the_official_client_whole_and_streamed(client: openai.OpenAI, acme: Tenant, bill: Bill) -> None:
    answer = client.completions.create(model="sim-mini", prompt=["Say hello", "or not"], max_tokens=9, n=2)
    assert [len(choice.text.split()) for choice in answer.choices] == [9] * 4
    pieces = list(client.completions.create(model="sim-mini", prompt="Say hello", max_tokens=5, stream=True))
    assert "".join(piece.choices[0].text for piece in pieces).split()[-1] == "tok5"
    assert all(piece.choices for piece in pieces)  # the usage chunk that we asked for is ours
    asked: Any = {"include_usage": True}
    *_, last = client.completions.create(
        model="sim-mini", prompt="Say hello", max_tokens=5, stream=True, stream_options=asked
    )
    assert (last.choices, last.usage.total_tokens) == ([], 7)
    rows = [(basis, cost) for _, basis, cost, _ in acme.rows()]
    assert rows == [("reported", 4000 + 36 * 2000), ("reported", 12_000), ("reported", 12_000)]
    assert [record_of(bill, hold)["billed_nanousd"] for hold in hold_ids(acme)] == [cost for _, cost in rows]


def test_a_refusal_at_a_limit_is_asked_for_once(proxy: Proxy, acme: Tenant, bill: Bill) -> None:
    name = 'farebox_requests_total{code="budget_exceeded"}'
    before, sent = proxy.metric(name), bill.last()
    key = acme.key(acme.customer(acme.budget("0.0001")))
    client = openai.OpenAI(base_url=f"{proxy.url}/v1", api_key=key, max_retries=5)
    with client, pytest.raises(openai.APIStatusError) as raised:
        client.completions.create(model="sim-mini", prompt="a", max_tokens=10, best_of=6)
    assert (raised.value.status_code, raised.value.code) == (402, "budget_exceeded")
    assert (proxy.metric(name), bill.last()) == (before + 1, sent)


def test_answers_that_are_thrown_away_are_held_and_billed(proxy: Proxy, acme: Tenant, bill: Bill) -> None:
    budget = acme.budget()
    answer = post(
        proxy,
        acme.key(acme.customer(budget)),
        "completions",
        "sim-exact",
        prompt=["a", "b"],
        n=2,
        best_of=5,
        max_tokens=3,
    )
    cost = 2 * 1000 + 30 * 10_000
    assert answer.headers["farebox-quote-usd"] == answer.headers["farebox-cost-usd"] == "0.000302"
    assert acme.spent(budget) == (cost, 0)
    assert record_of(bill, hold_ids(acme)[0])["billed_nanousd"] == cost


@pytest.mark.parametrize(
    ("provider", "cap"), [("openai", 16), ("azure", 16), ("together", 4096), ("local", 4096)]
)
def test_a_cap_is_always_sent_and_told_when_it_is_ours(
    proxy: Proxy, acme: Tenant, echo: Echo, provider: str, cap: int
) -> None:
    acme.publish(
        accounts=(account(acme, provider, base_url=echo.base_url),),
        prices=price("sim-mini", provider=provider),
    )
    answer = post(proxy, acme.key(acme.customer(acme.budget())), "completions", "sim-mini", prompt="hi")
    assert json.loads(echo.bodies[-1])["max_tokens"] == cap
    assert answer.headers["farebox-output-cap"] == str(cap)


def test_a_body_that_names_its_cap_is_forwarded_byte_for_byte(proxy: Proxy, acme: Tenant, echo: Echo) -> None:
    import httpx

    acme.publish(accounts=(acme.account("main", default=True, base_url=echo.base_url),))
    sent = b'{ "model":"sim-mini","prompt":"h\\u00e9", "max_tokens":0,"echo":true,"logprobs":1 }'
    head = {"authorization": f"Bearer {acme.key(acme.customer(acme.budget()))}"}
    assert httpx.post(f"{proxy.url}/v1/completions", content=sent, headers=head).status_code == 200
    assert echo.bodies == [sent]
    assert echo.heads[0].startswith(b"POST /v1/completions HTTP/1.1")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("model", "basis"),
    [
        ("sim-words-5", "reported"),
        ("sim-words-5-nousage", "estimated"),
        ("sim-words-5-zerousage", "estimated"),
        ("sim-words-5-usage-total-less", "estimated"),
        ("sim-words-5-usage-every", "reported"),
        ("sim-words-5-usage-choice", "reported"),
        ("sim-words-5-usage-not-last", "reported"),
        ("sim-words-5-crlf", "reported"),
        ("sim-words-5-gzip", "reported"),
    ],
)
def test_whatever_is_reported_the_books_are_never_below_the_bill(
    proxy: Proxy, acme: Tenant, bill: Bill, model: str, basis: str, stream: bool
) -> None:
    budget = acme.budget()
    acme.publish(prices=price(model))
    answer = post(
        proxy,
        acme.key(acme.customer(budget)),
        "completions",
        model,
        prompt="a b",
        max_tokens=20,
        stream=stream,
    )
    assert answer.status_code == 200, answer.text
    [(kind, found, cost, body)] = acme.rows()
    assert (kind, found, body.stream) == ("settled", basis, stream)
    billed = record_of(bill, hold_ids(acme)[0])["billed_nanousd"]
    assert cost == billed if basis == "reported" else cost >= billed
    assert acme.spent(budget) == (cost, 0)


def test_a_stream_that_breaks_off_ends_with_an_error_and_is_unresolved(
    client: openai.OpenAI, acme: Tenant
) -> None:
    with pytest.raises(openai.APIError, match="broke off"):
        list(client.completions.create(model="sim-cut-5", prompt="a", max_tokens=30, stream=True))
    assert [(kind, basis) for kind, basis, _, _ in acme.rows()] == [("expired", "unresolved")]


@pytest.mark.parametrize(
    ("fields", "code", "param"),
    [
        ({"n_predict": 99}, "invalid_request", "n_predict"),
        ({"prompt_embeds": "AAAA"}, "uncountable", "prompt_embeds"),
        ({"model": "nobody-priced-it"}, "unpriced_model", "model"),
        ({"prompt": {"a": 1}}, "invalid_request", "prompt"),
    ],
)
def test_what_cannot_be_bounded_is_refused(
    proxy: Proxy, acme: Tenant, fields: dict[str, Any], code: str, param: str
) -> None:
    key = acme.key(acme.customer(acme.budget()))
    answer = post(proxy, key, "completions", **{"model": "sim-mini", "prompt": "a", **fields})
    assert code_of(answer) == (400, code)
    assert answer.json()["error"]["param"] == param


def test_a_cap_is_cut_to_what_fits(proxy: Proxy, acme: Tenant) -> None:
    budget = acme.budget("0.001", on_exhaustion="clamp")
    answer = post(
        proxy, acme.key(acme.customer(budget)), "completions", "sim-exact", prompt="a", max_tokens=4000
    )
    assert code_of(answer) == (402, "budget_exceeded")
    roomy = acme.budget("0.005", on_exhaustion="clamp")
    answer = post(proxy, acme.key(acme.customer(roomy, external_id="two")), "completions", "sim-exact",
                  prompt="a", max_tokens=4000)  # fmt: skip
    cap = int(answer.headers["farebox-output-cap"])
    assert 256 <= cap < 500
    assert len(answer.json()["choices"][0]["text"].split()) == cap
