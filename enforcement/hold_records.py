"""Hold records read in bulk: what the control side needs to know to list, sweep and carry them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from enforcement.calls import parse_draws
from enforcement.control_client import ControlClient, unavailable_on_failure
from enforcement.hold_calls import HoldRef
from enforcement.keys import Mode, Scope

_FIELDS = ("state", "epoch", "tenant", "mode", "draws", "flight", "idem", "cost", "charge")


@dataclass(frozen=True, slots=True)
class HoldRecord:
    """An open hold as Redis has it."""

    ref: HoldRef
    state: str
    epoch: int
    cost_nanousd: int
    charge_nanousd: int


def read_holds(client: ControlClient, hold_keys: Sequence[bytes]) -> list[HoldRecord | None]:
    """Read holds by their whole keys in one round trip; None for one that is not open.

    Raises: EnforcementUnavailable.
    """
    with unavailable_on_failure():
        pipeline = client.redis.pipeline(transaction=False)
        for hold_key in hold_keys:
            pipeline.hmget(hold_key, _FIELDS)
        records = pipeline.execute()
    return [_record(hold_key.decode(), fields) for hold_key, fields in zip(hold_keys, records, strict=True)]


def _record(hold_key: str, fields: Sequence[bytes | None]) -> HoldRecord | None:
    state, epoch, tenant_id, mode, draws, flight, idem, cost, charge = (
        field.decode() if field else "" for field in fields
    )
    if state not in ("reserved", "dispatched"):
        return None
    scope = Scope(tenant_id, cast("Mode", mode))
    ref = HoldRef(
        scope=scope,
        hold_id=hold_key.removeprefix(scope.hold("")),
        draws=parse_draws(draws),
        flights=tuple(filter(None, flight.split(","))),
        idempotency=idem,
    )
    return HoldRecord(ref, state, int(epoch), int(cost), int(charge))
