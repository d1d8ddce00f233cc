"""The journey itself, run by a Python that has Playwright: a JSON object with addresses and a sign-in on its stdin.

Sign in, make a customer with budget and key, call, see the request and the gauge move, be refused at the limit, raise
it, be served again. Then every page once more on narrow and wide screens, in the dark, by keyboard alone, under axe's
eyes, and without JavaScript.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser.access import find_pages, find_unreachable, find_violations, skip_to_content
from tests.browser.invoice import walk_to_an_invoice
from tests.browser.outside import call, say
from tests.browser.prepaid import walk_dunning, walk_prepaid

# A call is on the screen within two seconds.
SEEN_MS = 2_000
LIMIT_USD = "0.0009"
CALLS_MAX = 40
WIDTHS = (360, 768, 1280, 1920)
CHECKED_WIDTHS = (360, 1280)
# Colours are the same at every width, so axe sees them in the dark once.
AXE_WIDTHS = {"light": CHECKED_WIDTHS, "dark": (1280,)}
# What no link of a desk leads to.
OUTSIDE = ("/accounts/password/change/", "/api/docs", "/docs/", "/docs/errors")


def sign_in(page: Page, given: dict[str, Any]) -> str:
    """Sign in by keyboard alone; returns the desk's address."""
    page.goto(f"{given['web']}/")
    page.get_by_label("Email").fill(given["email"])
    page.keyboard.press("Tab")
    page.keyboard.type(given["password"])
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    return page.url


def walk_the_journey(page: Page, given: dict[str, Any]) -> str:
    """From sign-in to a raised limit; returns the customer's address."""
    desk = sign_in(page, given)
    page.goto(f"{desk}customers/new/")
    page.get_by_label("Your id for this customer").fill("journey-1")
    page.get_by_label("Name").fill("Journey")
    page.get_by_label("Limit in dollars").fill(LIMIT_USD)
    page.get_by_role("button", name="Create customer, budget and key").click()
    key = page.locator("#secret").inner_text()
    assert key.startswith("fbx_ck_test_"), key
    expect(page.locator("#curl")).to_contain_text(key)
    check(page, given)
    page.get_by_role("link", name="To Journey").click()
    expect(page.get_by_text("No requests yet.")).to_be_visible()

    assert call(given, key)[0] == 200
    started = time.monotonic()
    expect(page.locator("#customer-calls tbody tr")).to_have_count(1, timeout=SEEN_MS)
    expect(page.locator(".gauge dd").first).not_to_have_text("$0.00", timeout=SEEN_MS)
    say(f"a call was on the screen {time.monotonic() - started:.2f} s after its answer")

    statuses = [call(given, key)[0]]
    while statuses[-1] == 200 and len(statuses) < CALLS_MAX:
        statuses.append(call(given, key)[0])
    assert statuses[-1] == 402, statuses
    refused_customer = page.url
    page.goto(page.url.partition("customers/")[0])
    expect(page.get_by_text("1 call refused by budgets in the last hour: Journey 1.")).to_be_visible()
    page.goto(refused_customer)
    page.get_by_label("New limit in dollars").fill("5")
    page.get_by_role("button", name="Set limit").click()
    expect(page.get_by_text("The limit is $5.00 from the next call on.")).to_be_visible()
    assert call(given, key)[0] == 200
    assert [call(given, key, given["broken_model"])[0] for _ in range(2)] == [500, 500]
    expect(page.locator("#customer-calls .basis-unresolved")).to_have_count(2, timeout=SEEN_MS)
    return page.url


def resolve_one(page: Page, given: dict[str, Any], desk: str) -> None:
    """Say by keyboard alone that the provider never billed one of two unresolved calls."""
    page.goto(f"{desk}unresolved/")
    expect(page.locator("input[name=event]")).to_have_count(2)
    page.locator("input[name=event]").first.focus()
    page.keyboard.press("Space")
    page.get_by_label("How do you know?").focus()
    page.keyboard.type("the provider's bill of November")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Resolve 1 call?")).to_be_visible()
    check(page, given)
    page.get_by_role("button", name="Resolve").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Resolved: 1.")).to_be_visible()


def check(page: Page, given: dict[str, Any]) -> None:
    """Have axe look at the page as it is now."""
    found = find_violations(page, given["axe"]) if given["axe"] else []
    assert found == [], "\n".join(found)


def look_everywhere(browser: Browser, given: dict[str, Any], pages: list[str]) -> None:
    """Every page at every width, and in the dark at the narrow and the common one."""
    for scheme, widths in (("light", WIDTHS), ("dark", CHECKED_WIDTHS)):
        context = browser.new_context(color_scheme="dark" if scheme == "dark" else "light")
        look(context.new_page(), given, pages, widths=widths, scheme=scheme)
        context.close()


def look(
    page: Page, given: dict[str, Any], pages: list[str], *, widths: tuple[int, ...], scheme: str
) -> None:
    """Every page: nothing sticks out, nothing comes from elsewhere, neither axe nor the browser complains."""
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(f"{message.text} {message.location}"))
    page.on(
        "request", lambda request: complaints.append(request.url) if given["web"] not in request.url else None
    )
    page.goto(f"{given['web']}/")
    check(page, given)
    sign_in(page, given)
    for number, address in enumerate(pages):
        page.goto(address)
        for width in widths:
            # A page is loaded once and then made narrower or wider, as a window is.
            page.set_viewport_size({"width": width, "height": 900})
            wide = page.evaluate("document.documentElement.scrollWidth")
            assert wide <= width, f"{address} is {wide} px wide on a screen of {width}"
            if width in CHECKED_WIDTHS:
                page.screenshot(path=f"{given['shots']}/{number:02d}-{width}-{scheme}.png", full_page=True)
            if width in AXE_WIDTHS[scheme] and given["axe"]:
                complaints += find_violations(page, given["axe"])
    assert complaints == [], "\n".join(complaints)


def go_by_keyboard(browser: Browser, given: dict[str, Any], pages: list[str]) -> None:
    """Every action of every page is within reach of the Tab key, and seen when it is reached."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.goto(sign_in(page, given))
    skip_to_content(page)
    complaints: list[str] = []
    for address in pages:
        page.goto(address)
        complaints += find_unreachable(page)
    context.close()
    assert complaints == [], "\n".join(complaints)


def go_without_javascript(browser: Browser, given: dict[str, Any], pages: list[str], customer: str) -> None:
    """The same pages and forms serve a browser that runs no script."""
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    desk = sign_in(page, given)
    for address in pages:
        page.goto(address)
        expect(page.locator("h1").first).to_be_visible()
    page.goto(f"{desk}customers/?q=journ")
    expect(page.get_by_role("link", name="Journey")).to_be_visible()
    page.goto(customer)
    expect(page.locator("#customer-calls tbody tr").first).to_be_visible()
    page.get_by_label("New limit in dollars").fill("6")
    page.get_by_role("button", name="Set limit").click()
    expect(page.get_by_text("The limit is $6.00 from the next call on.")).to_be_visible()
    context.close()


def walk_billing(browser: Browser, page: Page, given: dict[str, Any], desk: str) -> None:
    """What money does: to an invoice, as credit, and when it does not come."""

    def look(shown: Page) -> None:
        check(shown, given)

    with timed("from no connection to an invoice"):
        walk_to_an_invoice(page, given, desk, look)
    with timed("paying first"):
        walk_prepaid(browser, page, given, desk, look)
    with timed("not paying"):
        walk_dunning(page, given, desk, look)


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Say how long something took."""
    started = time.monotonic()
    yield
    say(f"{time.monotonic() - started:6.1f} s  {what}")


def main() -> None:
    """Run it all and leave pictures."""
    given = json.load(sys.stdin)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=given["chromium"], args=["--no-sandbox"])
        first = browser.new_page()
        with timed("the journey"):
            customer = walk_the_journey(first, given)
            desk = customer.partition("customers/")[0]
            resolve_one(first, given, desk)
        walk_billing(browser, first, given, desk)
        with timed("every page seen"):
            invoices = f"{desk}billing/customers/{given['invoiced']['id']}/invoice/"
            pages = [*find_pages(first, desk), invoices, *(given["web"] + path for path in OUTSIDE)]
            look_everywhere(browser, given, pages)
        eyes = "axe finds nothing serious" if given["axe"] else "SKIPPED: axe, which npm would bring"
        say(
            f"{len(pages)} pages seen at {len(WIDTHS)} widths, light and dark; {eyes}; pictures in {given['shots']}"
        )
        with timed("every action within reach of the keyboard"):
            go_by_keyboard(browser, given, pages)
        with timed("the same without JavaScript"):
            go_without_javascript(browser, given, pages, customer)
        browser.close()


if __name__ == "__main__":
    main()
