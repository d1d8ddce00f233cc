"""A Stripe process for the session, and a small client that speaks forms and JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

ROOT = Path(__file__).parents[3]
KEY = "sk_test_sim"
# A Python with httptools, openapi-schema-validator and referencing has the simulator check all it is asked and says.
PYTHON = os.environ.get("STRIPE_SIM_PYTHON", sys.executable)
START = 1_767_225_600  # 2026-01-01T00:00:00Z
Json = Any


@dataclass
class Stripe:
    """A running simulator."""

    base_url: str
    process: subprocess.Popen[bytes]
    http: httpx.Client
    checked: bool

    def send(
        self, method: str, path: str, *, data: Json = None, key: str = KEY, **headers: str
    ) -> httpx.Response:
        """Send a request as a form, or to /v2 as JSON."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        named |= {"authorization": f"Bearer {key}"}
        if method == "GET":
            return self.http.get(path, params=data, headers=named)
        if path.startswith("/v2/"):
            return self.http.request(method, path, json=data, headers=named)
        return self.http.request(method, path, data=data, headers=named)

    def get(self, path: str, **params: Any) -> Json:
        """Read what must be there."""
        answer = self.send("GET", path, data=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, **data: Any) -> Json:
        """Change what must change."""
        answer = self.send("POST", path, data=data)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def sim(self, path: str, /, **wanted: Any) -> Json:
        """Tell the simulator something."""
        answer = self.http.post(f"/_sim/{path}", json=wanted)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def told(self, path: str, /, **wanted: Any) -> Json:
        """Ask the simulator something."""
        return self.http.get(f"/_sim/{path}", params=wanted).json()

    def fault(self, kind: str, /, **wanted: Any) -> None:
        """Have the next matching request go wrong."""
        self.sim("faults", kind=kind, **wanted)

    def advance(self, seconds: float) -> None:
        """Move the clock on."""
        self.sim("clock", advance_s=seconds)

    def meter(self, event_name: str = "spend", **more: str) -> str:
        """Make a meter that sums."""
        formula = {"default_aggregation[formula]": "sum"}
        return str(
            self.post("/v1/billing/meters", display_name="M", event_name=event_name, **formula | more)["id"]
        )

    def customer(self, **more: str) -> str:
        """Make a customer."""
        return str(self.post("/v1/customers", **more)["id"])

    def event(self, customer: str, value: object, **more: Any) -> httpx.Response:
        """Send a v1 meter event."""
        payload = {"payload[stripe_customer_id]": customer, "payload[value]": str(value)}
        key = {"idempotency_key": more.pop("key")} if "key" in more else {}
        data = {"event_name": "spend"} | payload | more
        return self.send("POST", "/v1/billing/meter_events", data=data, **key)

    def event_v2(self, customer: str, value: object, **more: Any) -> httpx.Response:
        """Send a v2 meter event."""
        key = {"idempotency_key": more.pop("key")} if "key" in more else {}
        data = {"event_name": "spend", "payload": {"stripe_customer_id": customer, "value": str(value)}}
        return self.send("POST", "/v2/billing/meter_events", data=data | more, **key)

    def total(
        self, meter: str, customer: str, *, span_s: tuple[int, int] = (START - 86400, START + 86400)
    ) -> Json:
        """Read the one sum of a span."""
        path = f"/v1/billing/meters/{meter}/event_summaries"
        (row,) = self.get(path, customer=customer, start_time=span_s[0], end_time=span_s[1])["data"]
        return row["aggregated_value"]

    def subscription(self, meter: str, customer: str, *, unit: str = "1", **more: str) -> Json:
        """Subscribe a customer to a monthly price on a meter."""
        recurring = {
            "recurring[interval]": "month", "recurring[usage_type]": "metered", "recurring[meter]": meter,
            "product_data[name]": "Usage",
        }  # fmt: skip
        price = self.post("/v1/prices", currency="usd", unit_amount_decimal=unit, **recurring)
        return self.post("/v1/subscriptions", customer=customer, **{"items[0][price]": price["id"]} | more)


def wait_until(true: Callable[[], bool], *, seconds_max: float = 5.0) -> None:
    """Wait for something another process is about to do."""
    deadline = time.monotonic() + seconds_max
    while not true():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def answer_problems(stripe: Stripe) -> dict[str, list[str]]:
    """What the answers so far had that Stripe's description has not, by endpoint."""
    log = stripe.told("log")
    return {
        f"{each['method']} {each['path']}": each["answer_problems"]
        for each in log
        if "answer_problems" in each
    }


@contextmanager
def run_stripe(*arguments: str, python: str = PYTHON) -> Iterator[Stripe]:
    """Run a simulator until the block ends."""
    command = [python, "-m", "simulators.stripe", "--port", "0", *arguments]
    environment = {**os.environ, "FAREBOX_ENV": "development"}
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, env=environment)
    assert process.stdout is not None
    try:
        ready = json.loads(process.stdout.readline())
        with httpx.Client(base_url=ready["base_url"], timeout=5) as http:
            yield Stripe(ready["base_url"], process, http, ready["checked"])
    finally:
        process.terminate()
        assert process.wait(10) == 0
        process.stdout.close()


@pytest.fixture(scope="session")
def running() -> Iterator[Stripe]:
    """One simulator for the whole session."""
    with run_stripe() as simulator:
        yield simulator


@pytest.fixture
def stripe(running: Stripe) -> Iterator[Stripe]:
    """The session's simulator, emptied, its clock standing at the start of a year."""
    running.sim("reset")
    running.sim("clock", now=START, frozen=True)
    yield running
    # Where Stripe's own description is at hand, no answer may differ from it.
    assert answer_problems(running) == {}


class Inbox(ThreadingHTTPServer):
    """A webhook receiver that keeps what it was sent."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Receive)
        self.received: list[tuple[bytes, str]] = []
        self.statuses: list[int] = []

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_address[1]}/hook"

    def events(self) -> list[Json]:
        """What came, read."""
        return [json.loads(body) for body, _ in self.received]


class _Receive(BaseHTTPRequestHandler):
    server: Inbox

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.received.append((body, self.headers["stripe-signature"]))
        self.send_response(self.server.statuses.pop(0) if self.server.statuses else 200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Stay quiet."""


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    """A webhook receiver."""
    server = Inbox()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()
