"""The browser journey as a test, where somebody asks for it: it fetches Playwright and takes a minute."""

from __future__ import annotations

import os

import pytest

from tests.browser import run


@pytest.mark.chaos
def test_a_tenant_walks_from_sign_in_to_a_raised_limit() -> None:
    if not os.environ.get("FAREBOX_BROWSER"):
        pytest.skip("set FAREBOX_BROWSER=1, or run python -m tests.browser.run")
    code = run.main()
    if code == run.SKIPPED:
        pytest.skip("no Chromium on this machine")
    assert code == 0
