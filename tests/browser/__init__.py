"""The portal in a real browser, over a whole stack. Needs Chromium; `python -m tests.browser.run` runs it."""
