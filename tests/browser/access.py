"""What everybody needs of a page: no serious finding of axe, and every action within reach of the Tab key."""

from __future__ import annotations

import re
from collections import deque
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Page

SERIOUS = ("serious", "critical")
TABS_MAX = 400
PARTS_OF_DATES_MAX = 8
# Links that end so bring a file, no page.
DOWNLOAD = "/file/"
_IDS = re.compile(r"[a-z]{3}_[0-9a-z]{16,}")

# Of a group of radio buttons the Tab key reaches one; the arrows reach the others.
_MARK_ACTIONS = """() => {
  const seen = new Set();
  let count = 0;
  for (const one of document.querySelectorAll('a[href], button, input, select, textarea, summary, [tabindex="0"]')) {
    const group = one.type === 'radio' ? 'radio ' + one.name : '';
    const isShut = one.closest('details:not([open])') && one.tagName !== 'SUMMARY';
    if (one.disabled || one.type === 'hidden' || isShut || !one.getClientRects().length || seen.has(group)) continue;
    if (group) seen.add(group);
    one.dataset.action = group || String(count);
    count += 1;
  }
  return count;
}"""
_LOOK_AT_FOCUS = """() => {
  const one = document.activeElement;
  if (!one || one === document.body) return null;
  const style = getComputedStyle(one), box = one.getBoundingClientRect();
  const outlined = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2;
  const inside = box.right > 0 && box.bottom > 0 && box.left < innerWidth && box.top < innerHeight;
  const action = one.type === 'radio' ? 'radio ' + one.name : one.dataset.action;
  return {action: action ?? null, seen: outlined && inside, what: one.outerHTML.slice(0, 120)};
}"""
_FIND_MISSED = """reached => [...document.querySelectorAll('[data-action]')]
  .filter(one => !reached.includes(one.dataset.action)).map(one => one.outerHTML.slice(0, 120))"""
_RUN_AXE = "() => axe.run(document, {resultTypes: ['violations']}).then(found => found.violations)"


def find_violations(page: Page, axe: str) -> list[str]:
    """What axe calls serious or critical on a page, a line each."""
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(axe)
    found: list[dict[str, Any]] = page.evaluate(_RUN_AXE)
    return [
        f"{page.url}: {each['id']} ({each['help']}): {each['nodes'][0]['html'][:160]} …{len(each['nodes'])} of them"
        for each in found
        if each["impact"] in SERIOUS
    ]


def find_unreachable(page: Page) -> list[str]:
    """Walk a page by the Tab key; what it does not reach, or reaches unseen, a line each."""
    wanted = page.evaluate(_MARK_ACTIONS)
    reached: list[str] = []
    complaints: list[str] = []
    for _ in range(min(wanted + 5 + PARTS_OF_DATES_MAX, TABS_MAX)):
        page.keyboard.press("Tab")
        at = page.evaluate(_LOOK_AT_FOCUS)
        if reached and at is not None and at["action"] == reached[-1]:
            continue  # a date has a stop for each of its parts
        if at is None or at["action"] in reached:
            break
        reached.append(at["action"])
        if not at["seen"]:
            complaints.append(f"{page.url}: focus is not seen on {at['what']}")
    missed = page.evaluate(_FIND_MISSED, reached)
    return complaints + [f"{page.url}: Tab does not reach {what}" for what in missed]


def skip_to_content(page: Page) -> None:
    """The first Tab shows the skip link; Enter leads past the navigation."""
    page.keyboard.press("Tab")
    skip = page.locator(".skip")
    assert skip.evaluate("one => one === document.activeElement && one.getBoundingClientRect().left >= 0")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.querySelector('#main').contains(document.activeElement)"), page.url


def find_pages(page: Page, start: str) -> list[str]:
    """One address of every kind of page that can be reached by links from a desk, in the order they are found."""
    desk = urlsplit(start).path
    found: dict[str, str] = {}
    waiting = deque([start])
    while waiting:
        address = waiting.popleft()
        kind = _IDS.sub("*", urlsplit(address).path)
        if kind in found:
            continue
        found[kind] = address
        page.goto(address)
        links: list[str] = page.evaluate("[...document.querySelectorAll('a[href]')].map(one => one.href)")
        waiting.extend(
            link.partition("#")[0].partition("?")[0]
            for link in links
            if urlsplit(link).netloc == urlsplit(start).netloc
            and urlsplit(link).path.startswith(desk)
            and not urlsplit(link).path.endswith(DOWNLOAD)
        )
    return list(found.values())
