"""`python -m tests.browser.run`: the journey in Chromium over a stack of its own.

Playwright is no dependency of ours: it goes into a throw-away environment. Where Chromium is absent this says so and
leaves with 77, the exit code of a test that was skipped.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from tests.stack import Stack, running_stack

SKIPPED = 77
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
PLAYWRIGHT = "playwright>=1.40"
FOLDER = Path(tempfile.gettempdir()) / "farebox-browser"


def find_chromium() -> str | None:
    """The path of a Chromium on this machine."""
    return next((found for name in CHROMIUM_NAMES if (found := shutil.which(name))), None)


def playwright_python() -> Path:
    """A Python with Playwright, made once."""
    home = FOLDER / "venv"
    python = home / "bin" / "python"
    if not (home / ".ready").exists():
        venv.create(home, with_pip=True, clear=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", PLAYWRIGHT], check=True)
        (home / ".ready").touch()
    return python


def walk(stack: Stack, chromium: str) -> int:
    """Run the journey against a stack; returns its exit code."""
    shots = FOLDER / "pictures"
    shots.mkdir(parents=True, exist_ok=True)
    given = {
        "web": stack.address("web"),
        "proxy": stack.address("proxy1"),
        "email": "ada@acme.example",
        "password": stack.tenant["password"],
        "chromium": chromium,
        "shots": str(shots),
    }
    journey = Path(__file__).with_name("journey.py")
    command = [str(playwright_python()), str(journey)]
    return subprocess.run(command, input=json.dumps(given).encode(), check=False).returncode


def main() -> int:
    """Skip aloud, or walk."""
    chromium = find_chromium()
    if chromium is None:
        sys.stdout.write(f"SKIPPED: the browser journey needs one of {', '.join(CHROMIUM_NAMES)}\n")
        return SKIPPED
    with running_stack() as stack:
        return walk(stack, chromium)


if __name__ == "__main__":
    sys.exit(main())
