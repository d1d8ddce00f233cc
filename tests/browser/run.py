"""`python -m tests.browser.run`: the journey in Chromium over a stack of its own.

Playwright and axe are no dependencies of ours: they go into a throw-away folder. Where Chromium is absent this says so
and leaves with 77, the exit code of a test that was skipped; where npm is, axe's part is skipped, aloud.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
from pathlib import Path

from tests.stack import ROOT, Stack, running_stack

SKIPPED = 77
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
PLAYWRIGHT = "playwright>=1.40"
AXE = "axe-core@4"
# A model of the simulator whose calls fail in a way that may have been billed.
BROKEN_MODEL = "sim-error-500"
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


def read_axe() -> str:
    """The text of axe, fetched once from the npm registry; empty where there is no npm, or it gets nothing."""
    folder = FOLDER / "axe"
    script = folder / "axe.min.js"
    npm = shutil.which("npm")
    if not script.exists() and npm is not None:
        folder.mkdir(parents=True, exist_ok=True)
        fetched = subprocess.run(
            [npm, "pack", "--silent", AXE], cwd=folder, capture_output=True, text=True, check=False
        )
        if fetched.returncode == 0:
            with tarfile.open(folder / fetched.stdout.strip()) as packed:
                member = packed.extractfile("package/axe.min.js")
                assert member is not None
                script.write_bytes(member.read())
    return script.read_text() if script.exists() else ""


def walk(stack: Stack, chromium: str) -> int:
    """Run the journey against a stack; returns its exit code."""
    shots = FOLDER / "pictures"
    shutil.rmtree(shots, ignore_errors=True)
    shots.mkdir(parents=True)
    stack.model(BROKEN_MODEL)
    given = {
        "web": stack.address("web"),
        "proxy": stack.address("proxy1"),
        "stripe": stack.address("stripe"),
        "api_key": stack.tenant["api_key"],
        "python": sys.executable,
        "environment": stack.environment,
        "email": "ada@acme.example",
        "password": stack.tenant["password"],
        "chromium": chromium,
        "shots": str(shots),
        "axe": read_axe(),
        "broken_model": BROKEN_MODEL,
    }
    command = [str(playwright_python()), "-m", "tests.browser.journey"]
    return subprocess.run(command, cwd=ROOT, input=json.dumps(given).encode(), check=False).returncode


def main() -> int:
    """Skip aloud, or walk."""
    chromium = find_chromium()
    if chromium is None:
        sys.stdout.write(f"SKIPPED: the browser journey needs one of {', '.join(CHROMIUM_NAMES)}\n")
        return SKIPPED
    with running_stack(with_stripe=True) as stack:
        return walk(stack, chromium)


if __name__ == "__main__":
    sys.exit(main())
