"""From no connection to a paid invoice: connect, say who a customer is, call, push, watch the draft, end the month."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime

from playwright.sync_api import Page, expect

from tests.browser.outside import Given, api, ask_sim, call, later, say, sim
from tests.browser.waiting import reload_until

# Dear enough that one call is worth cents.
MODEL = "sim-words-50"
HOUR_S = 3600
LACKING = ("billing_meter_event_write", "billing_meter_read", "customer_read", "subscription_read")
Look = Callable[[Page], None]


def walk_to_an_invoice(page: Page, given: Given, desk: str, look: Look) -> None:
    """Walk the whole way; ``look`` has axe look at what the page shows."""
    connect(page, given, desk, look)
    set_up(page, desk, look)
    made = given["invoiced"] = make_customer(given)
    who = f"{desk}billing/customers/{made['id']}/"
    put_on_the_price(page, who, look)
    first = use(page, given, desk, ahead_s=HOUR_S)
    second = use(page, given, desk, ahead_s=2 * HOUR_S)
    assert second > first > 0, (first, second)
    say(f"the next invoice grew from {first} to {second} cents")
    final = close_the_month(page, given, who, look)
    read_the_statement(page, desk, made["id"], final, look)
    sim(given, "clock", now=time.time())


def connect(page: Page, given: Given, desk: str, look: Look) -> None:
    """Be refused with a key of the other mode and with one that may too little; then connect."""
    page.goto(f"{desk}billing/")
    expect(page.get_by_role("heading", name="Not connected to Stripe in test mode")).to_be_visible()
    sim(given, "keys", key="rk_test_little", scopes=list(LACKING))
    for key, said in (
        ("rk_live_sim", "live mode"),
        ("rk_test_nobody", "Stripe"),
        ("rk_test_little", "rak_invoice_read"),
    ):
        page.get_by_label("Restricted key").fill(key)
        page.get_by_role("button", name="Try the key and connect").click()
        expect(page.locator(".errorlist, .message.error").first).to_contain_text(said)
        look(page)
    page.get_by_label("Restricted key").fill("rk_test_sim")
    page.get_by_role("button", name="Try the key and connect").click()
    expect(page.get_by_text("Stripe takes the key.")).to_be_visible()


def set_up(page: Page, desk: str, look: Look) -> None:
    """A currency, and Stripe's events."""
    page.get_by_role("link", name="Set up a currency").click()
    look(page)
    page.get_by_role("button", name="Set it up").click()
    expect(page.get_by_text("Usage in USD can be invoiced")).to_be_visible()
    page.get_by_role("button", name="Register the webhook").click()
    expect(page.get_by_text("Stripe sends its events here.", exact=True)).to_be_visible()
    page.get_by_role("button", name="Check everything").click()
    expect(page.get_by_role("heading", name="What was checked")).to_be_visible()
    look(page)
    page.goto(f"{desk}billing/")


def make_customer(given: Given) -> dict[str, str]:
    """A customer with a budget and a key, and a price so high that calls are worth cents."""
    rates = {f"{name}_usd_per_mtok": "1000" for name in ("input", "cache_read", "output")}
    api(given, "PUT", f"/prices/openai/{MODEL}", rates)
    customer = api(given, "POST", "/customers", {"external_id": "invoice-1", "name": "Invoiced"})
    api(given, "POST", "/budgets", {"customer": customer["id"], "window": "month", "limit_usd": "500"})
    key = api(given, "POST", "/keys", {"customer": customer["id"], "name": "test"})
    return {"id": customer["id"], "key": key["key"]}


def put_on_the_price(page: Page, who: str, look: Look) -> None:
    """Make the customer at Stripe, and a subscription with the price."""
    page.goto(who)
    look(page)
    page.get_by_label("Find at Stripe").fill("nobody@nowhere.example")
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_text("Nobody is found.")).to_be_visible()
    page.get_by_label("E-mail for invoices").fill("billing@invoiced.example")
    page.get_by_role("button", name="Make the customer").click()
    expect(page.get_by_text("It is said who Invoiced is at Stripe.")).to_be_visible()
    look(page)
    page.get_by_role("button", name="Put it on the price").click()
    expect(page.get_by_text("The price is on a subscription: usage will be invoiced.")).to_be_visible()


def use(page: Page, given: Given, desk: str, *, ahead_s: float) -> int:
    """Make calls, push them as if their hour were over, and read the invoice so far in cents."""
    made = given["invoiced"]
    asked = {call(given, made["key"], MODEL)[0] for _ in range(3)}
    assert asked == {200}
    page.goto(f"{desk}customers/{made['id']}/")
    expect(page.locator("#customer-calls tbody tr").nth(2)).to_be_visible()
    sim(given, "clock", advance_s=ahead_s + time.time() - ask_sim(given, "clock")["now"])
    told = later(given, ahead_s, "push", "--once")
    assert "sealed: 1 pushes" in told, told
    assert "sent: 1" in told, told
    page.goto(f"{desk}billing/pushes/?customer=invoice-1")
    expect(page.locator("tbody .push-accepted, tbody .push-confirmed").first).to_be_visible()
    page.goto(f"{desk}billing/customers/{made['id']}/invoice/")
    amount, before = page.locator(".amount").last, given.get("so_far", 0)
    reload_until(page, lambda: cents_of(amount.inner_text()) > before, "the invoice grew")
    given["so_far"] = cents_of(amount.inner_text())
    return int(given["so_far"])


def close_the_month(page: Page, given: Given, who: str, look: Look) -> int:
    """Let the month end at Stripe: a draft that is proven, then a final invoice; returns its cents."""
    now = datetime.now(UTC)
    end = datetime(now.year + now.month // 12, now.month % 12 + 1, 1, tzinfo=UTC).timestamp()
    sim(given, "clock", now=end + 60)
    later(given, end + 60 - time.time(), "invoices")
    page.goto(f"{who}invoice/")
    draft = page.get_by_role("heading", name="Draft of the period that is over")
    reload_until(page, lambda: draft.count() > 0, "the draft is shown")
    look(page)
    sim(given, "clock", now=end + 2 * HOUR_S)
    later(given, end + 2 * HOUR_S - time.time(), "invoices")
    page.goto(f"{who}invoice/")
    final = page.get_by_role("region", name="Final invoices").locator("tbody tr")
    expect(final).to_have_count(1)
    expect(final).not_to_contain_text("differs")
    look(page)
    return cents_of(final.locator("td").last.inner_text())


def read_the_statement(page: Page, desk: str, customer_id: str, final_cents: int, look: Look) -> None:
    """The statement says what the invoice says, in parts of a cent, and leads to the requests."""
    page.goto(f"{desk}billing/statements/{customer_id}/")
    total = page.locator(".tiles dd").first.inner_text()
    assert int(float(total.lstrip("$").replace(",", "")) * 100) == final_cents, (total, final_cents)
    look(page)
    page.get_by_role("link", name=MODEL).first.click()
    expect(page.locator("table.calls tbody tr, #calls tbody tr")).to_have_count(6)
    page.locator("table a[href*='/requests/']").first.click()
    expect(page.get_by_text(MODEL).first).to_be_visible()
    look(page)


def cents_of(text: str) -> int:
    """Read ``12.34 USD``."""
    found = re.search(r"(\d+)\.(\d\d) USD", text)
    assert found is not None, text
    return int(found[1] + found[2])
