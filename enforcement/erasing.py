"""What Redis still holds of one customer beyond opaque ids, and taking it away.

A customer is told by its own id, which stands in every event's body. Streams of the shard and the tenant's holds are
read whole: erasing is rare, and nothing else looks for a customer there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from enforcement.control_client import ControlClient, unavailable_on_failure
from enforcement.hold_records import read_holds
from enforcement.keys import Scope, arrivals_key, dead_letters_key, deadlines_key, usage_key
from metering.events import decode_body

ENTRIES_AT_ONCE = 1000
_OPEN = {b"reserved", b"dispatched"}


@dataclass(frozen=True, slots=True)
class Traces:
    """Where a customer's tags or external id still stand: entries of streams, and bodies of holds that ended."""

    entries: tuple[tuple[str, bytes], ...]
    arrivals: tuple[bytes, ...]
    holds: tuple[bytes, ...]


def open_holds_of(client: ControlClient, scope: Scope, customer_id: str) -> list[str]:
    """Name the customer's holds that have not ended. Raises: EnforcementUnavailable."""
    prefix, wanted = scope.hold("").encode(), customer_id.encode()
    with unavailable_on_failure():
        keys = [
            key for key in client.redis.zrange(deadlines_key(scope.shard), 0, -1) if key.startswith(prefix)
        ]
        bodies = [client.redis.hget(key, "body") or b"" for key in keys]
    holds = read_holds(client, keys)
    return [
        hold.ref.hold_id
        for hold, body in zip(holds, bodies, strict=True)
        if hold is not None and wanted in body
    ]


def find_traces(client: ControlClient, scope: Scope, customer_id: str) -> Traces:
    """Find what tells more of a customer than its id. Raises: EnforcementUnavailable."""
    wanted = customer_id.encode()
    with unavailable_on_failure():
        entries = tuple(
            (stream, entry_id)
            for stream in (usage_key(scope.shard), dead_letters_key(scope.shard))
            for entry_id, fields in _entries(client, stream)
            if _tells(fields.get(b"body", b""), wanted)
        )
        arrivals = tuple(
            entry_id
            for entry_id, fields in _entries(client, arrivals_key(scope.shard))
            if fields.get(b"customer_id") == wanted
        )
        return Traces(entries, arrivals, tuple(_ended_holds(client, scope, wanted)))


def remove_traces(client: ControlClient, scope: Scope, traces: Traces) -> None:
    """Take traces away: entries are deleted, an ended hold keeps its amounts and loses its body."""
    with unavailable_on_failure():
        for stream, entry_id in traces.entries:
            client.redis.xdel(stream, entry_id)
        for entry_id in traces.arrivals:
            client.redis.xdel(arrivals_key(scope.shard), entry_id)
        for key in traces.holds:
            client.redis.hset(key, "body", "")


def _tells(body: bytes, wanted: bytes) -> bool:
    """Whether a body of this customer says more than ids: tags, or what nobody can read."""
    if wanted not in body:
        return False
    try:
        return bool(decode_body(body).tags)
    except msgspec.MsgspecError:
        return True


def _entries(client: ControlClient, stream: str) -> Iterator[tuple[bytes, dict[bytes, bytes]]]:
    start = b"-"
    while found := client.redis.xrange(stream, min=start, count=ENTRIES_AT_ONCE):
        yield from found
        start = b"(" + found[-1][0]


def _ended_holds(client: ControlClient, scope: Scope, wanted: bytes) -> Iterator[bytes]:
    for key in client.redis.scan_iter(match=scope.hold("*"), count=ENTRIES_AT_ONCE):
        state, body = client.redis.hmget(key, "state", "body")
        if state not in _OPEN and _tells(body or b"", wanted):
            yield key
