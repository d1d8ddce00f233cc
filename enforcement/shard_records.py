"""Shards as they stand: which life of their data they are in, and whether it is the one we knew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from enforcement.control_calls import RecorderMark
from enforcement.control_client import ControlClient, unavailable_on_failure
from enforcement.keys import shard_key

_FIELDS = ("state", "run_id", "epoch", "seq", "began_ms")

Reason = Literal["absent", "other_server", "fell_behind", "closed", "unfinished"]


@dataclass(frozen=True, slots=True)
class ShardRecord:
    """A shard's record, beside the run id of the process that serves it now."""

    shard: int
    state: str
    run_id: str
    epoch: int
    seq: int
    began_ms: int  # of the rebuild that is under way, else 0
    server_run_id: str


def read_records(client: ControlClient, shards: Sequence[int]) -> list[ShardRecord]:
    """Read shards' records in one round trip per primary. Raises: EnforcementUnavailable."""
    run_ids = client.run_ids(shards)
    with unavailable_on_failure():
        pipeline = client.redis.pipeline(transaction=False)
        for shard in shards:
            pipeline.hmget(shard_key(shard), _FIELDS)
        found = pipeline.execute()
    records = []
    for shard, fields in zip(shards, found, strict=True):
        state, run_id, epoch, seq, began_ms = (field.decode() if field else "" for field in fields)
        records.append(
            ShardRecord(
                shard=shard,
                state=state or "absent",
                run_id=run_id,
                epoch=int(epoch or 0),
                seq=int(seq or 0),
                began_ms=int(began_ms or 0),
                server_run_id=run_ids[shard],
            )
        )
    return records


def reason_to_rebuild(record: ShardRecord, mark: RecorderMark) -> Reason | None:
    """Say why a shard must be rebuilt, or None when it is the one we knew.

    A seq below what the ledger has is data that went back in time under the same process.
    """
    if record.epoch == 0:
        return "absent"
    if record.run_id != record.server_run_id:
        return "other_server"
    if (record.epoch, record.seq) < (mark.epoch, mark.seq):
        return "fell_behind"
    if record.state == "adopting":
        return "unfinished"
    return None if record.state == "open" else "closed"
