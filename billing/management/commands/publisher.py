"""`manage.py publisher`: keep Redis and PostgreSQL telling the same story, until told to stop."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import Error as DatabaseError
from django.db import close_old_connections

from billing.keeper import Keeper
from enforcement.control import Control
from enforcement.errors import EnforcementUnavailable
from enforcement.sweeper import Sweeper
from metering.ids import SHARDS
from tenants.arrivals import take_arrivals
from tenants.base_books import keep_installed_book
from tenants.publishing import drain_outbox

log = logging.getLogger("billing.publisher")

KEEPER_SECONDS = 1.0
HURRIED_SECONDS = 0.1  # while a shard is closed or a budget is wanted
OUTBOX_SECONDS = 0.5
ARRIVALS_SECONDS = 0.5
SWEEP_SECONDS = 1.0
BOOK_SECONDS = 3600.0


@dataclass(slots=True)
class Duty:
    """One thing to do again and again; ``work`` returns whether to do it again at once."""

    name: str
    work: Callable[[], bool]
    every_seconds: float
    due_seconds: float = 0.0
    is_failing: bool = False


class Publisher:
    """The duties of one process, each on its own time; one that cannot be done does not keep the others."""

    def __init__(self, control: Control, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._control = control
        self._clock = clock
        self._keeper = Keeper(control.client)
        self._sweeper = Sweeper(control.client)
        self.duties = [
            Duty("keeper", self._keep, KEEPER_SECONDS),
            Duty("outbox", lambda: drain_outbox(control=control) > 0, OUTBOX_SECONDS),
            Duty("arrivals", lambda: take_arrivals(control) > 0, ARRIVALS_SECONDS),
            Duty("sweep", self._sweep, SWEEP_SECONDS),
            Duty("base prices", self._keep_book, BOOK_SECONDS),
        ]
        self._is_book_kept = False

    def run(self, stop: threading.Event) -> None:
        """Work until told to stop."""
        while not stop.is_set():
            self.step()
            stop.wait(max(0.0, min(duty.due_seconds for duty in self.duties) - self._clock()))

    def step(self) -> None:
        """Do every duty that is due."""
        for duty in self.duties:
            if self._clock() >= duty.due_seconds:
                self._do(duty)

    def _do(self, duty: Duty) -> None:
        is_hurried = False
        try:
            is_hurried = duty.work()
            duty.is_failing = False
        except (EnforcementUnavailable, DatabaseError) as error:
            if not duty.is_failing:
                log.warning("publisher.waiting", extra={"duty": duty.name, "why": str(error)})
            duty.is_failing = True
            close_old_connections()
        except Exception:
            # A fault of one duty must not stop the shards from being kept.
            log.exception("publisher.fault", extra={"duty": duty.name})
        duty.due_seconds = self._clock() + (HURRIED_SECONDS if is_hurried else duty.every_seconds)

    def _keep(self) -> bool:
        tick = self._keeper.tick()
        if tick.opened:
            log.info("publisher.opened", extra={"shards": len(tick.opened), "closed": tick.closed})
        return not tick.is_settled

    def _keep_book(self) -> bool:
        # The installed book is another one only in another process.
        if not self._is_book_kept:
            kept = keep_installed_book()
            self._is_book_kept = True
            if kept:
                log.info("publisher.base_prices_kept", extra={"prices": kept})
        return False

    def _sweep(self) -> bool:
        report = self._sweeper.sweep(range(SHARDS))
        if report.overdue:
            log.info("publisher.swept", extra=asdict(report))
        return report.expired + report.released > 0


class Command(BaseCommand):
    """Publish the outbox, take arrivals, keep the shards, sweep overdue holds."""

    help = "Publish changes to Redis, take arrivals, rebuild shards and sweep overdue holds until SIGTERM."

    def handle(self, *_: Any, **options: Any) -> None:
        """Run until SIGTERM or SIGINT; everything may be cut off and is done again by the next one."""
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        control = Control(settings.REDIS_URL)
        log.info("publisher.started")
        try:
            Publisher(control).run(stop)
        finally:
            control.close()
            log.info("publisher.stopped")
