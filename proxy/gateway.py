"""The parts of one proxy process, put together once and stopped in order."""

from __future__ import annotations

import gc

from enforcement.holds import Holds
from enforcement.secrets import CredentialBox
from metering.tokens import load_encodings
from proxy.addresses import Origins
from proxy.admission import Admission
from proxy.callers import Callers
from proxy.clock import Clock
from proxy.counting import CountingDoor, Counts
from proxy.ending import Ending
from proxy.flights import Flights
from proxy.logs import flush_requests
from proxy.metrics import Metrics
from proxy.models import Models
from proxy.pipeline import Pipeline
from proxy.settings import Settings
from proxy.upstream import Door

GARBAGE_BEFORE_COLLECTING = 20_000


class Gateway:
    """Everything a request needs."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self.flights = Flights()
        self.holds = Holds(
            settings.redis_url,
            reserve_ttl_ms=settings.reserve_ttl_ms,
            lease_ms=settings.lease_ms,
            renew_every_ms=settings.renew_every_ms,
        )
        clock = Clock()
        self.callers = Callers(
            self.holds,
            box=CredentialBox(settings.secret_keys),
            clock=clock,
            metrics=self.metrics,
            policies_max=settings.policies_max,
        )
        self.models = Models(self.callers, clock)
        origins = Origins(settings)
        self.door = Door(origins, self.holds)
        self.counting_door = CountingDoor(origins)
        self.pipeline = Pipeline(
            settings,
            callers=self.callers,
            admission=Admission(
                self.callers, self.holds, clock, counts=Counts(self.counting_door, self.metrics)
            ),
            door=self.door,
            ending=Ending(self.holds, self.metrics, clock),
            clock=clock,
        )
        self.metrics.gauges = {
            "farebox_open_holds": lambda: self.holds.open_holds,
            "farebox_unrecorded_ends": lambda: self.holds.unrecorded,
            "farebox_recorder_lag_seconds": lambda: self.holds.recorder_lag_s,
            "farebox_requests_under_way": lambda: len(self.flights),
        }

    async def start(self) -> None:
        """Load what no request should wait for, then connect. Raises: UnsafeRedis, TokenizerError."""
        load_encodings()
        await self.holds.start()
        # Prices and vocabularies live as long as the process: the collector need not walk them at every turn.
        gc.collect()
        gc.freeze()
        gc.set_threshold(GARBAGE_BEFORE_COLLECTING)

    async def close(self) -> None:
        """Let requests end, settle what is cut, then tell Redis the rest."""
        await self.flights.close(grace_ms=self.settings.shutdown_grace_ms)
        await self.holds.close()
        flush_requests()
