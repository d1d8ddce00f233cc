"""`make clients`: unmodified official clients against a whole Farebox; only their base URL and key are changed.

Python's go into a virtual environment in a temporary folder, JavaScript's into a node_modules there. Where they cannot
be installed (offline, no Node) that half is skipped aloud. Each half says what it asked for, and the gateway's own
counters must agree: a refusal that a client tried again would count twice.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from tests.evidence import compare
from tests.stack import Stack, running_stack

HERE = Path(__file__).resolve().parent
PYTHON_PACKAGES = ("anthropic", "openai", "langchain-openai", "langchain-anthropic", "google-genai")
NODE_PACKAGES = ("openai", "@anthropic-ai/sdk")
INSTALL_SECONDS_MAX = 400
MODELS = (
    *("sim-mini", "sim-words-20", "sim-tools", "sim-reasoning-20", "sim-unknown", "sim-cached-3"),
    *("sim-error-400", "sim-error-401", "sim-error-429", "sim-error-500", "sim-error-529"),
)


def install_python(folder: Path) -> list[str] | None:
    """Make the environment of Python's clients; None when they cannot be had."""
    venv.create(folder / "python", with_pip=True)
    python = str(folder / "python" / "bin" / "python")
    return (
        [python, str(HERE / "python_clients.py")]
        if _ran([python, "-m", "pip", "install", "-q"], PYTHON_PACKAGES, folder)
        else None
    )


def install_node(folder: Path) -> list[str] | None:
    """Make the environment of JavaScript's clients; None where there is no Node or they cannot be had."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return None
    home = folder / "node"
    home.mkdir()
    (home / "package.json").write_text('{"name":"clients","private":true,"type":"module"}')
    shutil.copy(HERE / "javascript_clients.mjs", home)
    command = [npm, "install", "--no-audit", "--no-fund", "--silent"]
    return [node, str(home / "javascript_clients.mjs")] if _ran(command, NODE_PACKAGES, home) else None


def _ran(command: list[str], packages: tuple[str, ...], folder: Path) -> bool:
    try:
        done = subprocess.run(
            [*command, *packages], cwd=folder, capture_output=True, timeout=INSTALL_SECONDS_MAX, check=False
        )
    except subprocess.TimeoutExpired:
        return False
    if done.returncode:
        sys.stderr.write(done.stderr.decode(errors="replace")[-800:] + "\n")
    return done.returncode == 0


def set_up(stack: Stack) -> dict[str, str]:
    """Give Acme an account of either dialect, prices, and keys of a rich, a poor and a revoked customer."""
    root = stack.address("simulator")
    for provider, name in (("anthropic", "claude"), ("gemini", "gem")):
        account = {"provider": provider, "name": name, "api_key": "sk-sim-acme", "default": True}
        stack.api("POST", "/provider-accounts", {**account, "base_url": root})
    price = next(each for each in stack.simulator("/_sim/prices")["patterns"] if each["model"] == "sim-*")
    names = {
        "input": "input",
        "cached_input": "cache_read",
        "cache_write_5m": "cache_write_5m",
        "cache_write_1h": "cache_write_1h",
        "output": "output",
    }
    body = {f"{ours}_usd_per_mtok": price[theirs] for theirs, ours in names.items()}
    for provider in ("openai", "anthropic", "google"):
        for model in MODELS:
            stack.api("PUT", f"/prices/{provider}/{model}", body)
    return {
        "FAREBOX_URL": stack.address("proxy1"),
        "FAREBOX_KEY": stack.customer("rich", "100.00")["key"],
        "FAREBOX_POOR_KEY": stack.customer("poor", "0.000001")["key"],
    }


def counted(stack: Stack) -> Counter[str]:
    """How many requests of each outcome the gateway has seen."""
    text = httpx.get(f"{stack.address('proxy1')}/metrics").text
    found: Counter[str] = Counter()
    for line in text.splitlines():
        if line.startswith("farebox_requests_total{"):
            name, _, number = line.partition("} ")
            found[name.split('"')[1]] = int(float(number))
    return found


def run_half(stack: Stack, name: str, command: list[str], environment: dict[str, str]) -> list[str]:
    """Run one language's clients; return what is wrong."""
    before = counted(stack)
    done = subprocess.run(
        command, env={**os.environ, **environment}, stdout=subprocess.PIPE, timeout=300, check=False
    )
    *lines, last = done.stdout.decode().strip().splitlines() or [""]
    sys.stdout.write("\n".join(f"  {line}" for line in lines) + "\n")
    if done.returncode:
        return [f"{name}: exit {done.returncode}: {last}"]
    asked = Counter[str](json.loads(last))
    seen = counted(stack) - before
    wrong = [
        f"{name}: {code} asked {asked[code]}, seen {seen[code]}"
        for code in asked | seen
        if asked[code] != seen[code]
    ]
    sys.stdout.write(f"  {name}: {sum(seen.values())} requests, each sent once: {dict(seen)}\n")
    return wrong


def main() -> int:
    """Install, run, compare; 0 when all that could be installed is right."""
    wrong: list[str] = []
    ran = 0
    with tempfile.TemporaryDirectory(prefix="farebox-clients-") as name:
        folder = Path(name)
        halves: dict[str, Callable[[Path], list[str] | None]] = {
            "python": install_python,
            "node": install_node,
        }
        commands = {half: install(folder) for half, install in halves.items()}
        for half in [half for half, command in commands.items() if command is None]:
            sys.stdout.write(f"SKIPPED {half}: its clients cannot be installed here\n")
        if not any(commands.values()):
            return 0
        with running_stack(with_worker=False) as stack:
            environment = set_up(stack)
            for half, command in commands.items():
                if command is not None:
                    ran += 1
                    wrong += run_half(stack, half, command, environment)
            stack.wait_until_quiet()
            rows: list[dict[str, Any]] = stack.rows()
            wrong += compare(rows, stack.bill_records()).broken
    for line in wrong:
        sys.stdout.write(f"WRONG {line}\n")
    sys.stdout.write(
        f"{ran} of {len(commands)} halves ran, {len(rows)} ledger rows equal the provider's bill\n"
        if not wrong
        else ""
    )
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
