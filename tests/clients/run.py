"""`make clients`: unmodified clients against a whole Farebox; only their base URL and key are changed.

Python's go into a virtual environment in a temporary folder, JavaScript's into a node_modules there. Where they cannot
be installed (offline, no Node) that part is skipped aloud. Each client says what it asked for in each scenario, and the
gateway's own counters must agree: a refusal that a client tried again would count twice. At the end the provider's bill
must equal the ledger.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.evidence import compare
from tests.stack import Stack, running_stack

HERE = Path(__file__).resolve().parent
PYTHON_PACKAGES = (
    *("openai", "anthropic", "google-genai", "langchain-openai", "langchain-anthropic"),
    "pydantic-ai-slim[openai,anthropic,google]",
)
# It pins so much of what the others need that one environment for all takes minutes to work out, and ages them.
# Older releases take a 402 of some interfaces for a lost connection. It imports the others, and does not ask for them.
LITELLM_PACKAGES = ("litellm>=1.106", "mcp", "tenacity")
NODE_PACKAGES = ("openai", "@anthropic-ai/sdk", "ai", "@ai-sdk/openai", "@ai-sdk/anthropic")
# Scripts and their arguments, each a process of its own, so that a count that is off names its client.
PYTHON_CLIENTS = (
    *(("openai_client.py",), ("anthropic_client.py",), ("google_client.py",)),
    *(("langchain_clients.py", "langchain-openai"), ("langchain_clients.py", "langchain-anthropic")),
    ("pydantic_ai_client.py",),
)
LITELLM_CLIENTS = (("litellm_client.py",),)
NODE_CLIENTS = (("openai_client.mjs",), ("anthropic_client.mjs",), ("ai_sdk_client.mjs",))
INSTALL_SECONDS_MAX = 400
CLIENT_SECONDS_MAX = 120
MODELS = (
    *("sim-mini", "sim-words-20", "sim-tools", "sim-reasoning-20", "sim-unknown", "sim-cached-3"),
    *("sim-error-400", "sim-error-401", "sim-error-429", "sim-error-500", "sim-error-529"),
)


@dataclass
class Part:
    """Clients of one environment: the interpreter and the folder to run them in; None where they cannot be had."""

    interpreter: str | None
    folder: Path
    clients: tuple[tuple[str, ...], ...]


@dataclass
class Findings:
    """What came out: a row of the table for each scenario, and all that is wrong."""

    rows: list[tuple[str, str, str]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


def install_python(home: Path, packages: tuple[str, ...], clients: tuple[tuple[str, ...], ...]) -> Part:
    """Make an environment of Python's clients, with our own pip: giving it one takes longer."""
    python = str(home / "bin" / "python")
    made = _ran([sys.executable, "-m", "venv", "--without-pip", str(home)], home.parent)
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-compile"]
    is_there = made and _ran([*pip, *packages], home.parent)
    return Part(python if is_there else None, HERE, clients)


def install_node(home: Path) -> Part:
    """Make the environment of JavaScript's clients, if there is Node."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return Part(None, home, NODE_CLIENTS)
    home.mkdir()
    (home / "package.json").write_text('{"name":"clients","private":true,"type":"module"}')
    for script in HERE.glob("*.mjs"):
        shutil.copy(script, home)
    command = [npm, "install", "--no-audit", "--no-fund", "--silent", *NODE_PACKAGES]
    return Part(node if _ran(command, home) else None, home, NODE_CLIENTS)


def _ran(command: list[str], folder: Path) -> bool:
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, timeout=INSTALL_SECONDS_MAX, check=False
        )
    except subprocess.TimeoutExpired:
        return False
    if done.returncode:
        sys.stderr.write(done.stderr.decode(errors="replace")[-800:] + "\n")
    return done.returncode == 0


def set_up(stack: Stack) -> dict[str, str]:
    """Give Acme an account of each dialect, prices, and keys of a rich and a poor customer."""
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


def settled_counts(stack: Stack, before: Counter[str], asked: Counter[str]) -> Counter[str]:
    """What the gateway counted since; a stream ends there a moment after it does for its caller."""
    deadline = time.monotonic() + 3
    while (seen := counted(stack) - before) != asked and time.monotonic() < deadline:
        time.sleep(0.05)
    return seen


def run_client(
    stack: Stack, part: Part, script: tuple[str, ...], *, environment: dict[str, str], found: Findings
) -> None:
    """Run one client's scenarios and add to what was found."""
    before = counted(stack)
    done = subprocess.run(
        [str(part.interpreter), str(part.folder / script[0]), *script[1:]],
        cwd=part.folder,
        env=environment,
        capture_output=True,
        timeout=CLIENT_SECONDS_MAX,
        check=False,
    )
    lines = [json.loads(line) for line in done.stdout.decode().splitlines() if line.startswith('{"client"')]
    asked: Counter[str] = Counter()
    for line in lines:
        asked.update(line["asked"])
        requests = ", ".join(f"{times} {code}" for code, times in line["asked"].items())
        found.rows.append((line["client"], line["scenario"], line["wrong"] or f"right ({requests})"))
        if line["wrong"]:
            found.wrong.append(f"{line['client']}, {line['scenario']}: {line['wrong']}")
    if not lines or done.returncode:
        found.wrong.append(
            f"{' '.join(script)}: exit {done.returncode}: {done.stderr.decode(errors='replace')[-2000:]}"
        )
    seen = settled_counts(stack, before, asked)
    found.wrong += [
        f"{' '.join(script)}: {code} asked {asked[code]} times, seen {seen[code]}"
        for code in sorted(asked | seen)
        if asked[code] != seen[code]
    ]


def run_all(parts: dict[str, Part], home: Path) -> Findings:
    """Run every client that could be installed against one stack, and compare its bill with the ledger."""
    found = Findings()
    with running_stack(with_worker=False) as stack:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "PYTHONDONTWRITEBYTECODE": "1",
            **set_up(stack),
        }
        for part in parts.values():
            for script in part.clients if part.interpreter else ():
                run_client(stack, part, script, environment=environment, found=found)
        stack.wait_until_quiet()
        rows: list[dict[str, Any]] = stack.rows()
        found.wrong += compare(rows, stack.bill_records()).broken
    found.rows.append(("provider", "its bill and the ledger", f"equal ({len(rows)} rows)"))
    return found


def table(rows: list[tuple[str, str, str]]) -> str:
    """Write the rows under each other."""
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    return "\n".join(f"{row[0]:{widths[0]}}  {row[1]:{widths[1]}}  {row[2]}" for row in rows) + "\n"


def main() -> int:
    """Install, run, compare; 0 when all that could be installed is right."""
    with tempfile.TemporaryDirectory(prefix="farebox-clients-") as name:
        folder = Path(name)
        with ThreadPoolExecutor() as pool:
            installing = {
                "python": pool.submit(install_python, folder / "python", PYTHON_PACKAGES, PYTHON_CLIENTS),
                "litellm": pool.submit(install_python, folder / "litellm", LITELLM_PACKAGES, LITELLM_CLIENTS),
                "node": pool.submit(install_node, folder / "node"),
            }
        parts = {part: each.result() for part, each in installing.items()}
        for part, each in parts.items():
            if each.interpreter is None:
                sys.stdout.write(f"SKIPPED {part}: its clients cannot be installed here\n")
        if not any(each.interpreter for each in parts.values()):
            return 0
        found = run_all(parts, folder)
    if found.wrong:
        found.rows.pop()
    sys.stdout.write(table(found.rows))
    for line in found.wrong:
        sys.stdout.write(f"WRONG {line}\n")
    ran = sum(each.interpreter is not None for each in parts.values())
    sys.stdout.write(f"{ran} of {len(parts)} parts ran, {len(found.rows)} rows\n")
    return int(bool(found.wrong))


if __name__ == "__main__":
    sys.exit(main())
