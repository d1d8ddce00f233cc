"""Pushers as processes of their own, killed at random: forked, so that they share nothing but the servers."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
import uuid
import zlib
from random import Random
from typing import Any

from django.db import connections

from billing.pushing import dispatching, pacing
from billing.pushing.dispatching import push_one, sendable
from billing.stripe import gateway
from config.devservers import die_with_parent
from tenants.publishing import shared_control

_FORK = multiprocessing.get_context("fork")


def _work(share: int, of: int, plant: str) -> None:
    """Send what is due for ever: this worker's share first of all that is."""
    die_with_parent()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    shared_control.cache_clear()
    gateway._http_client.cache_clear()
    # A month in minutes: the pauses are a simulated month's.
    pacing.RATE_PER_S = dispatching.RATE_PER_S = {"live": 100_000, "test": 100_000}
    pacing.PAUSE_MS = 5
    if plant == "identifier":
        _forget_identifiers()
    while True:
        mine = [
            pk
            for pk in sendable().values_list("pk", flat=True)[:200]
            if zlib.crc32(pk.encode()) % of == share
        ]
        for push_id in mine:
            push_one(push_id)
        if not mine:
            time.sleep(0.02)


def _forget_identifiers() -> None:
    """The planted fault: every attempt under a name of its own."""
    send = gateway.Gateway.send_meter_event

    def forgetful(self: gateway.Gateway, event_name: str, identifier: str, **rest: Any) -> Any:
        return send(self, event_name, f"{identifier[:40]}-{uuid.uuid4().hex[:8]}", **rest)

    gateway.Gateway.send_meter_event = forgetful  # type: ignore[method-assign]


class Workers:
    """A few pushers; one that is killed is followed by another."""

    def __init__(self, count: int, *, plant: str = "") -> None:
        self._plant = plant
        self._count = count
        self._processes: list[Any] = []
        self.killed = 0

    def start(self) -> None:
        """Start all of them."""
        self._processes = [self._started(share) for share in range(self._count)]

    def kill_one(self, random: Random) -> None:
        """Kill one as the kernel would, and start another in its place."""
        share = random.randrange(self._count)
        pid = self._processes[share].pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        self._processes[share].join()
        self._processes[share] = self._started(share)
        self.killed += 1

    def stop(self) -> None:
        """End all of them."""
        for process in self._processes:
            process.kill()
            process.join()
        self._processes = []

    def _started(self, share: int) -> Any:
        # A child must not inherit a connection: it would speak on its parent's.
        connections.close_all()
        process = _FORK.Process(target=_work, args=(share, self._count, self._plant), daemon=True)
        process.start()
        return process
