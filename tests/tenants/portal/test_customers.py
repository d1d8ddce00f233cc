from __future__ import annotations

import html
import re
from collections.abc import Callable

from enforcement.control import Control
from enforcement.keyring import parse_key
from metering.money import parse_usd
from tenants.models import AuditEntry, Budget, Customer, Key
from tests.factories import Holding, make_budget, make_customer
from tests.people import browser_of, make_member, text_of

OPENING = {
    "external_id": "initech",
    "name": "Initech",
    "limit_usd": "$12.50",
    "window": "month",
    "on_exhaustion": "refuse",
}


def test_one_form_makes_customer_budget_and_key(acme: Holding, open_shard: Callable[[str], Control]) -> None:
    control = open_shard(acme.tenant.pk)
    browser = browser_of(make_member(acme.tenant))

    page = text_of(browser.post("customer_new", OPENING))

    customer = Customer.objects.get(external_id="initech")
    budget = Budget.objects.get(customer=customer)
    assert budget.pk == Budget.default_id_for(acme.tenant.pk, "test", "initech")
    assert budget.limit_nanousd == parse_usd("12.50")
    balance = control.read_budget(acme.tenant.scope("test"), budget.pk)
    assert balance is not None
    assert balance.limit_nanousd == budget.limit_nanousd
    shown = re.search(r"data-secret>([^<]+)<", page)
    assert shown is not None
    parsed = parse_key(html.unescape(shown[1]))
    assert parsed is not None
    assert Key.objects.get(customer=customer).digest == parsed.digest
    assert AuditEntry.objects.filter(action="customer.create", actor_kind="member").exists()


def test_the_secret_is_never_shown_again(acme: Holding, open_shard: Callable[[str], Control]) -> None:
    open_shard(acme.tenant.pk)
    browser = browser_of(make_member(acme.tenant))
    secret = acme.key.secret
    for name, ids in (("customer", {"customer_id": acme.customer.pk}), ("keys", {}), ("customers", {})):
        assert secret not in text_of(browser.get(name, **ids))


def test_a_taken_id_and_a_bad_amount_are_said_at_the_form(acme: Holding) -> None:
    browser = browser_of(make_member(acme.tenant))
    taken = browser.post("customer_new", {**OPENING, "external_id": acme.customer.external_id})
    assert taken.status_code == 422
    assert "exists already" in text_of(taken)
    assert Budget.objects.filter(tenant=acme.tenant).count() == 1
    bad = browser.post("customer_new", {**OPENING, "limit_usd": "a lot"})
    assert "Write an amount in dollars" in text_of(bad)
    dear = browser.post("customer_new", {**OPENING, "limit_usd": "9000001"})
    assert "must be within" in text_of(dear)


def test_without_redis_the_pages_stand_and_the_change_waits(acme: Holding) -> None:
    browser = browser_of(make_member(acme.tenant))
    assert "cannot be read at the moment" in text_of(browser.get("customer", customer_id=acme.customer.pk))
    assert "will be in force as soon as" in text_of(browser.post("customer_new", OPENING))


def test_the_list_is_searched_by_name_and_id(acme: Holding, open_shard: Callable[[str], Control]) -> None:
    open_shard(acme.tenant.pk)
    make_customer(acme.tenant, "hooli-9", name="Hooli")
    browser = browser_of(make_member(acme.tenant))
    found = text_of(browser.get("customers", query="?q=hoo", htmx=True))
    assert "Hooli" in found
    assert acme.customer.name not in html.unescape(found)
    assert "<html" not in found
    assert "No customer matches" in text_of(browser.get("customers", query="?q=nobody"))


def test_an_unchanged_fragment_is_not_sent_again(acme: Holding, open_shard: Callable[[str], Control]) -> None:
    open_shard(acme.tenant.pk)
    browser = browser_of(make_member(acme.tenant))
    first = browser.get("customer_live", customer_id=acme.customer.pk, htmx=True)
    seen = re.search(r"seen=(\w+)", text_of(first))
    assert seen is not None
    assert "HX-Request" in first["Vary"]
    again = browser.get("customer_live", customer_id=acme.customer.pk, htmx=True, query=f"?seen={seen[1]}")
    assert again.status_code == 204


def test_a_limit_is_raised_from_the_customers_page(
    acme: Holding, open_shard: Callable[[str], Control]
) -> None:
    control = open_shard(acme.tenant.pk)
    browser = browser_of(make_member(acme.tenant, "finance"))
    budget = make_budget(acme.tenant, acme.customer, limit="1.00")
    answer = browser.post("budget_limit", {"limit_usd": "99"}, budget_id=budget.pk)
    assert answer.status_code == 302
    budget.refresh_from_db()
    assert budget.limit_nanousd == parse_usd("99")
    assert "The limit is $99.00" in text_of(browser.get("customer", customer_id=acme.customer.pk))
    assert control is not None


def test_a_customer_is_suspended_and_resumed(acme: Holding, open_shard: Callable[[str], Control]) -> None:
    open_shard(acme.tenant.pk)
    browser = browser_of(make_member(acme.tenant, "support"))
    browser.post("customer_state", {"state": "suspended"}, customer_id=acme.customer.pk)
    acme.customer.refresh_from_db()
    assert acme.customer.state == "suspended"
    browser.post("customer_state", {"state": "active"}, customer_id=acme.customer.pk)
    acme.customer.refresh_from_db()
    assert acme.customer.state == "active"


def test_a_key_form_sent_twice_makes_one_key(acme: Holding, open_shard: Callable[[str], Control]) -> None:
    open_shard(acme.tenant.pk)
    browser = browser_of(make_member(acme.tenant, "developer"))
    before = Key.objects.filter(customer=acme.customer).count()
    given = {"name": "second", "once": "ticket-1"}
    assert browser.post("customer_key_new", given, customer_id=acme.customer.pk).status_code == 200
    assert browser.post("customer_key_new", given, customer_id=acme.customer.pk).status_code == 302
    assert Key.objects.filter(customer=acme.customer).count() == before + 1


def test_a_key_is_revoked_after_asking(acme: Holding, open_shard: Callable[[str], Control]) -> None:
    open_shard(acme.tenant.pk)
    browser = browser_of(make_member(acme.tenant))
    key = acme.key.row
    assert "Revoke this key?" in text_of(browser.get("key_revoke", key_id=key.pk))
    key.refresh_from_db()
    assert key.revoked_at is None
    browser.post("key_revoke", key_id=key.pk)
    key.refresh_from_db()
    assert key.revoked_at is not None


def test_names_are_escaped(acme: Holding, open_shard: Callable[[str], Control]) -> None:
    open_shard(acme.tenant.pk)
    make_customer(acme.tenant, "evil", name="<script>alert(1)</script>")
    page = text_of(browser_of(make_member(acme.tenant)).get("customers"))
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


def test_forms_need_their_token(acme: Holding) -> None:
    browser = browser_of(make_member(acme.tenant))
    browser.client.handler.enforce_csrf_checks = True
    answer = browser.post("customer_new", OPENING)
    assert answer.status_code == 403
    assert "Please send it again" in text_of(answer)
