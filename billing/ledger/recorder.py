"""The recorder: reads every usage stream it has the lock of, books what is new, and moves the mark.

Each hop is at least once into something that refuses duplicates, so the order is: read, commit, then tell Redis. A
round that fails is simply done again. Where to read on is kept beside the rows, in the same transaction: a PostgreSQL
that lost its last commits has lost the mark with them, and is fed again from the entries Redis still keeps.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from threading import Event

import msgspec

from billing.errors import LedgerAway, Unbookable
from billing.ledger.books import Batch, Books, DeadLetter, Mark
from billing.ledger.feed import Entry, Feed
from billing.ledger.late_ends import settle_late
from billing.ledger.overload import Watermarks, reasons_to_stop
from billing.ledger.rows import Fault, Reading, bare_reading, read_entry
from enforcement.errors import EnforcementUnavailable

log = logging.getLogger(__name__)

ENTRIES_PER_ROUND_MAX = 20_000
ENTRIES_PER_SHARD_MIN = 100
ROWS_PER_TRANSACTION_MAX = 4_000
LOCK_SECONDS = 5.0
LOOK_SECONDS = 2.0
LATE_SECONDS = 1.0
IDLE_SECONDS = (0.02, 0.2)
BACK_OFF_SECONDS = (0.1, 5.0)
USAGE, DEAD = "usage", "dead"

Item = tuple[int, Entry]


@dataclass(slots=True)
class Figures:
    """What this recorder has done since it started."""

    entries: int = 0
    rows: int = 0
    dead_letters: int = 0
    transactions: int = 0
    failures: int = 0

    @property
    def duplicates(self) -> int:
        """Entries that were booked before, or could not be."""
        return self.entries - self.rows


class Recorder:
    """One process's part of the recording: as many of ``shards`` as nobody else has the lock of."""

    def __init__(
        self,
        books: Books,
        feed: Feed,
        *,
        shards: Sequence[int],
        watermarks: Watermarks,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.figures = Figures()
        self.marks: dict[int, Mark] = {}
        self._books = books
        self._feed = feed
        self._shards = shards
        self._watermarks = watermarks
        self._clock = clock
        self._dead: dict[int, list[Entry]] = {}
        self._lock_due = self._look_due = self._late_due = 0.0
        self._is_sure_of_streams = False

    def run(self, stop: Event) -> None:
        """Record until told to stop; whatever is away is waited for."""
        pauses = IDLE_SECONDS
        pause = pauses[0]
        while not stop.is_set():
            try:
                is_busy, pauses_now = self.step() > 0, IDLE_SECONDS
            except (LedgerAway, EnforcementUnavailable) as error:
                is_busy, pauses_now = False, BACK_OFF_SECONDS
                self._after_failure(error)
            pause = pauses_now[0] if is_busy or pauses_now != pauses else min(pause * 2, pauses_now[1])
            pauses = pauses_now
            if not is_busy:
                stop.wait(pause)

    def drain(self) -> int:
        """Record until a round finds nothing new, late ends included; returns how many entries were read."""
        handled = self.step()
        while done := self.step() + self.step():
            handled += done
        return handled

    def close(self) -> None:
        """Give up every lock."""
        self.marks.clear()
        self._books.close()

    def step(self) -> int:
        """Do one round and return how many entries it handled. Raises: LedgerAway, EnforcementUnavailable."""
        self._take_shards()
        if self._clock() >= self._look_due:
            self.look_around()
        if not self._is_sure_of_streams:
            self._check_streams({shard: mark.seen_epoch for shard, mark in self.marks.items()})
            self._is_sure_of_streams = True
        entries_max = max(ENTRIES_PER_SHARD_MIN, ENTRIES_PER_ROUND_MAX // max(1, len(self.marks)))
        news = self._feed.read(
            {shard: mark.stream_id for shard, mark in self.marks.items()}, entries_max=entries_max
        )
        items = [(shard, entry) for shard, entries in news.items() for entry in entries]
        for start in range(0, len(items), ROWS_PER_TRANSACTION_MAX):
            self._book(items[start : start + ROWS_PER_TRANSACTION_MAX])
        self.figures.entries += len(items)
        if news and self._clock() < self._late_due:
            return len(items)
        drained = {shard for shard in self.marks if len(news.get(shard, ())) < entries_max}
        return len(items) + self._record_late_ends(drained)

    def look_around(self) -> None:
        """Read what the shards say: a new epoch means a new stream perhaps; too full a one stops admission."""
        self._look_due = self._clock() + LOOK_SECONDS
        states = self._feed.states(self._shards)
        changed = reasons_to_stop(states, self._feed.memory_percent(), self._watermarks)
        if changed:
            self._feed.set_overloaded(changed)
            log.warning(
                "recorder.overload", extra={"shards": len(changed), "reasons": sorted(set(changed.values()))}
            )
        seen = {
            shard: states[shard].epoch
            for shard, mark in self.marks.items()
            if mark.seen_epoch < states[shard].epoch  # an emptied Redis says 0: no epoch may ever begin twice
        }
        if seen:
            self._check_streams(seen)

    def _take_shards(self) -> None:
        if not self._books.is_connected:
            self.marks.clear()
            self._books.connect()
            self._lock_due = 0.0
        if self._clock() < self._lock_due or len(self.marks) == len(self._shards):
            return
        self._lock_due = self._clock() + LOCK_SECONDS
        taken = self._books.lock([shard for shard in self._shards if shard not in self.marks])
        if taken:
            self.marks.update(taken)
            self._is_sure_of_streams = False
            self._look_due = 0.0
            log.info("recorder.shards", extra={"taken": len(taken), "held": len(self.marks)})

    def _check_streams(self, epochs: Mapping[int, int]) -> None:
        # A stream that lacks what was recorded last was replaced or restored: read it from its beginning. What was
        # booked before is refused by its event id. Committed, so that a rebuild knows what it can count on.
        marks = {shard: replace(self.marks[shard], seen_epoch=epoch) for shard, epoch in epochs.items()}
        begun = {
            shard: (mark.stream_id, mark.dead_stream_id) for shard, mark in marks.items() if _is_begun(mark)
        }
        for shard, (is_usage_missing, is_dead_missing) in self._feed.missing(begun).items():
            if is_usage_missing:
                marks[shard] = replace(marks[shard], stream_id="0-0")
            if is_dead_missing:
                marks[shard] = replace(marks[shard], dead_stream_id="0-0")
        changed = {shard: mark for shard, mark in marks.items() if mark != self.marks[shard]}
        if changed:
            self._books.book(Batch(marks=changed))
            self.marks.update(changed)
        # Said again: a crash between commit and mark leaves Redis behind.
        self._feed.mark_recorded({shard: (marks[shard].epoch, marks[shard].seq) for shard in begun})

    def _book(self, items: Sequence[Item]) -> None:
        readings = [read_entry(entry.fields, shard) for shard, entry in items]
        try:
            self._commit(self._batch(items, readings, USAGE))
        except Unbookable as error:
            if len(items) > 1:
                middle = len(items) // 2
                self._book(items[:middle])
                self._book(items[middle:])
            else:
                self._book_poisoned(items[0], readings[0], error, USAGE)

    def _book_poisoned(self, item: Item, reading: Reading, error: Unbookable, source: str) -> None:
        # What the body says is refused: book the amount alone. Refused as well: keep the bytes and go on.
        fault = Fault("refused_by_postgres", str(error))
        if reading.flat is not None:
            try:
                self._commit(self._batch([item], [bare_reading(reading.flat, item[0], fault)], source))
            except Unbookable:
                log.exception("recorder.poisoned", extra={"shard": item[0], "stream_id": item[1].stream_id})
            else:
                return
        self._commit(self._batch([item], [Reading(None, None, fault=fault)], source))

    def _record_late_ends(self, drained: Collection[int]) -> int:
        # Booked one round after they were read, when their usage streams have been drained past them: the expiry that
        # a late end corrects must be in the ledger first.
        self._late_due = self._clock() + LATE_SECONDS
        waiting = {shard: entries for shard, entries in self._dead.items() if shard in drained}
        self._dead = {shard: entries for shard, entries in self._dead.items() if shard not in drained}
        for shard, entries in waiting.items():
            for entry in entries:
                self._book_late_end((shard, entry))
        ahead = {shard: mark.dead_stream_id for shard, mark in self.marks.items() if shard not in self._dead}
        found = self._feed.read_dead(ahead, entries_max=ENTRIES_PER_SHARD_MIN)
        self._dead |= found
        return sum(map(len, waiting.values())) + sum(map(len, found.values()))

    def _book_late_end(self, item: Item) -> None:
        shard, entry = item
        if shard not in self.marks:
            return
        reading = read_entry(entry.fields, shard)
        if reading.flat is not None:
            booked = self._books.rows_of_hold(reading.flat.month, reading.flat.hold_id)
            reading = settle_late(reading, booked, shard)
        try:
            self._commit(self._batch([item], [reading], DEAD))
        except Unbookable as error:
            self._book_poisoned(item, reading, error, DEAD)

    def _batch(self, items: Sequence[Item], readings: Sequence[Reading], source: str) -> Batch:
        batch = Batch()
        for (shard, entry), reading in zip(items, readings, strict=True):
            if reading.values is not None:
                batch.rows.append(reading.values)
            if reading.tag_set is not None:
                batch.tag_sets.add(reading.tag_set)
            if reading.fault is not None:
                batch.dead_letters.append(_dead_letter(shard, source, entry, reading))
            mark = batch.marks.get(shard) or self.marks[shard]
            batch.marks[shard] = _moved(mark, source, entry, reading)
        return batch

    def _commit(self, batch: Batch) -> None:
        self.figures.rows += self._books.book(batch)
        self.figures.dead_letters += len(batch.dead_letters)
        self.figures.transactions += 1
        self.marks.update(batch.marks)
        self._feed.mark_recorded({shard: (mark.epoch, mark.seq) for shard, mark in batch.marks.items()})

    def _after_failure(self, error: Exception) -> None:
        self.figures.failures += 1
        self._is_sure_of_streams = False
        self._dead = {}
        log.warning("recorder.waiting", extra={"why": str(error), "failures": self.figures.failures})
        if isinstance(error, LedgerAway):
            self._books.close()
            self.marks.clear()
            try:
                self.look_around()  # admission must stop at the watermark also while PostgreSQL is away
            except EnforcementUnavailable:
                log.warning("recorder.redis_away_too")


def _moved(mark: Mark, source: str, entry: Entry, reading: Reading) -> Mark:
    if source == DEAD:
        return replace(mark, dead_stream_id=entry.stream_id)
    epoch, seq = mark.epoch, mark.seq
    if reading.flat is not None:
        epoch, seq = max((epoch, seq), (reading.flat.epoch, reading.flat.seq))
    return replace(mark, epoch=epoch, seq=seq, stream_id=entry.stream_id)


def _is_begun(mark: Mark) -> bool:
    return (mark.stream_id, mark.dead_stream_id) != ("0-0", "0-0")


def _dead_letter(shard: int, source: str, entry: Entry, reading: Reading) -> DeadLetter:
    assert reading.fault is not None
    detail = reading.fault.detail.replace("\0", "").encode("utf-8", "backslashreplace").decode()
    event_id = reading.flat.event_id if reading.flat else ""
    return DeadLetter(
        shard, source, entry.stream_id, reading.fault.reason, detail, event_id, pack_entry(entry.fields)
    )


def pack_entry(fields: Mapping[bytes, bytes]) -> bytes:
    """Keep an entry's bytes as they were (MessagePack)."""
    return msgspec.msgpack.encode(dict(fields))


def unpack_entry(raw: bytes) -> dict[bytes, bytes]:
    """Read back what ``pack_entry`` kept."""
    return msgspec.msgpack.decode(raw, type=dict[bytes, bytes])
