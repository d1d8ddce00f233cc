"""Loading a page until it shows what a worker does in its own time, or what is asked for only now and then."""

from __future__ import annotations

import time
from collections.abc import Callable

from playwright.sync_api import Page

SECONDS_MAX = 15.0


def reload_until(page: Page, true: Callable[[], bool], what: str) -> None:
    """Load a page anew until something holds. Raises: AssertionError naming it."""
    deadline = time.monotonic() + SECONDS_MAX
    while not true():
        assert time.monotonic() < deadline, f"not within {SECONDS_MAX:.0f} s: {what}\n{page.url}"
        page.wait_for_timeout(250)
        page.reload()
