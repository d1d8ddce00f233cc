"""Every page as an owner, as a viewer, as a stranger of another tenant, and as nobody."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse

from billing.models import Push, StripeMeter
from billing.portal.urls import urlpatterns
from enforcement.control import Control
from tenants.portal.access import RIGHTS, Right
from tests.factories import Holding, make_billing, make_push
from tests.people import Browser, browser_of, make_member, text_of

OUTSIDE = {"home", "invitation", "dev_mail"}
# What a page needs beyond looking; those that only take a POST answer 405 to who may.
NEEDS = {
    "customer_new": (Right.CUSTOMERS, Right.BUDGETS, Right.KEYS),
    "customer_rename": (Right.CUSTOMERS,),
    "customer_state": (Right.CUSTOMERS,),
    "budget_new": (Right.BUDGETS,),
    "budget_limit": (Right.BUDGETS,),
    "budget_archive": (Right.BUDGETS,),
    "customer_key_new": (Right.KEYS,),
    "key_revoke": (Right.KEYS,),
    "account_new": (Right.ACCOUNTS,),
    "account_test": (Right.ACCOUNTS,),
    "account_counting": (Right.ACCOUNTS,),
    "account_default": (Right.ACCOUNTS,),
    "account_remove": (Right.ACCOUNTS,),
    "customer_data": (Right.DATA,),
    "customer_file": (Right.DATA,),
    "audit": (Right.AUDIT,),
    "audit_file": (Right.AUDIT,),
    "member_role": (Right.MEMBERS,),
    "member_remove": (Right.MEMBERS,),
    "invitation_withdraw": (Right.MEMBERS,),
    "stripe_check": (Right.BILLING,),
    "stripe_hooks": (Right.BILLING,),
    "stripe_disconnect": (Right.BILLING,),
    "stripe_meter_new": (Right.BILLING,),
    "stripe_meter_archive": (Right.BILLING,),
    "stripe_customers_match": (Right.BILLING,),
    "stripe_customer_act": (Right.BILLING,),
    "push_retry": (Right.BILLING,),
    "prepaid_act": (Right.BILLING,),
    "margin_guard": (Right.BILLING,),
    "reconciliation_fix": (Right.BILLING,),
    "month_close": (Right.BILLING,),
}
POST_ONLY = {
    "customer_state", "customer_key_new", "account_test", "account_default", "account_counting", "member_role",
    "invitation_withdraw", "stripe_check", "stripe_hooks", "stripe_customers_match", "stripe_customer_act",
    "push_retry", "prepaid_act", "margin_guard", "reconciliation_fix", "month_close",
}  # fmt: skip
NAMES = sorted(str(pattern.name) for pattern in urlpatterns if pattern.name not in OUTSIDE)


@pytest.fixture(autouse=True)
def _billing(acme: Holding) -> None:
    """A connection to Stripe whose key is gone: its pages open, and nothing is asked of anybody."""
    make_push(*make_billing(acme))


def ids_for(name: str, holding: Holding, member_id: str) -> dict[str, str]:
    route = next(str(pattern.pattern) for pattern in urlpatterns if pattern.name == name)
    known = {
        "customer_id": holding.customer.pk,
        "budget_id": holding.budget.pk,
        "key_id": holding.key.row.pk,
        "account_id": holding.account.pk,
        "member_id": member_id,
        "invitation_id": "inv_0000000000000000",
        "request_id": "req_0000000000000000",
        "meter_id": StripeMeter.objects.get(tenant=holding.tenant).pk,
        "push_id": Push.objects.get(tenant=holding.tenant).pk,
        "recon_id": "0",
    }
    return {found: known[found] for found in re.findall(r"<(?:str|int):(\w+)>", route)}


@pytest.mark.parametrize("name", NAMES)
def test_the_owner_sees_every_page(name: str, acme: Holding, open_shard: Callable[[str], Control]) -> None:
    open_shard(acme.tenant.pk)
    owner = make_member(acme.tenant)
    response = browser_of(owner).get(name, **ids_for(name, acme, owner.pk))
    expected = 405 if name in POST_ONLY else 404 if name == "request" else 200
    assert response.status_code == expected
    if expected == 200 and "<html" in text_of(response):
        assert "script-src 'self'" in response["Content-Security-Policy"]
        assert "no-store" in response["Cache-Control"]


@pytest.mark.parametrize("name", NAMES)
def test_a_viewer_sees_pages_and_changes_nothing(
    name: str, acme: Holding, open_shard: Callable[[str], Control]
) -> None:
    open_shard(acme.tenant.pk)
    owner, viewer = make_member(acme.tenant), make_member(acme.tenant, "viewer")
    browser, ids = browser_of(viewer), ids_for(name, acme, owner.pk)
    if name in NEEDS:
        assert browser.get(name, **ids).status_code == (405 if name in POST_ONLY else 403)
        assert browser.post(name, **ids).status_code == 403
    elif name != "request":
        assert browser.get(name, **ids).status_code == 200


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("method", ["get", "post"])
def test_another_tenants_desk_is_not_found(name: str, method: str, acme: Holding, globex: Holding) -> None:
    stranger = make_member(globex.tenant)
    browser = browser_of(stranger, tenant=acme.tenant)
    response = getattr(browser, method)(name, **ids_for(name, acme, stranger.pk))
    assert response.status_code in ({405, 404} if _refuses_method(name, method) else {404})


@pytest.mark.parametrize("name", [name for name in NAMES if name in NEEDS or name in {"customer", "account"}])
@pytest.mark.parametrize("method", ["get", "post"])
def test_another_tenants_rows_are_not_found_at_ones_own_desk(
    name: str, method: str, acme: Holding, globex: Holding
) -> None:
    other = make_member(acme.tenant)
    ids = ids_for(name, acme, other.pk)
    browser = browser_of(make_member(globex.tenant))
    if ids:
        response = getattr(browser, method)(name, **ids)
        assert response.status_code in ({405, 404} if _refuses_method(name, method) else {404})


def test_live_rows_are_not_found_in_test_mode(acme: Holding, open_shard: Callable[[str], Control]) -> None:
    browser = browser_of(make_member(acme.tenant), mode="live")
    assert browser.get("customer", customer_id=acme.customer.pk).status_code == 404
    assert browser.get("account", account_id=acme.account.pk).status_code == 404


@pytest.mark.parametrize("name", NAMES)
def test_nobody_is_led_to_sign_in(name: str, acme: Holding) -> None:
    response = Browser(Client(), acme.tenant.slug).get(name, **ids_for(name, acme, "mem_0000000000000000"))
    if response.status_code != 405:
        assert response.status_code == 302
        assert response["Location"].startswith(reverse("account_login"))


def test_every_right_belongs_to_the_owner() -> None:
    assert all("owner" in roles for roles in RIGHTS.values())
    assert set(RIGHTS) == set(Right)


def test_a_page_in_test_mode_says_so_and_one_in_live_does_not(acme: Holding) -> None:
    owner = make_member(acme.tenant)
    assert "Test mode." in text_of(browser_of(owner).get("customers"))
    assert "Test mode." not in text_of(browser_of(owner, mode="live").get("customers"))


def _refuses_method(name: str, method: str) -> bool:
    return method == "get" if name in POST_ONLY else method == "post"


def test_no_template_has_inline_style_or_script() -> None:
    """The policy would drop it without a word to us."""
    inline = re.compile(r"<style|\sstyle=|<script(?![^>]*\bsrc=)|\son[a-z]+=|javascript:")
    found = [path.name for path in Path("templates").rglob("*.html") if inline.search(path.read_text())]
    assert found == []
