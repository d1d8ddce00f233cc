"""Messages that take several samplings, through the proxy: quoted for all of them, booked as they are billed."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from enforcement.policies import PublishedPrice
from metering.ids import make_id
from tests.proxy.conftest import Bill, Proxy, Tenant
from tests.proxy.messages import RATES, billed, code_of, post, speak_anthropic

SEARCH = {"type": "web_search_20250305", "name": "web_search", "max_uses": 3}
ADVISOR = {
    "type": "advisor_20260301",
    "name": "advisor",
    "model": "sim-exact",
    "max_uses": 1,
    "max_tokens": 50,
}
COMPACTION = {"edits": [{"type": "compact_20260112", "trigger": {"type": "input_tokens", "value": 0}}]}
MODELS = ("sim-mini", "sim-searches-3", "sim-advised-40", "sim-compacted-60", "sim-exact", "sim-words-9")


def key_of(tenant: Tenant, limit_usd: str = "10.00", **allowances: int) -> str:
    """A key of a tenant with these allowances, and prices for every model here and a search."""
    speak_anthropic(tenant, *MODELS)
    prices = [
        msgspec.structs.replace(price, extras_nanousd={"web_search": 10_000_000})
        for price in tenant.policy.prices
    ]
    exact = {**RATES, "output": 10_000_000_000}
    prices.append(PublishedPrice(make_id("pri", 2000), "simulator", "sim-exact", 1, exact))
    tenant.publish(prices=tuple(prices), allowances=allowances)
    return tenant.key(tenant.customer(tenant.budget(limit_usd)))


CALLS: list[tuple[str, dict[str, Any], dict[str, int]]] = [
    ("sim-searches-3", {"tools": [SEARCH]}, {"web_search": 250}),
    ("sim-advised-40", {"tools": [ADVISOR]}, {}),
    ("sim-compacted-60", {"context_management": COMPACTION}, {}),
]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(("model", "fields", "allowances"), CALLS, ids=[model for model, _, _ in CALLS])
def test_several_samplings_are_booked_as_billed_and_within_the_quote(
    acme: Tenant,
    proxy: Proxy,
    bill: Bill,
    *,
    model: str,
    fields: dict[str, Any],
    allowances: dict[str, int],
    stream: bool,
) -> None:
    key = key_of(acme, **allowances)
    answer = post(proxy, key, model, stream=stream, **fields)
    assert answer.status_code == 200, answer.text
    [(kind, basis, cost_nanousd, body)] = acme.rows()
    assert (kind, basis, body.bound_class) == ("settled", "reported", "empirical")
    [record] = [one for one in bill.records() if one["model"] == model and one["billed_nanousd"]][-1:]
    assert cost_nanousd == record["billed_nanousd"] == billed(bill, record["hold_id"])
    assert cost_nanousd <= body.quote_cost_nanousd


def test_what_is_searched_and_advised_stands_on_the_row(acme: Tenant, proxy: Proxy) -> None:
    post(proxy, key_of(acme, web_search=250), "sim-searches-3", tools=[SEARCH])
    [(_, _, _, body)] = acme.rows()
    assert body.extras == {"web_search": 3}


def test_a_tool_without_a_bound_is_refused_by_name_and_served_with_an_allowance(
    acme: Tenant, proxy: Proxy
) -> None:
    endless = {"type": "web_search_20250305", "name": "web_search"}
    key = key_of(acme)
    answer = post(proxy, key, "sim-searches-3", tools=[endless])
    assert code_of(answer) == (400, "invalid_request_error", "uncountable")
    assert answer.json()["error"]["param"] == "tools[0].web_search_20250305"
    assert "web_search" in answer.json()["error"]["message"]
    acme.publish(allowances={"web_search": 250})
    assert post(proxy, key, "sim-searches-3", tools=[endless]).status_code == 200


def test_a_budget_that_cannot_pay_for_every_round_refuses(acme: Tenant, proxy: Proxy) -> None:
    key = key_of(acme, "0.03", web_search=250)
    assert post(proxy, key, "sim-searches-3", tools=[SEARCH | {"max_uses": 2}]).status_code == 200
    key = key_of(acme, "0.03", web_search=250)
    assert code_of(post(proxy, key, "sim-searches-3", tools=[SEARCH]))[2] == "budget_exceeded"


def test_an_advisor_that_may_not_be_used_or_has_no_price_is_refused(acme: Tenant, proxy: Proxy) -> None:
    key_of(acme)
    bound = acme.key(acme.customer(acme.budget(), models_allowed=("sim-advised-*",)))
    answer = post(proxy, bound, "sim-advised-40", tools=[ADVISOR])
    assert code_of(answer)[2] == "model_not_allowed"
    assert "sim-exact" in answer.json()["error"]["message"]
    free = acme.key(acme.customer(acme.budget(), external_id="acme-2"))
    unpriced = [ADVISOR | {"model": "sim-words-77"}]
    assert code_of(post(proxy, free, "sim-advised-40", tools=unpriced))[2] == "unpriced_model"


def test_batches_are_refused_in_words(acme: Tenant, proxy: Proxy) -> None:
    key = key_of(acme)
    answer = post(proxy, key, path="/v1/messages/batches")
    assert code_of(answer)[2] == "unsupported_route"
    assert "/v1/messages/batches" in answer.json()["error"]["message"]
