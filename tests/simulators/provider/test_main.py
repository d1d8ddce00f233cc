"""Starting and stopping."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx

from tests.simulators.provider.conftest import ROOT, WORDS, run_simulator, wait_until


def test_it_refuses_to_start_in_production() -> None:
    command = [sys.executable, "-m", "simulators.provider", "--port", "0"]
    environment = {**os.environ, "FAREBOX_ENV": "production"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, timeout=10, check=False)
    assert done.returncode == 2
    assert b"FAREBOX_ENV=production" in done.stderr
    assert done.stdout == b""


def test_sigterm_ends_it_cleanly_and_bills_what_was_open(tmp_path: Path) -> None:
    bill = tmp_path / "bill.jsonl"
    with run_simulator("--bill-file", str(bill)) as sim:
        body = json.dumps({"model": "sim-slow-60000", "messages": WORDS}).encode()
        address = httpx.URL(sim.base_url)
        with socket.create_connection((address.host, address.port or 80)) as caller:
            caller.sendall(
                b"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: %d\r\n\r\n" % len(body) + body
            )
            wait_until(lambda: sim.bill()["open"] == 1)
            sim.process.send_signal(signal.SIGTERM)
            assert sim.process.wait(10) == 0
    (record,) = [json.loads(line) for line in bill.read_text().splitlines()]
    assert (record["end"], record["billed_nanousd"]) == ("stopped", 9000)


def test_it_imports_nothing_that_it_judges() -> None:
    program = "import sys, simulators.provider.__main__; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    packages = {name.partition(".")[0] for name in done.stdout.split()}
    foreign = (
        packages
        - set(sys.stdlib_module_names)
        - {
            "simulators",
            "httptools",
            "uvloop",
            "cython_runtime",
            "__main__",
        }
    )
    assert {name for name in foreign if not name.startswith(("_", "sitecustomize"))} == set()
