"""A whole Farebox on this machine, for journeys, failure tests and benchmarks: real processes that can be killed.

Everything is set up through the public interfaces (bootstrap, control API), as a tenant would; what is compared
afterwards comes from the simulator's own bill, the ledger and Redis.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import psycopg
import redis

from config.devservers import Postgres, Valkey, die_with_parent, free_port, stop_process
from config.run import UVICORN_OPTIONS
from config.secretkey import make_secret_key

ROOT = Path(__file__).resolve().parent.parent
READY_SECONDS_MAX = 30.0


def wait_for(condition: Callable[[], bool], what: str, seconds_max: float = READY_SECONDS_MAX) -> None:
    """Wait until something holds. Raises: TimeoutError naming it."""
    deadline = time.monotonic() + seconds_max
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(0.05)
    raise TimeoutError(f"after {seconds_max:.0f} s still not: {what}")


@dataclass
class Process:
    """One process of the stack."""

    command: list[str]
    handle: subprocess.Popen[bytes]


@dataclass
class Stack:
    """The parts, their addresses, and one tenant ``Acme`` in test mode with the simulator as its provider."""

    home: Path
    proxies: int = 1
    with_worker: bool = True
    environment: dict[str, str] = field(default_factory=dict)
    processes: dict[str, Process] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)
    tenant: dict[str, str] = field(default_factory=dict)
    priced: set[str] = field(default_factory=set)

    zones: Path = Path("/nowhere")
    proxy_app: str = "proxy.app:app"
    # Further simulators by name, each with the one credential it takes; "simulator" takes any.
    simulators: dict[str, str] = field(default_factory=dict)
    # A stand-in Stripe, with pages to pay on.
    with_stripe: bool = False

    def __post_init__(self) -> None:
        self.postgres = Postgres(self.home / "postgres")
        self.valkey = Valkey(self.home / "valkey")
        providers = ("simulator", *self.simulators)
        stripe = ("stripe",) if self.with_stripe else ()
        self.ports = {name: free_port() for name in (*providers, *stripe, "web", *self.proxy_names)}
        self.environment = {
            **os.environ,
            **self.postgres.environment,
            "REDIS_URL": self.valkey.url,
            "FAREBOX_ENV": "development",
            "FAREBOX_HOME": str(self.home),
            "FAREBOX_BASE_URL": f"http://127.0.0.1:{self.ports['web']}",
            "FAREBOX_SECRET_KEYS": make_secret_key(),
            "FAREBOX_ALLOW_PRIVATE_UPSTREAMS": ",".join(
                f"127.0.0.1:{self.ports[name]}" for name in providers
            ),
            "FAREBOX_LOG_LEVEL": "INFO",
            "DJANGO_SETTINGS_MODULE": "config.settings",
            **({"FAREBOX_STRIPE_BASE": self.address("stripe")} if self.with_stripe else {}),
            **self.environment,
        }

    @property
    def proxy_names(self) -> tuple[str, ...]:
        """The proxies' process names."""
        return tuple(f"proxy{number}" for number in range(1, self.proxies + 1))

    def address(self, name: str) -> str:
        """The base URL of a process that serves."""
        return f"http://127.0.0.1:{self.ports[name]}"

    # -- life ------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start everything and make the tenant."""
        self.home.mkdir(parents=True, exist_ok=True)
        self.postgres.start()
        self.valkey.start()
        self.manage("migrate", "--database", "owner", "--verbosity", "0")
        for name in ("simulator", *self.simulators, "publisher", "recorder", *self.proxy_names, "web"):
            self.spawn(name)
        if self.with_stripe:
            self.spawn("stripe")
        if self.with_worker:
            self.spawn("worker")
        self.tenant = json.loads(
            self.manage("bootstrap", "--tenant", "Acme", "--email", "ada@acme.example", "--json")
        )
        for name in self.proxy_names:
            wait_for(lambda name=name: self.answers(f"{self.address(name)}/readyz"), f"{name} ready")  # type: ignore[misc]
        wait_for(lambda: self.answers(f"{self.address('web')}/api/schema"), "web ready")
        self.set_up_tenant()

    def stop(self) -> None:
        """Stop everything."""
        for process in self.processes.values():
            if process.handle.poll() is None:
                process.handle.terminate()
        for process in self.processes.values():
            stop_process(process.handle)
        self.valkey.stop()
        self.postgres.stop()

    def command(self, name: str) -> list[str]:
        """The command line of a part."""
        python, port = sys.executable, str(self.ports.get(name, 0))
        if name.startswith("proxy"):
            return [python, "-m", "uvicorn", self.proxy_app, *UVICORN_OPTIONS, "--port", port]
        if name == "web":
            return [python, "-m", "uvicorn", "config.asgi:application", *UVICORN_OPTIONS, "--port", port]
        if name == "simulator" or name in self.simulators:
            keyed = ["--api-key", self.simulators[name]] if name in self.simulators else []
            bill = str(self.bill_file(name))
            return [python, "-m", "simulators.provider", "--port", port, "--bill-file", bill, *keyed]
        if name == "stripe":
            return [python, "-m", "simulators.stripe", "--no-check", "--pay-here", "--port", port]
        if name == "worker":
            celery = [python, "-m", "celery", "-A", "config.celery", "worker", "-B", "--pool", "threads"]
            return [*celery, "-c", "2", "--loglevel", "WARNING", "-s", str(self.home / "beat-schedule")]
        return [python, "manage.py", name]

    def spawn(self, name: str) -> None:
        """Start a part (again)."""
        command = self.command(name)
        with (self.home / f"{name}.log").open("ab") as log:
            handle = subprocess.Popen(
                command,
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
        self.processes[name] = Process(command, handle)

    def kill(self, name: str) -> None:
        """Kill a part at once, as the kernel would."""
        handle = self.processes[name].handle
        handle.kill()
        handle.wait()

    def pause(self, name: str) -> None:
        """Stop a part in its tracks without ending it."""
        self.processes[name].handle.send_signal(signal.SIGSTOP)

    def resume(self, name: str) -> None:
        """Let a paused part go on."""
        self.processes[name].handle.send_signal(signal.SIGCONT)

    def manage(self, *command: str) -> str:
        """Run a management command and return what it printed."""
        done = subprocess.run(
            [sys.executable, "manage.py", *command],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"manage.py {command[0]}: {done.stderr.decode(errors='replace')[-3000:]}")
        return done.stdout.decode()

    def log(self, name: str) -> str:
        """What a part has logged so far."""
        return (self.home / f"{name}.log").read_text(errors="replace")

    # -- the tenant, through the public API ------------------------------------------------------------------------

    def api(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Call the control API as Acme. Raises: AssertionError with the answer when it is refused."""
        answer = httpx.request(
            method,
            f"{self.address('web')}/api/v1{path}",
            json=body,
            headers={"authorization": f"Bearer {self.tenant['api_key']}"},
            timeout=20,
        )
        assert answer.status_code < 300, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def set_up_tenant(self) -> None:
        """Make the simulator Acme's provider, at the simulator's own prices."""
        account = {"provider": "openai", "name": "sim", "api_key": "sk-sim-acme", "default": True}
        self.api("POST", "/provider-accounts", {**account, "base_url": f"{self.address('simulator')}/v1"})
        self.model("sim-mini")

    def model(self, name: str, *, like: str = "sim-mini") -> str:
        """Register the simulator's own price of a model once, under each name it is called by; returns the name."""
        if name not in self.priced:
            patterns = {each["model"]: each for each in self.simulator("/_sim/prices")["patterns"]}
            price = patterns["sim-exact*" if like == "sim-exact" else "sim-*"]
            names = {"input": "input", "cached_input": "cache_read", "output": "output"}
            body = {f"{ours}_usd_per_mtok": price[theirs] for theirs, ours in names.items()}
            self.api("PUT", f"/prices/openai/{name}", body)
            self.priced.add(name)
        return name

    def customer(self, external_id: str, limit_usd: str, **budget: Any) -> dict[str, Any]:
        """Make a customer with a monthly budget and a key; returns customer, budget and key answers."""
        customer = self.api("POST", "/customers", {"external_id": external_id, "name": external_id.title()})
        wanted = {"customer": customer["id"], "window": "month", "limit_usd": limit_usd, **budget}
        made = self.api("POST", "/budgets", wanted)
        key = self.api("POST", "/keys", {"customer": customer["id"], "name": "test"})
        return {"customer": customer, "budget": made, "key": key["key"]}

    # -- evidence --------------------------------------------------------------------------------------------------

    def simulator(self, path: str, method: str = "GET") -> Any:
        """Ask the simulator's control endpoints."""
        return httpx.request(method, f"{self.address('simulator')}{path}", timeout=20).json()

    def bill_file(self, name: str) -> Path:
        """Where a simulator writes its bill."""
        return self.home / ("bill.jsonl" if name == "simulator" else f"{name}.bill.jsonl")

    def bill_records(self, name: str = "simulator") -> list[dict[str, Any]]:
        """The simulator's own record of every request that reached it."""
        return [json.loads(line) for line in self.bill_file(name).read_text().splitlines()]

    def rows(self, where: str = "true", *parameters: Any) -> list[dict[str, Any]]:
        """Ledger rows, read as the owner."""
        query = f"SELECT * FROM ledger_row WHERE {where} ORDER BY started_at"
        with psycopg.connect(
            self.postgres.url("farebox_owner"), row_factory=psycopg.rows.dict_row
        ) as connection:
            return connection.execute(query, parameters).fetchall()  # type: ignore[arg-type]  # a test's own text

    def redis(self) -> redis.Redis:
        """A client of the stack's Valkey."""
        return redis.Redis.from_url(self.valkey.url, decode_responses=True)

    def budget(self, budget_id: str) -> dict[str, Any]:
        """A budget as the API shows it."""
        answer: dict[str, Any] = self.api("GET", f"/budgets/{budget_id}")
        return answer

    @staticmethod
    def nanousd(amount_usd: str) -> int:
        """Read the API's decimal dollars exactly."""
        return int(Decimal(amount_usd) * 1_000_000_000)

    def wait_until_quiet(self, seconds_max: float = 60.0) -> None:
        """Wait until no hold is open and the recorder has everything."""

        def quiet() -> bool:
            with self.redis() as client:
                return not any(
                    client.zcard(key) for key in client.scan_iter("*:deadlines", count=1000)
                ) and all(
                    int(client.hget(key, "recorded") or 0) >= int(client.hget(key, "last_event_seq") or 0)
                    for key in client.scan_iter("*:shard", count=1000)
                )

        wait_for(quiet, "every hold ended and recorded", seconds_max)

    @staticmethod
    def answers(url: str) -> bool:
        """Tell whether a URL answers 200."""
        try:
            return httpx.get(url, timeout=2).status_code == 200
        except httpx.HTTPError:
            return False


@contextmanager
def running_stack(**options: Any) -> Iterator[Stack]:
    """A stack for the length of a block, on a folder of its own."""
    home = Path(tempfile.mkdtemp(prefix="farebox-stack-"))
    stack = Stack(home, **options)
    try:
        stack.start()
        yield stack
    finally:
        stack.stop()
        if not os.environ.get("FAREBOX_KEEP_STACK"):
            shutil.rmtree(home, ignore_errors=True)
