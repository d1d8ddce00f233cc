"""What a call is billed at: the price of the model that answered, the markup in force, and what was stopped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import msgspec
import pytest

from enforcement.policies import (
    Markup,
    ModelMarkup,
    PublishedImport,
    PublishedPrice,
    StoppedModel,
)
from metering.money import charge_for
from tests.proxy.conftest import Proxy, Tenant, code_of
from tests.proxy.echo import ANSWER, Echo

Chat = Callable[..., httpx.Response]
# What the echo reports: 8 tokens in, 1 out.
GPT_4O_MINI, GPT_4O = 8 * 150 + 600, 8 * 2_500 + 10_000


def at_openai(tenant: Tenant, echo: Echo, answered: str, *prices: PublishedPrice, **changes: Any) -> None:
    """Make the echo the tenant's openai, answering as one model whatever it is asked for."""
    account = msgspec.structs.replace(
        tenant.account("main", default=True, base_url=echo.base_url), provider="openai"
    )
    echo.pieces = [ANSWER.replace(b"sim-mini", answered.encode())]
    tenant.publish(accounts=(account,), prices=prices, **changes)


def own_price(model: str, price_id: str = "pri_own") -> PublishedPrice:
    return PublishedPrice(price_id, "openai", model, 0, {"input": 1_000_000_000, "output": 1_000_000_000})


@pytest.mark.parametrize(
    ("answered", "cost", "model_of_price"),
    [
        ("gpt-4o-mini-2024-07-18", GPT_4O_MINI, "gpt-4o-mini"),
        ("gpt-4o-2024-08-06", GPT_4O, "gpt-4o"),
        ("nobody-knows", GPT_4O_MINI, "gpt-4o-mini"),
    ],
)
def test_the_model_that_answered_sets_the_price(
    acme: Tenant, chat: Chat, echo: Echo, answered: str, cost: int, model_of_price: str
) -> None:
    at_openai(acme, echo, answered)
    budget = acme.budget()
    assert chat(acme.key(acme.customer(budget)), "gpt-4o-mini", max_tokens=1000).status_code == 200
    [(_, basis, booked, body)] = acme.rows()
    assert (basis, booked, body.response_model) == ("reported", cost, answered)
    assert body.price_id.split("/")[3] == model_of_price
    assert acme.spent(budget) == (cost, 0)


@pytest.mark.parametrize(
    ("answered", "cost", "price_id"),
    [("gpt-4o-mini-2024-07-18", 9_000, "pri_own"), ("gpt-4o-2024-08-06", GPT_4O, None)],
)
def test_a_tenants_price_rules_the_versions_of_its_model_alone(
    acme: Tenant, chat: Chat, echo: Echo, answered: str, cost: int, price_id: str | None
) -> None:
    at_openai(acme, echo, answered, own_price("gpt-4o-mini"))
    chat(acme.key(acme.customer(acme.budget())), "gpt-4o-mini", max_tokens=1000)
    [(_, _, booked, body)] = acme.rows()
    assert booked == cost
    assert (body.price_id == price_id) is (price_id is not None)


def test_a_dearer_model_than_was_held_for_is_booked_in_full_and_told(
    acme: Tenant, chat: Chat, echo: Echo, proxy: Proxy
) -> None:
    at_openai(acme, echo, "gpt-4o-2024-08-06")
    before = proxy.metric('farebox_alarms_total{alarm="overrun"}')
    budget = acme.budget()
    answer = chat(acme.key(acme.customer(budget)), "gpt-4o-mini", max_tokens=1)
    [(_, basis, cost, body)] = acme.rows()
    assert (basis, cost) == ("reported", GPT_4O)
    assert cost > body.quote_cost_nanousd
    assert acme.spent(budget) == (cost, 0)
    assert proxy.metric('farebox_alarms_total{alarm="overrun"}') == before + 1
    assert f'"request_id": "{answer.headers["farebox-request-id"]}"' in proxy.log.read_text().replace(
        '":"', '": "'
    )


def test_an_imported_price_is_in_force_with_its_own_id(acme: Tenant, chat: Chat, echo: Echo) -> None:
    price = PublishedPrice(
        "genai-prices/file/openai/gpt-4o-mini/base", "openai", "gpt-4o-mini", 0, {"input": 10**9}
    )
    both = msgspec.structs.replace(price, rates={"input": 10**9, "output": 10**9})
    at_openai(
        acme, echo, "gpt-4o-mini-2024-07-18", imported_prices=(PublishedImport(both, ("gpt-4o-mini",)),)
    )
    chat(acme.key(acme.customer(acme.budget())), "gpt-4o-mini", max_tokens=1000)
    [(_, _, cost, body)] = acme.rows()
    assert (cost, body.price_id) == (9_000, "genai-prices/file/openai/gpt-4o-mini/base")


def test_a_clamped_calls_row_tells_what_was_held(acme: Tenant, chat: Chat) -> None:
    budget = acme.budget("0.002", on_exhaustion="clamp")
    answer = chat(acme.key(acme.customer(budget)), max_tokens=4000)
    assert int(answer.headers["farebox-output-cap"]) < 4000
    [(_, _, cost, body)] = acme.rows()
    assert cost <= body.quote_cost_nanousd <= 2_000_000


@pytest.mark.parametrize(
    ("customer", "markup_bp", "fixed_nanousd"),
    [
        (None, 1_000, 5),
        (Markup(markup_bp=2_000), 2_000, 0),
        (Markup(models=(ModelMarkup("sim-*", 3_000, 7),), has_general=False), 3_000, 7),
        (Markup(models=(ModelMarkup("other", 3_000),), has_general=False), 1_000, 5),
        (Markup(markup_bp=4_000, models=(ModelMarkup("other", 3_000),)), 4_000, 0),
    ],
)
def test_the_charge_follows_the_markup_in_force(
    acme: Tenant, chat: Chat, customer: Markup | None, markup_bp: int, fixed_nanousd: int
) -> None:
    acme.publish(markup=Markup(1_000, 5))
    chat(acme.key(acme.customer(acme.budget(), markup=customer)))
    [(_, _, cost, body)] = acme.rows()
    assert (body.markup_bp, body.markup_fixed_nanousd) == (markup_bp, fixed_nanousd)
    [entry] = [
        fields
        for _, fields in acme.client.xrange(f"{{s{acme.scope.shard}}}:usage")
        if fields[b"tenant_id"].decode() == acme.tenant_id
    ]
    assert int(entry[b"charge"]) == charge_for(cost, markup_bp, fixed_nanousd)  # type: ignore[arg-type]  # an amount


def test_a_stopped_model_is_refused_at_once_and_no_other(acme: Tenant, chat: Chat) -> None:
    key = acme.key(acme.customer(acme.budget()))
    assert chat(key).status_code == 200
    acme.publish(stopped_models=(StoppedModel("simulator", "sim-mini"),))
    assert code_of(chat(key)) == (403, "model_stopped")
    assert code_of(chat(key, "main/sim-mini")) == (403, "model_stopped")
    assert chat(key, "sim-words-100").status_code == 200
    acme.publish(stopped_models=())
    assert chat(key).status_code == 200
    assert len(acme.rows()) == 3
