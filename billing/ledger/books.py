"""The recorder's hand on PostgreSQL: a connection of its own that locks shards and books batches.

Not the ORM: rows go in by COPY, and the connection carries the locks that make this process the only one to record
its shards. A connection that breaks has lost the locks with the transaction.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import psycopg

from billing.errors import LedgerAway, Unbookable
from billing.ledger import chain_sql, statements
from billing.ledger.rows import STAGED, TagSet, Value

_SESSION: dict[str, Any] = {
    "connect_timeout": 5,
    "client_encoding": "UTF8",  # a row's canonical bytes are in it
    "application_name": "farebox-recorder",
    "options": "-c search_path=public -c statement_timeout=60s -c timezone=UTC -c datestyle=ISO",
}
TAG_SETS_KNOWN_MAX = 200_000
# SQLSTATE classes that speak of the data, not of the server: cardinality, data exception, integrity, program limit.
_POISON_CLASSES = ("21", "22", "23", "54")
_MONTH = [name for name, _ in STAGED].index("month")


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a shard is recorded: the highest position, and where its streams are to be read on.

    ``seen_epoch`` is a promise: nothing that was read from the stream of an earlier epoch will be committed any more.
    """

    epoch: int = 0
    seq: int = 0
    stream_id: str = "0-0"
    dead_stream_id: str = "0-0"
    seen_epoch: int = 0


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An entry that could not be booked as it stood, with its bytes."""

    shard: int
    source: str  # usage | dead
    stream_id: str
    reason: str
    detail: str
    event_id: str
    raw: bytes


@dataclass(frozen=True, slots=True)
class HoldRow:
    """What a late end must know of a row of its hold."""

    event_id: str
    kind: str
    cost_nanousd: int
    charge_nanousd: int
    draws: list[list[str]]


@dataclass(slots=True)
class Batch:
    """What one transaction books: staged rows, the tag sets they name, dead letters, and the marks after it."""

    rows: list[tuple[Value, ...]] = field(default_factory=list)
    tag_sets: set[TagSet] = field(default_factory=set)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    marks: dict[int, Mark] = field(default_factory=dict)


class Books:
    """One connection of the recorder role. Raises (all methods): LedgerAway when PostgreSQL cannot serve now."""

    def __init__(self, parameters: dict[str, Any]) -> None:
        self._parameters = parameters
        self._connection: psycopg.Connection[tuple[Any, ...]] | None = None
        self._tag_sets: set[TagSet] = set()

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection that has not broken."""
        return self._connection is not None and not self._connection.closed

    def connect(self) -> None:
        """Connect anew; everything learned from the old connection is forgotten, for the server may have lost it."""
        self.close()
        with _errors():
            self._connection = psycopg.connect(**{**self._parameters, **_SESSION})
            self._connection.execute(statements.CREATE_STAGE)
            self._connection.commit()

    def close(self) -> None:
        """Drop the connection, and with it every lock."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None
        self._tag_sets.clear()

    def lock(self, shards: Sequence[int]) -> dict[int, Mark]:
        """Take the shards nobody else records, and read how far they are. Held until the connection ends."""
        with self._transaction() as connection:
            taken = [
                row[0] for row in connection.execute(statements.LOCK, [list(shards), statements.LOCK_CLASS])
            ]
            found = connection.execute(statements.MARKS, [taken]).fetchall()
        marks = {shard: Mark(*rest) for shard, *rest in found}
        return {shard: marks.get(shard, Mark()) for shard in taken}

    def book(self, batch: Batch) -> int:
        """Book a batch in one transaction and return how many rows were new.

        Raises: Unbookable when the rows themselves are refused; nothing of the batch is booked then.
        """
        with self._transaction() as connection:
            fresh_rows = self._insert(connection, batch)
            self._leave_marks(connection, batch)
        self._tag_sets |= batch.tag_sets
        if len(self._tag_sets) > TAG_SETS_KNOWN_MAX:
            self._tag_sets.clear()
        return fresh_rows

    def rows_of_hold(self, month: date, hold_id: str) -> list[HoldRow]:
        """Read what is booked for a hold: a prefix of the primary key. Safe to decide on, for who holds the shard's
        lock is the only one to add to it.
        """
        with self._transaction() as connection:
            found = connection.execute(
                statements.ROWS_OF_HOLD, [month, f"{hold_id}.", f"{hold_id}/"]
            ).fetchall()
        return [HoldRow(*row) for row in found]

    @contextmanager
    def _transaction(self) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
        if self._connection is None:
            raise LedgerAway("not connected")
        with _errors(), self._connection.transaction():
            yield self._connection

    def _insert(self, connection: psycopg.Connection[tuple[Any, ...]], batch: Batch) -> int:
        if not batch.rows:
            return 0
        cursor = connection.cursor()
        for month in sorted({str(row[_MONTH]) for row in batch.rows}):
            cursor.execute(statements.ENSURE_MONTH, [month])
        if unknown := batch.tag_sets - self._tag_sets:
            ordered = sorted((tags.tenant_id, tags.tag_set_id, tags.tags_json) for tags in unknown)
            cursor.executemany(statements.TAG_SETS, ordered)
        with cursor.copy(statements.STAGE) as copy:
            for row in batch.rows:
                copy.write_row(row)
        found = cursor.execute(statements.BOOK).fetchone()
        assert found is not None
        return int(found[0])

    def _leave_marks(self, connection: psycopg.Connection[tuple[Any, ...]], batch: Batch) -> None:
        cursor = connection.cursor()
        if batch.dead_letters:
            cursor.executemany(
                statements.DEAD_LETTERS,
                [
                    (it.shard, it.source, it.stream_id, it.reason, it.detail[:2000], it.event_id, it.raw)
                    for it in batch.dead_letters
                ],
            )
        cursor.executemany(
            statements.MARK,
            [
                (shard, mark.epoch, mark.seq, mark.stream_id, mark.dead_stream_id, mark.seen_epoch)
                for shard, mark in sorted(batch.marks.items())
            ],
        )


@contextmanager
def _errors() -> Iterator[None]:
    """Tell a server that cannot serve from data it refuses."""
    try:
        yield
    except psycopg.Error as error:
        if _is_poison(error):
            raise Unbookable(f"{error.sqlstate}: {error}") from error
        raise LedgerAway(f"{error.sqlstate}: {error}") from error
    except (UnicodeEncodeError, OverflowError) as error:
        raise Unbookable(str(error)) from error
    except OSError as error:
        raise LedgerAway(str(error)) from error


def _is_poison(error: psycopg.Error) -> bool:
    if error.sqlstate is None:  # the client's own refusal, such as a NUL in a text
        return isinstance(error, psycopg.DataError)
    if error.diag.constraint_name == chain_sql.PRIMARY_KEY:
        return False  # another recorder was quicker, which says nothing of these rows: read and try again
    return error.sqlstate.startswith(_POISON_CLASSES)
