"""Holds as a person or a program looks at them: open ones by tenant, and any one by its id until its tombstone goes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

import msgspec

from enforcement.calls import parse_draws
from enforcement.control_client import ControlClient, unavailable_on_failure
from enforcement.hold_calls import HoldRef
from enforcement.keys import Scope, deadlines_key
from metering.events import EventBody, decode_body

HoldState = Literal["reserved", "dispatched", "settled", "released", "expired"]

_TEXTS = ("state", "request", "draws", "flight", "idem")
_NUMBERS = ("deadline", "cost", "charge", "cap", "end_cost", "end_charge", "corrections", "ended_ms")
_FIELDS = (*_TEXTS, *_NUMBERS, "body")


@dataclass(frozen=True, slots=True)
class HoldFacts:
    """A hold's record. Amounts in nano-dollars; the ``end_`` ones are what it is booked at once it has ended."""

    ref: HoldRef
    state: HoldState
    request_id: str
    deadline_ms: int
    cost_nanousd: int
    charge_nanousd: int
    output_cap: int
    end_cost_nanousd: int
    end_charge_nanousd: int
    corrections: int
    ended_ms: int  # 0 while open
    body: EventBody | None  # of an open hold

    @property
    def is_open(self) -> bool:
        """Whether it has not ended."""
        return self.state in ("reserved", "dispatched")

    @property
    def held(self) -> tuple[int, int]:
        """Cost and charge as held."""
        return self.cost_nanousd, self.charge_nanousd


def find_hold(client: ControlClient, scope: Scope, hold_id: str) -> HoldFacts | None:
    """Read one hold of a tenant; None where nobody knows it (any more). Raises: EnforcementUnavailable."""
    return _read(client, scope, [hold_id])[0]


def open_holds(client: ControlClient, scope: Scope) -> list[HoldFacts]:
    """Read a tenant's holds that have not ended, the newest first. Raises: EnforcementUnavailable."""
    prefix = scope.hold("").encode()
    with unavailable_on_failure():
        due = client.redis.zrange(deadlines_key(scope.shard), 0, -1)
    ids = sorted((key[len(prefix) :].decode() for key in due if key.startswith(prefix)), reverse=True)
    return [facts for facts in _read(client, scope, ids) if facts is not None and facts.is_open]


def _read(client: ControlClient, scope: Scope, hold_ids: Sequence[str]) -> list[HoldFacts | None]:
    with unavailable_on_failure():
        pipeline = client.redis.pipeline(transaction=False)
        for hold_id in hold_ids:
            pipeline.hmget(scope.hold(hold_id), _FIELDS)
        records = pipeline.execute()
    return [_facts(scope, hold_id, record) for hold_id, record in zip(hold_ids, records, strict=True)]


def _facts(scope: Scope, hold_id: str, record: Sequence[bytes | None]) -> HoldFacts | None:
    if record[0] is None:
        return None
    texts = [value.decode() if value else "" for value in record[: len(_TEXTS)]]
    state, request_id, draws, flights, idempotency = texts
    deadline, cost, charge, cap, end_cost, end_charge, corrections, ended = (
        int(value or 0) for value in record[len(_TEXTS) : -1]
    )
    return HoldFacts(
        ref=HoldRef(scope, hold_id, parse_draws(draws), tuple(filter(None, flights.split(","))), idempotency),
        state=cast("HoldState", state),
        request_id=request_id,
        deadline_ms=deadline,
        cost_nanousd=cost,
        charge_nanousd=charge,
        output_cap=cap,
        end_cost_nanousd=end_cost,
        end_charge_nanousd=end_charge,
        corrections=corrections,
        ended_ms=ended,
        body=_body(record[-1]),
    )


def _body(raw: bytes | None) -> EventBody | None:
    try:
        return decode_body(raw) if raw else None
    except msgspec.DecodeError:
        return None
