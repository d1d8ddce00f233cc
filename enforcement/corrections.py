"""A person's correction of a hold that expired unresolved: spent and the books move together, by one event."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from enforcement.calls import TOMBSTONE_EXPIRED_MS, BookedDraw, Script, format_draws
from enforcement.control_calls import ControlCall
from enforcement.control_client import ControlClient
from enforcement.keys import Scope, usage_key

CORRECT = Script("correct")


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """What is booked for an expired hold, and what it is to be."""

    scope: Scope
    hold_id: str
    draws: Sequence[BookedDraw]
    booked_cost_nanousd: int
    booked_charge_nanousd: int
    cost_nanousd: int
    charge_nanousd: int
    basis: Literal["reported", "none"]
    body: bytes


def correct_call(correction: Correction) -> ControlCall:
    """Book a correction as the hold's first."""
    scope = correction.scope
    budgets = [scope.budget(draw.budget_id) for draw in correction.draws]
    args = (
        correction.hold_id,
        scope.tenant_id,
        scope.mode,
        format_draws(correction.draws),
        correction.booked_cost_nanousd,
        correction.booked_charge_nanousd,
        correction.cost_nanousd,
        correction.charge_nanousd,
        correction.basis,
        correction.body,
        TOMBSTONE_EXPIRED_MS,
    )
    return ControlCall(
        CORRECT, scope.shard, (usage_key(scope.shard), scope.hold(correction.hold_id), *budgets), args
    )


def append_correction(client: ControlClient, correction: Correction) -> bool:
    """Book a correction; False when the hold's end came meanwhile or somebody was faster.

    Raises: EnforcementUnavailable, ShardClosed.
    """
    return client.run(correct_call(correction)).status == "corrected"
