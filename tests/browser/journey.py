"""The journey itself, run by a Python that has Playwright: a JSON object with addresses and a sign-in on its stdin.

Sign in, make a customer with budget and key, call, see the request and the gauge move, be refused at the limit, raise
it, be served again. Then every page once more on a narrow screen, in the dark, and without JavaScript.
"""

from __future__ import annotations

import json
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, expect, sync_playwright

# A call is on the screen within two seconds.
SEEN_MS = 2_000
LIMIT_USD = "0.0009"
CALLS_MAX = 40
PAGES = (
    "",
    "customers/",
    "customers/new/",
    "requests/",
    "unresolved/",
    "provider-accounts/",
    "keys/",
    "members/",
)
WIDTHS = (360, 768, 1280, 1920)


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"  {line}\n")
    sys.stdout.flush()


def call(proxy: str, key: str) -> int:
    """Make a call as the snippet says; returns its status."""
    body = {"model": "sim-mini", "max_tokens": 200, "messages": [{"role": "user", "content": "Say hello"}]}
    request = urllib.request.Request(
        f"{proxy}/v1/chat/completions",
        json.dumps(body).encode(),
        {"authorization": f"Bearer {key}", "content-type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refusal:
        return refusal.code


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
    page.get_by_role("link", name="To Journey").click()
    expect(page.get_by_text("No requests yet.")).to_be_visible()

    assert call(given["proxy"], key) == 200
    started = time.monotonic()
    expect(page.locator("#customer-calls tbody tr")).to_have_count(1, timeout=SEEN_MS)
    expect(page.locator(".gauge dd").first).not_to_have_text("$0.00", timeout=SEEN_MS)
    say(f"a call was on the screen {time.monotonic() - started:.2f} s after its answer")

    statuses = [call(given["proxy"], key)]
    while statuses[-1] == 200 and len(statuses) < CALLS_MAX:
        statuses.append(call(given["proxy"], key))
    assert statuses[-1] == 402, statuses
    page.get_by_label("New limit in dollars").fill("5")
    page.get_by_role("button", name="Set limit").click()
    expect(page.get_by_text("The limit is $5.00 from the next call on.")).to_be_visible()
    assert call(given["proxy"], key) == 200
    return page.url


def look_everywhere(browser: Browser, given: dict[str, Any], customer: str, shots: Path) -> None:
    """Every page at every width, light and dark."""
    for scheme in ("light", "dark"):
        for width in WIDTHS:
            context = browser.new_context(
                viewport={"width": width, "height": 900}, color_scheme="dark" if scheme == "dark" else "light"
            )
            look(context.new_page(), given, customer, shots=shots, name=f"{width}-{scheme}")
            context.close()


def look(page: Page, given: dict[str, Any], customer: str, *, shots: Path, name: str) -> None:
    """Every page once: nothing sticks out, nothing comes from elsewhere, the browser complains of nothing."""
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on(
        "request", lambda request: complaints.append(request.url) if given["web"] not in request.url else None
    )
    desk = sign_in(page, given)
    width = page.evaluate("window.innerWidth")
    for number, address in enumerate([*(desk + path for path in PAGES), customer]):
        page.goto(address)
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, f"{address} is {wide} px wide on a screen of {width}"
        page.screenshot(path=str(shots / f"{number}-{name}.png"), full_page=True)
    assert complaints == [], complaints


def go_without_javascript(browser: Browser, given: dict[str, Any], customer: str) -> None:
    """The same pages and forms serve a browser that runs no script."""
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    desk = sign_in(page, given)
    for path in PAGES:
        page.goto(desk + path)
        expect(page.locator("h1")).to_be_visible()
    page.goto(f"{desk}customers/?q=journ")
    expect(page.get_by_role("link", name="Journey")).to_be_visible()
    page.goto(customer)
    expect(page.locator("#customer-calls tbody tr").first).to_be_visible()
    page.get_by_label("New limit in dollars").fill("6")
    page.get_by_role("button", name="Set limit").click()
    expect(page.get_by_text("The limit is $6.00 from the next call on.")).to_be_visible()
    context.close()


def main() -> None:
    """Run it all and leave pictures."""
    given = json.load(sys.stdin)
    shots = Path(given["shots"])
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=given["chromium"], args=["--no-sandbox"])
        customer = walk_the_journey(browser.new_page(), given)
        say("journey done")
        look_everywhere(browser, given, customer, shots)
        say(f"{len(PAGES) + 1} pages seen at {len(WIDTHS)} widths, light and dark; pictures in {shots}")
        go_without_javascript(browser, given, customer)
        say("and without JavaScript")
        browser.close()


if __name__ == "__main__":
    main()
