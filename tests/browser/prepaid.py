"""Paying first: credit bought on Stripe's page, used up, bought again, given back; and not paying."""

from __future__ import annotations

import re
import time
import urllib.parse
import urllib.request
from collections.abc import Callable

from playwright.sync_api import Browser, Page, expect

from tests.browser.outside import Given, api, ask_sim, call, say, sim
from tests.browser.waiting import SECONDS_MAX, reload_until

# So dear that ten dollars are a few calls.
MODEL = "sim-words-60"
CALLS_MAX = 40
REPLAYS = 3
Look = Callable[[Page], None]


def walk_prepaid(browser: Browser, page: Page, given: Given, desk: str, look: Look) -> None:
    """From a customer that must pay first to one whose payment was given back."""
    rates = {f"{name}_usd_per_mtok": "20000" for name in ("input", "cache_read", "output")}
    api(given, "PUT", f"/prices/openai/{MODEL}", rates)
    customer = api(given, "POST", "/customers", {"external_id": "prepaid-1", "name": "Prepaid"})
    key = api(given, "POST", "/keys", {"customer": customer["id"], "name": "test"})["key"]
    page.goto(f"{desk}customers/{customer['id']}/")
    page.get_by_role("link", name="Prepaid credit").click()
    look(page)
    page.get_by_role("button", name="Have it pay first").click()
    expect(page.get_by_text("Nothing was paid yet.")).to_be_visible()
    assert call(given, key, MODEL) == (402, "budget_exceeded")
    page.get_by_role("button", name="Make a link").click()
    link = page.locator("a[href*='/top-up/']").inner_text()
    look(page)
    buyer = browser.new_context(viewport={"width": 360, "height": 800}).new_page()
    first = top_up(buyer, link, "10.00", look)
    served = use_up(given, key)
    top_up(buyer, link, "25.00", look)
    assert call(given, key, MODEL)[0] == 200
    say(f"$10 paid for {served} calls; refused until $25 more were paid")
    repeat_the_event(page, given, desk, customer["id"])
    give_back(page, given, desk, customer["id"], first)
    look(page)
    assert call(given, key, MODEL)[0] in {200, 402}
    buyer.context.close()


def top_up(buyer: Page, link: str, amount: str, look: Look) -> str:
    """Buy credit as the customer does, on its link and Stripe's page; returns the payment's id once it is there."""
    buyer.goto(link)
    look(buyer)
    buyer.get_by_label("Amount in US dollars").fill("a lot")
    buyer.get_by_role("button", name="Go on to payment").click()
    expect(buyer.get_by_text("Write an amount in dollars")).to_be_visible()
    buyer.get_by_label("Amount in US dollars").fill(amount)
    buyer.get_by_role("button", name="Go on to payment").click()
    look(buyer)
    buyer.get_by_role("link", name=f"Pay ${amount} at Stripe").click()
    buyer.get_by_role("button", name="Have the card declined").click()
    expect(buyer.get_by_text("The card was declined.")).to_be_visible()
    buyer.get_by_role("button", name="Pay", exact=True).click()
    expect(buyer.get_by_text("Thank you.")).to_be_visible()
    entry = buyer.get_by_role("region", name="History of credit").locator("tr", has_text=f"${amount}")
    reload_until(buyer, lambda: entry.count() > 0, f"${amount} is credited")
    look(buyer)
    return entry.first.locator(".id").inner_text()


def use_up(given: Given, key: str) -> int:
    """Call until the credit does not cover another call; returns how many it did."""
    answers = [call(given, key, MODEL)]
    while answers[-1][0] == 200 and len(answers) < CALLS_MAX:
        answers.append(call(given, key, MODEL))
    assert answers[-1] == (402, "budget_exceeded"), answers[-1]
    return len(answers) - 1


def repeat_the_event(page: Page, given: Given, desk: str, customer_id: str) -> None:
    """An event that Stripe sends again and again is taken each time, and changes nothing."""
    page.goto(f"{desk}customers/{customer_id}/prepaid/")
    before = page.locator(".facts").first.inner_text(), page.get_by_role("region").first.inner_text()
    told = [each for each in ask_sim(given, "deliveries") if each["type"] == "checkout.session.completed"]
    sim(given, "webhooks/send", event=told[-1]["event"], endpoint=told[-1]["endpoint"], times=REPLAYS)
    wanted, deadline = len(told) + REPLAYS, time.monotonic() + SECONDS_MAX
    while True:
        now = [each for each in ask_sim(given, "deliveries") if each["type"] == "checkout.session.completed"]
        if len(now) == wanted and all(each["status"] for each in now):
            break
        assert time.monotonic() < deadline, now
        time.sleep(0.1)
    assert all(200 <= each["status"] < 300 for each in now[-REPLAYS:]), now
    page.reload()
    after = page.locator(".facts").first.inner_text(), page.get_by_role("region").first.inner_text()
    assert before == after, (before, after)


def give_back(page: Page, given: Given, desk: str, customer_id: str, payment: str) -> None:
    """A refund made at Stripe takes the credit back."""
    body = urllib.parse.urlencode({"payment_intent": payment}).encode()
    authorization = {"authorization": "Bearer rk_test_sim"}
    with urllib.request.urlopen(
        urllib.request.Request(f"{given['stripe']}/v1/refunds", body, authorization), timeout=10
    ) as answer:
        assert answer.status == 200
    page.goto(f"{desk}customers/{customer_id}/prepaid/")
    entry = page.get_by_role("region", name="History of credit").locator("tr", has_text="Refund")
    reload_until(page, lambda: entry.count() > 0, "the refund is taken back")
    expect(entry).to_contain_text("10.00")


def walk_dunning(page: Page, given: Given, desk: str, look: Look) -> None:
    """Who is past due is suspended, where the tenant says so, until Stripe says that it was paid."""
    customer = given["invoiced"]
    page.goto(f"{desk}billing/")
    page.get_by_role("link", name="Dunning").click()
    page.get_by_label("A payment is past due").select_option("suspend")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_label("A payment is past due")).to_have_value("suspend")
    look(page)
    page.goto(f"{desk}billing/customers/{customer['id']}/")
    found = re.search(r"sub_\w+", page.locator("main").inner_text())
    assert found is not None
    sim(given, "subscription", subscription=found[0], status="past_due")
    page.goto(f"{desk}customers/{customer['id']}/")
    suspended = page.locator(".title .tag.danger")
    reload_until(page, lambda: suspended.count() > 0, "the customer is suspended")
    look(page)
    refused = call(given, customer["key"])
    assert refused[0] == 403, refused
    sim(given, "subscription", subscription=found[0], status="active")
    reload_until(page, lambda: suspended.count() == 0, "the customer is served again")
    assert call(given, customer["key"])[0] == 200
