"""Every recorded call of a served endpoint through a running gateway, beside what its provider reported.

    python -m benchmarks.replay [--only openai anthropic] [--write]

A stand-in provider answers with the recorded bytes (`simulators.replay`); proxy, Redis, recorder and PostgreSQL are
real. Compared are: booked usage with the provider's own, booked cost with genai-prices called directly, bytes to the
caller with bytes from the provider, hold with cost, and bound with prompt. Rows come from FAREBOX_DATA.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from benchmarks.replay_report import Comparison, markdown, write_page
from benchmarks.replay_truth import OVERRIDE_USD_PER_MTOK, account_of, book_of, is_known
from config.devservers import free_port, stop_process
from simulators.replay.rows import Row, digest_of_row, is_reported, read_rows, request_of, wire_of
from tests.stack import ROOT, Stack, running_stack, wait_for

DATA = Path(os.environ.get("FAREBOX_DATA", ROOT.parent / "shared" / "data")) / "recordings"
LIMIT_USD = "9000000.00"
AT_ONCE = 8
DEFAULTS = ("openai", "anthropic", "gemini")  # accounts that a plain model name goes to


@dataclass
class Sent:
    """One request and what came back."""

    row: Row
    status: int
    body: bytes
    served_id: str  # the row that the provider says it answered with; requests can be alike


@contextmanager
def replay_provider() -> Iterator[str]:
    """The stand-in provider, for the length of a block."""
    port = free_port()
    command = [sys.executable, "-m", "simulators.replay", "--port", str(port), "--data", str(DATA)]
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "FAREBOX_ENV": "development"})
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for(lambda: Stack.answers(url), "the recordings", 60.0)
        yield url
    finally:
        stop_process(process)


def set_up(stack: Stack, url: str, rows: list[Row]) -> str:
    """Make an account for each provider, a price where nobody knows one, and a key."""
    for name, row in {account_of(row): row for row in rows}.items():
        is_default = name in DEFAULTS
        account = {"provider": book_of(row), "name": name, "api_key": "sk-replay", "default": is_default}
        where = {"dialect": wire_of(row).dialect, "base_url": f"{url}/{row['provider']}"}
        stack.api("POST", "/provider-accounts", {**account, **where})
    price = {f"{name}_usd_per_mtok": f"{usd}.00" for name, usd in OVERRIDE_USD_PER_MTOK.items()}
    for provider, model in sorted({(book_of(row), row["model"]) for row in rows if not is_known(row)}):
        stack.api("PUT", f"/prices/{provider}/{model}", price)
    key: str = stack.customer("replay", LIMIT_USD)["key"]
    return key


async def send_all(address: str, key: str, rows: list[Row]) -> list[Sent]:
    """Send every row; those with the same request one after the other."""
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[digest_of_row(row)].append(row)
    waiting = list(groups.values())
    done: list[Sent] = []
    async with httpx.AsyncClient(base_url=address, timeout=60.0, trust_env=False) as client:

        async def work() -> None:
            while waiting:
                done.extend([await send(client, key, row) for row in waiting.pop()])

        await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    return done


async def send(client: httpx.AsyncClient, key: str, row: Row) -> Sent:
    """Send one row's request as its client did, to its account."""
    body, wire, name = request_of(row), wire_of(row), account_of(row)
    model = row["model"] if wire.names_model_in_path else body["model"]
    if name not in DEFAULTS:
        model = f"{name}/{model}"
    if not wire.names_model_in_path:
        body = {**body, "model": model}
    content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
    path = wire.route.format(model=model) + ("?alt=sse" if "alt=sse" in row["path"] else "")
    answer = await client.post(path, content=content, headers={"authorization": f"Bearer {key}"})
    return Sent(row, answer.status_code, answer.content, answer.headers.get(wire.id_header, ""))


def replay(rows: list[Row]) -> Comparison:
    """Send rows through a gateway of their own and compare."""
    everything = {"FAREBOX_ALLOW_PRIVATE_UPSTREAMS": "127.0.0.1:*"}
    with replay_provider() as url, running_stack(with_worker=False, environment=everything) as stack:
        key = set_up(stack, url, rows)
        sent = asyncio.run(send_all(stack.address("proxy1"), key, rows))
        stack.wait_until_quiet()
        ledger: dict[str, dict[str, Any]] = {row["upstream_request_id"]: row for row in stack.rows()}
    by_id = {row["id"]: row for row in rows}
    comparison = Comparison()
    for one in sent:
        comparison.take(by_id.get(one.served_id, one.row), one.status, one.body, ledger.get(one.served_id))
    return comparison


def main() -> int:
    """Replay, print one JSON document and a table; exit 1 when something differs that is not listed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", help="these providers' rows alone")
    parser.add_argument("--write", action="store_true", help="write the table into docs/proof-replay.md")
    options = parser.parse_args()
    if not DATA.is_dir():
        print(f"no recorded calls at {DATA}: set FAREBOX_DATA", file=sys.stderr)
        return 2
    found = [row for row in read_rows(DATA) if not options.only or row["provider"] in options.only]
    rows = [row for row in found if is_reported(row)]
    comparison = replay(rows)
    comparison.excluded["no usage recorded"] = len(found) - len(rows)
    report = comparison.report()
    print(json.dumps(report, indent=2))
    print(markdown(report))
    if options.write:
        write_page(ROOT / "docs" / "proof-replay.md", markdown(report))
    return int(bool(report["broken"]))


if __name__ == "__main__":
    sys.exit(main())
