"""Credit by API, in the portal, and by a link that needs no account."""

from __future__ import annotations

import pytest
import redis
from django.core import signing
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from billing.models import StripeConnection, TopUp
from billing.prepaid import links
from billing.prepaid.crediting import sync_living
from billing.prepaid.opening import close_prepaid
from tests.billing.stripe.conftest import Stripe
from tests.billing.stripe.wallet import Wallet, wallet
from tests.factories import ACTOR, Holding
from tests.people import browser_of, make_member, text_of

__all__ = ["wallet"]


@pytest.fixture
def api(acme: Holding) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {acme.api_key}")
    return client


def test_credit_by_api_from_opening_to_its_history(
    connection: StripeConnection, here: Stripe, acme: Holding, api: APIClient, redis_client: redis.Redis
) -> None:
    own = f"/api/v1/billing/prepaid/{acme.customer.pk}"
    wanted = {"customer": acme.customer.pk, "amount_usd": "25.00"}
    assert api.get(own).status_code == 404
    refused = api.post("/api/v1/billing/top-ups", wanted, format="json")
    assert (refused.status_code, refused.json()["code"]) == (409, "wrong_state")
    assert api.post(own).status_code in {201, 202}
    made = api.post("/api/v1/billing/top-ups", wanted, format="json")
    assert (made.status_code, made.json()["status"], made.json()["amount_usd"]) == (201, "open", "25.00")
    here.sim("checkout", session=TopUp.objects.get().session_id, do="pay")
    sync_living()
    assert api.get(f"/api/v1/billing/top-ups/{made.json()['id']}").json()["status"] == "paid"
    told = api.get(own).json()
    assert (told["credit_usd"], told["state"]) == ("25.00", "active")
    [entry] = api.get(f"{own}/entries").json()["data"]
    assert (entry["kind"], entry["amount_usd"], entry["top_up"]) == ("payment", "25.00", made.json()["id"])
    assert "/top-up/" in api.post(f"{own}/link", {"days": 3}, format="json").json()["url"]
    assert api.delete(own).json()["state"] == "closed"
    listed = api.get("/api/v1/billing/top-ups", {"customer": acme.customer.pk}).json()["data"]
    assert [row["id"] for row in listed] == [made.json()["id"]]


def test_by_link_a_customer_sees_its_credit_and_pays_without_an_account(wallet: Wallet) -> None:
    path = links.make_link(wallet.prepaid).url.removeprefix("http://127.0.0.1:8000")
    client = Client()
    shown = client.get(path)
    assert (shown.status_code, shown["Referrer-Policy"]) == (200, "same-origin")
    ready = text_of(client.post(path, {"amount_usd": "12.50"}))
    top_up = TopUp.objects.get()
    assert f'href="{top_up.url}"' in ready
    wallet.pay(top_up)
    assert "Thank you" in text_of(client.get(path + "paid/"))
    assert wallet.limit == "0.00"  # coming back proves nothing
    sync_living()
    page = text_of(client.get(path))
    assert "$12.50" in page
    assert top_up.session_id not in page
    assert client.post(path, {"amount_usd": "-1"}).status_code == 422


def test_a_link_that_is_over_forged_or_anothers_opens_nothing(wallet: Wallet) -> None:
    past = signing.dumps([wallet.prepaid.pk, int(timezone.now().timestamp()) - 1], salt=links.SALT)
    other = signing.dumps([wallet.prepaid.pk, int(timezone.now().timestamp()) + 60], salt="something.else")
    good = links.make_link(wallet.prepaid).url.rstrip("/").rpartition("/")[2]
    assert links.find_by_link(good) == wallet.prepaid
    for token in (past, other, good[:-1] + ("A" if good[-1] != "A" else "B"), "x", "a:b:c"):
        for path in (f"/top-up/{token}/", f"/top-up/{token}/paid/"):
            assert Client().get(path).status_code == 404
    close_prepaid(prepaid=wallet.prepaid, actor=ACTOR)
    assert links.find_by_link(good) is None


def test_the_portal_opens_shows_and_ends_paying_first(
    connection: StripeConnection, acme: Holding, redis_client: redis.Redis
) -> None:
    browser, ids = browser_of(make_member(acme.tenant)), {"customer_id": acme.customer.pk}
    assert "does not pay first" in text_of(browser.get("prepaid", **ids))
    browser.post("prepaid_act", {"do": "open"}, **ids)
    assert "/top-up/" in text_of(browser.post("prepaid", {"days": "5"}, **ids))
    assert browser.post("prepaid", {"days": "500"}, **ids).status_code == 422
    assert "Nothing was paid yet" in text_of(browser.get("prepaid", **ids))
    browser.post("prepaid_act", {"do": "close"}, **ids)
    assert "ended" in text_of(browser.get("prepaid", **ids))
    viewer = browser_of(make_member(acme.tenant, role="viewer"))
    assert [viewer.get("prepaid", **ids).status_code, viewer.post("prepaid_act", **ids).status_code] == [
        200,
        403,
    ]
