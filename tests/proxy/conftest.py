"""A proxy under uvicorn, a provider that keeps its own bill, a Valkey of their own, and two tenants."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

from config.devservers import Valkey, free_port, stop_process
from enforcement.control import Control
from enforcement.keyring import make_key
from enforcement.keys import Scope
from enforcement.policies import (
    BudgetRef,
    CustomerPolicy,
    KeyPolicy,
    ProviderAccount,
    PublishedPrice,
    TenantPolicy,
    key_digest,
)
from enforcement.secrets import CredentialBox
from metering.events import EventBody, decode_body
from metering.ids import make_id
from metering.money import parse_usd
from tests.plugin import HOME
from tests.proxy.echo import Echo

ROOT = Path(__file__).parents[2]
SIM_KEY = "sk-sim-0123456789abcdef"
SIM_INPUT, SIM_OUTPUT, SIM_EXACT_OUTPUT = 1_000_000_000, 2_000_000_000, 10_000_000_000


def wait_for(condition: Callable[[], Any], seconds_max: float = 10.0) -> Any:
    """Wait until something holds and return it."""
    deadline = time.monotonic() + seconds_max
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds_max} s")


@pytest.fixture(scope="session")
def valkey() -> Iterator[Valkey]:
    server = Valkey(HOME / "proxy-valkey")
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def simulator() -> Iterator[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "simulators.provider", "--port", "0", "--api-key", SIM_KEY],
        cwd=ROOT,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    yield json.loads(process.stdout.readline())["base_url"]
    stop_process(process)
    process.stdout.close()


@dataclass
class Proxy:
    url: str
    process: subprocess.Popen[bytes]
    log: Path

    def metric(self, name: str) -> float:
        lines = httpx.get(f"{self.url}/metrics").text.splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


def start_proxy(valkey_url: str, folder: Path, **environment: str) -> Proxy:
    port = free_port()
    log = folder / f"proxy-{port}.log"
    options = (
        "--http",
        "httptools",
        "--loop",
        "uvloop",
        "--no-access-log",
        "--log-level",
        "warning",
        "--timeout-graceful-shutdown",
        "1",
    )
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", "proxy.app:app", "--port", str(port), *options],
            cwd=ROOT,
            env={**os.environ, "REDIS_URL": valkey_url, "FAREBOX_LOG_LEVEL": "INFO", **environment},
            stdout=out,
            stderr=out,
        )
    url = f"http://127.0.0.1:{port}"

    def ready() -> bool:
        assert process.poll() is None, log.read_text()
        try:
            return httpx.get(f"{url}/readyz").status_code == 200
        except httpx.TransportError:
            return False

    wait_for(ready, 30.0)
    return Proxy(url, process, log)


@pytest.fixture(scope="session")
def proxy(valkey: Valkey) -> Iterator[Proxy]:
    started = start_proxy(
        valkey.url, HOME, FAREBOX_IDLE_TIMEOUT_MS="1500", FAREBOX_FIRST_BYTE_TIMEOUT_MS="2000"
    )
    yield started
    stop_process(started.process, signal.SIGTERM)


@dataclass
class Tenant:
    """One tenant in test mode, published straight to Redis; versions only grow."""

    control: Control
    client: redis.Redis
    base_url: str
    tenant_id: str = field(default_factory=lambda: make_id("ten", secrets.randbits(80)))
    version: int = 0

    def __post_init__(self) -> None:
        self.scope = Scope(self.tenant_id, "test")
        self.box = CredentialBox(os.environ["FAREBOX_SECRET_KEYS"].split(","))
        self.control.ensure_open(self.scope)
        self.policy = TenantPolicy(
            self.tenant_id, "test", accounts=(self.account("main", default=True),), prices=sim_prices()
        )
        self.publish()

    def _next(self) -> int:
        self.version += 1
        return self.version

    def account(
        self, name: str, *, default: bool = False, base_url: str = "", key: str = SIM_KEY
    ) -> ProviderAccount:
        account_id = make_id("acc", secrets.randbits(80))
        credential = self.box.seal(key, context=f"{self.tenant_id}:test:{account_id}")
        return ProviderAccount(
            account_id, name, "simulator", "openai", base_url or self.base_url, credential, default
        )

    def publish(self, **changes: Any) -> None:
        import msgspec

        self.policy = msgspec.structs.replace(self.policy, **changes)
        assert self.control.publish_tenant(self.policy, version=self._next())

    def budget(
        self, limit_usd: str = "10.00", *, on_exhaustion: Any = "refuse", scope: Any = "customer"
    ) -> BudgetRef:
        budget_id = make_id("bud", secrets.randbits(80))
        limit = parse_usd(limit_usd)
        assert self.control.load_new_budget(
            self.scope, budget_id=budget_id, limit_nanousd=limit, version=self._next()
        )
        return BudgetRef(budget_id, scope, "month", "UTC", "cost", on_exhaustion)

    def customer(self, *budgets: BudgetRef, external_id: str = "acme-1", **changes: Any) -> str:
        customer_id = make_id("cus", secrets.randbits(80))
        policy = CustomerPolicy(customer_id, budgets=budgets, **changes)
        self.control.publish_customer(self.scope, policy, external_id=external_id, version=self._next())
        return customer_id

    def key(self, customer_id: str | None = None, **changes: Any) -> str:
        kind = "ck" if customer_id else "sk"
        secret = make_key(kind, "test", self.tenant_id, secrets.randbits(195))
        self.publish_key(secret, customer_id, **changes)
        return secret

    def publish_key(self, secret: str, customer_id: str | None, **changes: Any) -> None:
        policy = KeyPolicy(
            f"key_{key_digest(secret)[:16]}",
            self.tenant_id,
            "test",
            "customer" if customer_id else "server",
            customer_id=customer_id,
            **changes,
        )
        self.control.publish_key(policy, digest=key_digest(secret), version=self._next())

    def spent(self, ref: BudgetRef) -> tuple[int, int]:
        """What the budget's windows have spent and hold, in sum."""
        balance = self.control.read_budget(self.scope, ref.budget_id)
        assert balance is not None
        windows = balance.windows
        return sum(w.spent_nanousd for w in windows), sum(w.held_nanousd for w in windows)

    def rows(self) -> list[tuple[str, str, int, EventBody]]:
        """This tenant's rows to be: kind, basis, cost, body."""
        entries = self.client.xrange(f"{{s{self.scope.shard}}}:usage")
        return [
            (f[b"kind"].decode(), f[b"basis"].decode(), int(f[b"cost"]), decode_body(f[b"body"]))
            for _, f in entries
            if f[b"tenant_id"].decode() == self.tenant_id
        ]


def sim_prices(provider: str = "simulator") -> tuple[PublishedPrice, ...]:
    exact = {"input": SIM_INPUT, "cache_read": 250_000_000, "output": SIM_EXACT_OUTPUT}
    plain = {"input": SIM_INPUT, "cache_read": 250_000_000, "output": SIM_OUTPUT}
    names = (
        *(
            "sim-mini",
            "sim-words-100",
            "sim-tools",
            "sim-nousage",
            "sim-zerousage",
            "sim-over-50",
            "sim-hang",
        ),
        *("sim-reset", "sim-usage-every", "sim-usage-choice", "sim-usage-not-last", "sim-midstream-error"),
        *(
            "sim-cached-10",
            "sim-crlf",
            "sim-comments",
            "sim-gzip",
            "sim-cut-5",
            "sim-stall-5",
            "sim-slow-500",
        ),
        *("sim-drip-20", "sim-drip-20-words-100", "sim-drip-100-words-100", "sim-unknown", "sim-slow-1000"),
        *(
            f"sim-error-{status}"
            for status in (400, 401, 402, 403, 404, 408, 422, 429, 500, 502, 503, 504, 529)
        ),
    )
    return (
        PublishedPrice(make_id("pri", 1), provider, "sim-exact", 0, exact),
        *(
            PublishedPrice(make_id("pri", place + 2), provider, name, 0, plain)
            for place, name in enumerate(names)
        ),
    )


@pytest.fixture
def make_tenant(valkey: Valkey, simulator: str) -> Iterator[Callable[[], Tenant]]:
    control = Control(valkey.url)
    client = redis.Redis.from_url(valkey.url)
    yield lambda: Tenant(control, client, simulator)
    control.close()
    client.close()


@pytest.fixture
def acme(make_tenant: Callable[[], Tenant]) -> Tenant:
    return make_tenant()


@pytest.fixture
def chat(proxy: Proxy) -> Iterator[Callable[..., httpx.Response]]:
    """Send one chat request and return the whole answer."""
    with httpx.Client(base_url=proxy.url, timeout=20.0) as client:

        def send(
            key: str, model: str = "sim-mini", *, headers: dict[str, str] | None = None, **fields: Any
        ) -> httpx.Response:
            body = {"model": model, "messages": [{"role": "user", "content": "Say hello"}], **fields}
            return client.post(
                "/v1/chat/completions",
                json=body,
                headers={"authorization": f"Bearer {key}", **(headers or {})},
            )

        yield send


def code_of(answer: httpx.Response) -> tuple[int, str]:
    """An error's status and code; its form is checked on the way."""
    error = answer.json()["error"]
    assert error["message"]
    assert error["docs"].endswith(f"/docs/errors#{error['code']}")
    assert answer.headers["farebox-request-id"].startswith("req_")
    return answer.status_code, error["code"]


@dataclass
class Bill:
    """The simulator's own records."""

    base_url: str

    def records(self, *, after: int = -1) -> list[dict[str, Any]]:
        root = self.base_url.removesuffix("/v1")
        lines = httpx.get(f"{root}/_sim/bill?records=1").text.splitlines()
        return [record for record in map(json.loads, lines) if record["seq"] > after]

    def last(self) -> int:
        return max((record["seq"] for record in self.records()), default=-1)


@pytest.fixture
def bill(simulator: str) -> Bill:
    return Bill(simulator)


@pytest.fixture
def echo() -> Iterator[Echo]:
    server = Echo()
    yield server
    server.close()
