"""A part that nobody can bound, from its refusal to a row: refused by name, allowed by the tenant, served, booked."""

from __future__ import annotations

from tests.journeys.desk import Desk, code_of, watching
from tests.stack import Stack, wait_for

FILE = {"type": "file", "file": {"file_id": "file-1"}}
MESSAGES = [{"role": "user", "content": [{"type": "text", "text": "sum it up"}, FILE]}]


def test_what_cannot_be_bounded_is_served_at_what_the_tenant_lets_stand_for_it(
    stack: Stack, acme: Desk
) -> None:
    acme.price()
    customer = acme.customer("10.00")
    with watching(stack) as seen:
        refused = acme.chat(customer.key, messages=MESSAGES)
    assert code_of(refused) == (400, "uncountable")
    error = refused.json()["error"]
    assert error["param"] == "messages[0].content[1].file"
    assert 'PATCH /api/v1/settings {"allowances": {"file_id": tokens}}' in error["message"]
    assert not seen.upstream

    acme.do("PATCH", "/settings", {"allowances": {"file_id": 20_000}})
    try:
        served = acme.chat(customer.key, messages=MESSAGES)
        assert served.status_code == 200
        wait_for(lambda: len(stack.rows("customer_id = %s", customer.id)) == 1, "the row")
        row = stack.rows("customer_id = %s", customer.id)[0]
        assert row["bound_class"] == "empirical"
        assert row["quoted_input_tokens"] > 20_000
    finally:
        acme.do("PATCH", "/settings", {"allowances": {"file_id": None}})
    assert code_of(acme.chat(customer.key, messages=MESSAGES)) == (400, "uncountable")
