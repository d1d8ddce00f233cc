"""A provider process per module's need, and a small client that reads streams as they are on the wire."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

ROOT = Path(__file__).parents[3]
WORDS = [{"role": "user", "content": "hello big world"}]  # 2 + 4 + 3 tokens
PROMPT_TOKENS = 9


@dataclass
class Stream:
    """What came out of a stream, whole or broken off."""

    chunks: list[dict[str, Any]] = field(default_factory=list)
    raw: bytes = b""
    done: bool = False
    broken: bool = False
    headers: httpx.Headers = field(default_factory=httpx.Headers)

    @property
    def text(self) -> str:
        """The words of choice 0."""
        choices = [chunk["choices"][0] for chunk in self.chunks if chunk.get("choices")]
        return "".join(each["delta"].get("content") or "" for each in choices if each["index"] == 0)

    @property
    def usages(self) -> list[Any]:
        """Every usage told, null left out."""
        return [chunk["usage"] for chunk in self.chunks if chunk.get("usage")]


@dataclass
class Simulator:
    """A running provider."""

    base_url: str
    process: subprocess.Popen[bytes]
    http: httpx.Client

    def ask(self, model: str, *, headers: dict[str, str] | None = None, **body: Any) -> httpx.Response:
        """Ask for a JSON answer."""
        wanted = {"model": model, "messages": WORDS, **body}
        return self.http.post("/v1/chat/completions", json=wanted, headers=headers)

    def stream(self, model: str, *, headers: dict[str, str] | None = None, **body: Any) -> Stream:
        """Read a stream to its end, however it ends."""
        wanted = {"model": model, "messages": WORDS, "stream": True, **body}
        result = Stream()
        try:
            with self.http.stream("POST", "/v1/chat/completions", json=wanted, headers=headers) as answer:
                result.headers = answer.headers
                assert answer.status_code == 200, answer.read()
                for piece in answer.iter_bytes():
                    result.raw += piece
        except httpx.RemoteProtocolError:
            result.broken = True
        for line in result.raw.decode().splitlines():
            if line == "data: [DONE]":
                result.done = True
            elif line.startswith("data: "):
                result.chunks.append(json.loads(line[6:]))
        return result

    def bill(self) -> dict[str, Any]:
        """The totals."""
        totals: dict[str, Any] = self.http.get("/_sim/bill").json()
        return totals

    def records(self) -> list[dict[str, Any]]:
        """Every record that has ended."""
        return [json.loads(line) for line in self.http.get("/_sim/bill?records=1").text.splitlines()]

    def only_record(self) -> dict[str, Any]:
        """The one record on the bill, once it has ended."""
        wait_until(lambda: self.bill()["open"] == 0)
        (record,) = self.records()
        return record


def wait_until(true: Callable[[], bool], *, seconds_max: float = 5.0) -> None:
    """Wait for something another process is about to do."""
    deadline = time.monotonic() + seconds_max
    while not true():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


@contextmanager
def run_simulator(*arguments: str) -> Iterator[Simulator]:
    """Run a provider until the block ends."""
    command = [sys.executable, "-m", "simulators.provider", "--port", "0", *arguments]
    environment = {**os.environ, "FAREBOX_ENV": "development"}
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, env=environment)
    assert process.stdout is not None
    try:
        ready = json.loads(process.stdout.readline())
        with httpx.Client(base_url=f"http://127.0.0.1:{ready['port']}", timeout=10) as http:
            yield Simulator(ready["base_url"], process, http)
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()


@pytest.fixture(scope="session")
def running() -> Iterator[Simulator]:
    """One provider for the whole session."""
    with run_simulator() as simulator:
        yield simulator


@pytest.fixture
def sim(running: Simulator) -> Simulator:
    """The session's provider with an empty bill."""
    running.http.post("/_sim/reset")
    return running
