"""Every way to get it wrong, as its user meets it: the message names what is wrong, whose it is, and what mends it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import openai
import pytest

from tests.journeys.conftest import SIMULATORS
from tests.journeys.desk import MESSAGES, Desk, Made, code_of, fresh, watching
from tests.stack import Stack, wait_for


@pytest.fixture(scope="module")
def customer(acme: Desk) -> Made:
    """A customer with room for everything this file calls."""
    return acme.customer("50.00")


def message_of(stack: Stack, key: str, model: str = "sim-mini") -> tuple[int, str, str]:
    """What the official client raises for a call: status, code, message."""
    client = openai.OpenAI(base_url=f"{stack.address('proxy1')}/v1", api_key=key)
    with client, watching(stack) as seen, pytest.raises(openai.APIStatusError) as raised:
        client.chat.completions.create(model=model, messages=MESSAGES)
    assert len(seen.codes) == 1, f"tried {len(seen.codes)} times"
    return raised.value.status_code, str(raised.value.code), raised.value.message


def test_a_wrong_provider_credential_names_the_account_and_what_mends_it(
    stack: Stack, acme: Desk, customer: Made
) -> None:
    name = fresh("west")
    acme.account(name, f"{stack.address('globex-test')}/v1", "sk-sim-not-this-one")
    status, code, message = message_of(stack, customer.key, f"{name}/sim-mini")
    assert (status, code) == (502, "provider_auth_failed")
    assert repr(name) in message
    assert "PATCH /api/v1/provider-accounts" in message
    assert "sk-sim" not in message


def test_a_mended_credential_works_at_once(stack: Stack, acme: Desk, customer: Made) -> None:
    name = fresh("west")
    made = acme.account(name, f"{stack.address('globex-test')}/v1", "sk-sim-not-this-one")
    assert acme.chat(customer.key, f"{name}/sim-mini").status_code == 502
    acme.do("PATCH", f"/provider-accounts/{made['id']}", {"api_key": SIMULATORS["globex-test"]})
    assert acme.chat(customer.key, f"{name}/sim-mini").status_code == 200


def test_a_base_url_without_its_version_is_named(stack: Stack, acme: Desk, customer: Made) -> None:
    name = fresh("east")
    made = acme.account(name, stack.address("simulator"), "sk-any")
    assert "/v1" in made["warnings"][0]
    status, code, message = message_of(stack, customer.key, f"{name}/sim-mini")
    assert (status, code) == (502, "provider_error")
    for part in (repr(name), stack.address("simulator"), "/v1", "PATCH /api/v1/provider-accounts"):
        assert part in message


def test_a_model_its_provider_does_not_have_is_not_found(stack: Stack, acme: Desk, customer: Made) -> None:
    acme.price("sim-nonsense")
    status, code, message = message_of(stack, customer.key, "sim-nonsense")
    assert (status, code) == (404, "model_not_found")
    assert "'sim'" in message
    assert "sim-nonsense" in message


def test_a_model_without_a_price_names_the_call_that_sets_it(
    stack: Stack, acme: Desk, customer: Made
) -> None:
    status, code, message = message_of(stack, customer.key, "sim-words-7")
    assert (status, code) == (400, "unpriced_model")
    assert "PUT /api/v1/prices/openai/sim-words-7" in message
    acme.do("PUT", "/prices/openai/sim-words-7", {"input_usd_per_mtok": "1", "output_usd_per_mtok": "2"})
    assert acme.chat(customer.key, "sim-words-7").status_code == 200


def test_a_tenant_without_an_account_is_told_how_to_make_one(
    stack: Stack, make_desk: Callable[[str], Desk]
) -> None:
    status, code, message = message_of(stack, make_desk("Initech").customer().key)
    assert (status, code) == (404, "no_provider_account")
    assert "POST /api/v1/provider-accounts" in message


def test_keys_that_may_not_call_say_why(stack: Stack, acme: Desk, customer: Made) -> None:
    typo = customer.key[:-1] + ("0" if customer.key[-1] != "0" else "1")
    assert message_of(stack, typo)[:2] == (401, "invalid_key")
    assert "/api/v1" in message_of(stack, acme.api_key)[2]
    revoked = acme.customer()
    assert acme.chat(revoked.key).status_code == 200
    acme.do("POST", f"/keys/{revoked.key_id}/revoke")
    assert message_of(stack, revoked.key)[:2] == (401, "key_revoked")
    past = (datetime.now(UTC) + timedelta(seconds=1)).isoformat()
    expiring = acme.customer(expires_at=past)
    wait_for(lambda: code_of_any(acme, expiring.key) == "key_expired", "the key expired", 10)


def code_of_any(desk: Desk, key: str) -> str:
    """The code of a call that may be served."""
    answer = desk.chat(key)
    return "" if answer.status_code == 200 else str(code_of(answer)[1])


def test_a_server_key_serves_the_customers_it_names(acme: Desk) -> None:
    secret = acme.do("POST", "/keys", {"kind": "server"})["key"]
    known = acme.customer()
    assert code_of(acme.chat(secret)) == (400, "customer_required")
    named = {"Farebox-Customer": known.external_id}
    assert acme.chat(secret, headers=named).status_code == 200
    acme.stack.wait_until_quiet()
    assert acme.stack.budget(known.budget_id)["spent_usd"] != "0.00"


def test_an_unknown_customer_is_refused_until_there_is_a_default_budget(acme: Desk) -> None:
    secret = acme.do("POST", "/keys", {"kind": "server"})["key"]
    newcomer = fresh("newcomer")
    named = {"Farebox-Customer": newcomer}
    assert code_of(acme.chat(secret, headers=named)) == (403, "customer_unknown")
    acme.do(
        "PATCH", "/settings", {"default_budget": {"limit_usd": "3.00"}, "unknown_customer": "default_budget"}
    )
    try:
        for proxy in ("proxy1", "proxy2"):
            answer = acme.chat(secret, headers=named, proxy=proxy)
            assert answer.status_code == 200, answer.text
    finally:
        acme.do("PATCH", "/settings", {"default_budget": None})
    wait_for(lambda: acme.ask("GET", f"/customers/by-external-id/{newcomer}").status_code == 200, "its row")
    row = acme.do("GET", f"/customers/by-external-id/{newcomer}")
    assert row["arrived"]
    [budget] = acme.do("GET", f"/budgets?customer={row['id']}")["data"]
    acme.stack.wait_until_quiet()
    assert budget["limit_usd"] == "3.00"
    spent = sum(line["charge_nanousd"] for line in acme.stack.rows("customer_id = %s", row["id"]))
    assert Stack.nanousd(acme.stack.budget(budget["id"])["spent_usd"]) == spent > 0


def test_a_customer_made_a_moment_after_it_was_refused_is_served(acme: Desk) -> None:
    secret = acme.do("POST", "/keys", {"kind": "server"})["key"]
    late = fresh("late")
    assert code_of(acme.chat(secret, headers={"Farebox-Customer": late})) == (403, "customer_unknown")
    acme.customer(external_id=late)
    assert acme.chat(secret, headers={"Farebox-Customer": late}).status_code == 200


def test_a_repeated_call_is_served_once(stack: Stack, acme: Desk, customer: Made) -> None:
    acme.price("sim-words-20-drip-50")
    headers = {"Idempotency-Key": fresh("once")}
    with watching(stack) as seen, ThreadPoolExecutor() as threads:
        first = threads.submit(acme.chat, customer.key, "sim-words-20-drip-50", headers=headers, stream=True)
        wait_for(lambda: any(r["model"] == "sim-words-20-drip-50" for r in open_calls(stack)), "under way")
        again = acme.chat(customer.key, "sim-words-20-drip-50", headers=headers, stream=True)
        assert code_of(again) == (409, "request_in_progress")
        assert again.headers["x-should-retry"] == "false"
        request_id = first.result().headers["farebox-request-id"]
        done = acme.chat(customer.key, "sim-words-20-drip-50", headers=headers, stream=True, proxy="proxy2")
        other = acme.chat(customer.key, "sim-mini", headers=headers)
    assert again.json()["error"]["request_id"] == request_id
    assert code_of(done) == (409, "already_done")
    assert done.json()["error"]["request_id"] == request_id
    assert code_of(other) == (422, "idempotency_mismatch")
    assert len(seen.upstream) == 1
    assert Stack.nanousd(done.json()["error"]["cost_usd"]) == seen.upstream[0]["billed_nanousd"]


def open_calls(stack: Stack) -> list[dict[str, object]]:
    """What the simulator is answering right now."""
    found: list[dict[str, object]] = stack.simulator("/_sim/log?last=0")["open"]
    return found
