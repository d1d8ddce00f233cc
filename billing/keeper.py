"""The keeper: watches every shard, rebuilds those that are not the ones we knew, loads budgets that are wanted.

Several may run: a shard's lock in PostgreSQL lets one work on it at a time, and every step may be done twice.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from django.conf import settings
from django.db import connection

from billing.keeper_source import PostgresSource
from enforcement.control_client import ControlClient
from enforcement.keys import Scope
from enforcement.rebuild import DataSource, Look, Patience, Rebuilder
from enforcement.rebuild_steps import complete_indexes, find_incomplete, publish
from enforcement.wanted import WantedLoader
from metering.ids import SHARDS

log = logging.getLogger(__name__)

LOCK_CLASS = 0x464B  # "FK"; the recorder has a class of its own


@dataclass(slots=True)
class Tick:
    """What one look around found and did."""

    closed: int = 0  # shards that are not open now
    opened: list[int] = field(default_factory=list)
    wanted: int = 0  # budgets that could not be loaded yet

    @property
    def is_settled(self) -> bool:
        """Whether nothing is under way, so that the next look can wait."""
        return not (self.closed or self.wanted)


class Keeper:
    """Keeps shards open. Raises: EnforcementUnavailable, django.db.Error."""

    def __init__(
        self,
        client: ControlClient,
        *,
        source: DataSource | None = None,
        patience: Patience | None = None,
        shards: Sequence[int] = range(SHARDS),
    ) -> None:
        self._client = client
        self._source = source or PostgresSource()
        self._shards = shards
        self._rebuilder = Rebuilder(client, self._source, patience or _patience())
        self._wanted = WantedLoader(client, self._source)
        self._complete: dict[Scope, int] = {}  # the epoch in which a customer index was last seen whole

    def tick(self) -> Tick:
        """Look at every shard once and do all that can be done now."""
        look = self._rebuilder.look(self._shards)
        tick = Tick(closed=len(look.closed))
        if look.closed:
            tick.opened = self._rebuild(look)
            tick.closed -= len(tick.opened)
        self._complete_indexes(look)
        tick.wanted = self._wanted.advance(look.open_epochs)
        return tick

    def _rebuild(self, look: Look) -> list[int]:
        with _locked([shard.record.shard for shard in look.closed]) as locked:
            # Looked at again under the lock: another keeper may have been at work meanwhile.
            closed = self._rebuilder.look(locked).closed if locked else []
            return self._rebuilder.advance(closed, now_ms=self._client.now_ms()).opened if closed else []

    def _complete_indexes(self, look: Look) -> None:
        """Publish the customers of tenants made since their shard opened, so that strangers are known as such."""
        scopes = [
            scope
            for scope in self._source.scopes(list(look.open_epochs))
            if self._complete.get(scope) != look.open_epochs[scope.shard]
        ]
        incomplete = find_incomplete(self._client, scopes, look.open_epochs)
        self._complete |= {
            scope: look.open_epochs[scope.shard] for scope in scopes if scope not in incomplete
        }
        if not incomplete:
            return
        shards = sorted({scope.shard for scope in incomplete})
        epochs = {shard: look.open_epochs[shard] for shard in shards}
        done = publish(self._client, self._source.published(shards), epochs)
        complete_indexes(self._client, [scope for scope in incomplete if scope.shard in done], epochs)


def _patience() -> Patience:
    twice_ms = 2 * settings.FAREBOX_RENEW_EVERY_MS
    return Patience(adopt_ms=twice_ms, carried_lease_ms=twice_ms)


@contextmanager
def _locked(shards: Sequence[int]) -> Iterator[list[int]]:
    """Take the locks that are free; they are given back, or die with the connection."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT shard FROM unnest(%s::int[]) AS shard WHERE pg_try_advisory_lock(%s, shard)",
            [list(shards), LOCK_CLASS],
        )
        taken = [shard for (shard,) in cursor.fetchall()]
    try:
        yield taken
    finally:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_advisory_unlock(%s, shard) FROM unnest(%s::int[]) AS shard", [LOCK_CLASS, taken]
            )
