"""A whole answer: served, counted, settled, and told what it cost."""

from __future__ import annotations

from collections.abc import Callable

import httpx

from metering.money import parse_usd
from tests.proxy.conftest import Bill, Tenant

Chat = Callable[..., httpx.Response]


def test_a_call_is_served_and_settled_at_what_the_provider_reports(
    acme: Tenant, chat: Chat, bill: Bill
) -> None:
    budget = acme.budget()
    key = acme.key(acme.customer(budget))
    answer = chat(key)
    assert answer.status_code == 200, answer.text
    usage = answer.json()["usage"]
    cost = usage["prompt_tokens"] * 1000 + usage["completion_tokens"] * 2000
    assert acme.spent(budget) == (cost, 0)
    [(kind, basis, booked, body)] = acme.rows()
    assert (kind, basis, booked) == ("settled", "reported", cost)
    assert body.usage == {"input": usage["prompt_tokens"], "output": usage["completion_tokens"]}
    assert (body.end, body.upstream_status, body.provider) == ("complete", 200, "simulator")
    assert parse_usd(answer.headers["farebox-cost-usd"]) == cost
    assert parse_usd(answer.headers["farebox-remaining-usd"]) == parse_usd("10.00") - cost
    assert parse_usd(answer.headers["farebox-quote-usd"]) >= cost
    assert answer.headers["farebox-request-id"] == body.request_id
    assert answer.headers["farebox-output-cap"] == "4096"
