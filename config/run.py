"""What `make run` does: start everything on this machine, say where it is, and stop it all on ctrl-C.

Development only. Each part is a process of its own, restarted when it dies; nothing outlives this one.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from config.devservers import Postgres, Valkey, die_with_parent, free_port, stop_process
from config.secretkey import make_secret_key

ROOT = Path(__file__).resolve().parent.parent
RESTART_AFTER_SECONDS = 1.0
READY_SECONDS_MAX = 60.0
UVICORN_OPTIONS = (
    *("--host", "127.0.0.1", "--http", "httptools", "--loop", "uvloop", "--timeout-graceful-shutdown", "10"),
    *("--no-access-log", "--no-server-header", "--no-proxy-headers", "--log-level", "warning"),
)


def say(line: str = "") -> None:
    """Print a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


@dataclass
class Part:
    """One process: its command, its log, and how often it had to be started again."""

    name: str
    command: list[str]
    process: subprocess.Popen[bytes] | None = None
    restarts: int = 0

    def start(self, environment: dict[str, str], logs: Path) -> None:
        """Start the process with its output in a log of its own."""
        with (logs / f"{self.name}.log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )


@dataclass
class Supervisor:
    """Starts the parts in order, watches them, stops them in reverse."""

    home: Path
    port: int
    parts: list[Part] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)
    postgres: Postgres | None = None
    valkey: Valkey | None = None

    def environment(self) -> dict[str, str]:
        """Start the servers that the environment does not name, and return what every part is given."""
        environment = {
            **os.environ,
            "FAREBOX_ENV": "development",
            "FAREBOX_HOME": str(self.home),
            "FAREBOX_BASE_URL": os.environ.get("FAREBOX_BASE_URL", f"http://127.0.0.1:{self.port}"),
            "FAREBOX_SECRET_KEYS": os.environ.get("FAREBOX_SECRET_KEYS") or self._secret_key(),
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "PYTHONUNBUFFERED": "1",
        }
        if not os.environ.get("DATABASE_URL"):
            say("  PostgreSQL …")
            self.postgres = Postgres(self.home / "postgres")
            self.postgres.start()
            environment |= self.postgres.environment
        if not os.environ.get("REDIS_URL"):
            say("  Valkey …")
            self.valkey = Valkey(self.home / "valkey")
            self.valkey.start()
            environment["REDIS_URL"] = self.valkey.url
        return environment

    def run(self) -> int:
        """Serve until told to stop."""
        say("Starting Farebox")
        logs = self.home / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        simulator_port = free_port()
        environment = self.environment()
        allowed = [os.environ.get("FAREBOX_ALLOW_PRIVATE_UPSTREAMS", ""), f"127.0.0.1:{simulator_port}"]
        environment["FAREBOX_ALLOW_PRIVATE_UPSTREAMS"] = ",".join(filter(None, allowed))
        stripe = self._stripe(environment)
        say("  schema …")
        self._manage(environment, "migrate", "--database", "owner", "--verbosity", "0")
        for part in [*stripe, *self._parts(simulator_port)]:
            say(f"  {part.name} …")
            part.start(environment, logs)
            self.parts.append(part)
        demo = json.loads(
            self._manage(
                environment, "seed_demo", "--json", "--simulator", f"http://127.0.0.1:{simulator_port}/v1"
            )
        )
        if stripe:
            self._wait_until_answers(f"{environment['FAREBOX_STRIPE_BASE']}/_sim/truth")
            self._manage(environment, "seed_demo_stripe")
        self._wait_until_answers(f"http://127.0.0.1:{self.port}/readyz")
        say(banner(environment["FAREBOX_BASE_URL"], demo, logs, is_simulated=bool(stripe)))
        self._watch(environment, logs)
        return 0

    def stop(self) -> None:
        """Stop all parts, last started first, then the servers."""
        for part in reversed(self.parts):
            if part.process and part.process.poll() is None:
                part.process.terminate()
        for part in reversed(self.parts):
            stop_process(part.process)
        for server in (self.valkey, self.postgres):
            if server:
                server.stop()

    def _parts(self, simulator_port: int) -> list[Part]:
        python = sys.executable
        manage = [python, "manage.py"]
        celery = [python, "-m", "celery", "-A", "config.celery", "worker", "-B", "--pool", "threads"]
        web = [python, "-m", "uvicorn", "config.mounted:application", *UVICORN_OPTIONS]
        return [
            Part("simulator", [python, "-m", "simulators.provider", "--port", str(simulator_port)]),
            Part("publisher", [*manage, "publisher"]),
            Part("recorder", [*manage, "recorder"]),
            Part(
                "worker",
                [
                    *celery,
                    "--concurrency",
                    "2",
                    "--loglevel",
                    "WARNING",
                    "-s",
                    str(self.home / "beat-schedule"),
                ],
            ),
            Part("web", [*web, "--port", str(self.port)]),
        ]

    def _watch(self, environment: dict[str, str], logs: Path) -> None:
        while not self.stopping.wait(RESTART_AFTER_SECONDS):
            for part in self.parts:
                if part.process and part.process.poll() is not None:
                    part.restarts += 1
                    say(
                        f"{part.name} ended ({part.process.returncode}); starting it again, see {logs}/{part.name}.log"
                    )
                    part.start(environment, logs)

    def _stripe(self, environment: dict[str, str]) -> list[Part]:
        """A simulator of Stripe, unless the environment says where Stripe is; it forgets everything when it ends."""
        if environment.get("FAREBOX_STRIPE_BASE"):
            return []
        port = free_port()
        environment["FAREBOX_STRIPE_BASE"] = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "simulators.stripe", "--no-check", "--pay-here", "--port", str(port)]
        return [Part("stripe", command)]

    def _wait_until_answers(self, url: str) -> None:
        deadline = time.monotonic() + READY_SECONDS_MAX
        while time.monotonic() < deadline and not self.stopping.is_set():
            if answers(url):
                return
            if dead := [part.name for part in self.parts if part.process and part.process.poll() is not None]:
                raise SystemExit(f"{', '.join(dead)} ended at once; see {self.home / 'logs'}")
            time.sleep(0.1)
        raise SystemExit(f"not ready after {READY_SECONDS_MAX:.0f} s; see {self.home / 'logs'}")

    def _manage(self, environment: dict[str, str], *command: str) -> str:
        done = subprocess.run(
            [sys.executable, "manage.py", *command],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            check=False,
        )
        if done.returncode:
            raise SystemExit(
                f"manage.py {command[0]} failed:\n{done.stderr.decode(errors='replace')[-3000:]}"
            )
        return done.stdout.decode()

    def _secret_key(self) -> str:
        path = self.home / "secret_key"
        if not path.exists():
            self.home.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
            path.write_text(make_secret_key())
        return path.read_text()


def answers(url: str) -> bool:
    """Tell whether a URL answers 200."""
    try:
        with urllib.request.urlopen(url, timeout=2) as response:  # noqa: S310  # our own loopback address
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def banner(base_url: str, demo: dict[str, str], logs: Path, *, is_simulated: bool) -> str:
    """What a newcomer needs: where it is, how to sign in, a call to paste, and how to see what it cost."""
    stripe = ": Stripe is simulated here, and nothing is ever really invoiced" if is_simulated else ""
    return f"""
Farebox is ready on {base_url}   (logs in {logs}; ctrl-C stops everything)

  portal    {base_url}/
  sign in   {demo["email"]}  /  {demo["password"]}
  API docs  {base_url}/api/docs
  billing   "Billing" in the portal{stripe}

A call for the customer "{demo["customer"]}", whose budget is ${demo["limit_usd"]} a month:

  curl {base_url}/v1/chat/completions \\
    -H "Authorization: Bearer {demo["customer_key"]}" -H "Content-Type: application/json" \\
    -d '{{"model": "sim-mini", "messages": [{{"role": "user", "content": "Say hello"}}]}}'

What it cost:

  curl "{base_url}/api/v1/requests?limit=1" -H "Authorization: Bearer {demo["api_key"]}"

To see a refusal: sign in, open "{demo["customer"]}", lower its limit to 0.0001, and paste the call once more.
"""


def main() -> int:
    """Run the supervisor under its signal handlers."""
    home = Path(os.environ.get("FAREBOX_HOME") or ROOT / ".farebox").resolve()
    supervisor = Supervisor(home, int(os.environ.get("PORT") or 8000))

    def on_signal(signum: int, _frame: FrameType | None) -> None:
        if supervisor.stopping.is_set():
            return
        supervisor.stopping.set()
        say("\nStopping …")
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, on_signal)
    signal.signal(signal.SIGTERM, on_signal)
    try:
        return supervisor.run()
    except KeyboardInterrupt:
        return 0
    finally:
        supervisor.stopping.set()
        supervisor.stop()


if __name__ == "__main__":
    sys.exit(main())
