"""A proxy with a planted fault, to see that the proof fails: the budget is checked, then, in a second step, claimed.

This is how most gateways do it. Only `benchmarks.overspend --plant check-then-increment` serves it.
"""

from __future__ import annotations

import asyncio
import hashlib
import os

import redis.asyncio

from enforcement import hold_calls
from enforcement.calls import Script
from enforcement.decisions import BudgetState, Refused, Reservation, ReserveOutcome
from enforcement.holds import Holds
from proxy.app import app as app

JUDGEMENT = "budget.room = budget.left - budget.held"
# A little of what a busy machine or a distant Redis puts between two steps.
BETWEEN_STEPS_S = 0.01
NO_JUDGEMENT = "budget.left = 2 ^ 52; budget.room = 2 ^ 52"


class BlindScript(Script):
    """The reserve script without its judgement: it claims whatever it is asked to."""

    def __init__(self) -> None:
        super().__init__("reserve")
        if JUDGEMENT not in self.text:
            raise SystemExit("reserve.lua no longer has the line that the fault replaces; plant it anew")
        self.text = self.text.replace(JUDGEMENT, NO_JUDGEMENT)
        self.sha = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()


async def check(client: redis.asyncio.Redis, reservation: Reservation) -> Refused | None:
    """First step: read the budgets and compare, in this process."""
    for draw in reservation.draws:
        window = draw.window.window_id
        names = ["limit", f"s:{window}", f"h:{window}"]
        limit, spent, held = (
            int(value or 0) for value in await client.hmget(reservation.scope.budget(draw.budget_id), names)
        )
        needed = getattr(reservation, draw.measure).at_cap
        if spent + held + needed > limit:
            return Refused(BudgetState(draw.budget_id, limit, spent, held, needed, draw.window.end_ms))
    return None


def plant() -> None:
    """Put the two-step reserve in the place of the atomic one."""
    client = redis.asyncio.Redis.from_url(os.environ["REDIS_URL"])
    atomic = Holds.reserve

    async def two_steps(self: Holds, reservation: Reservation) -> ReserveOutcome:
        refused = await check(client, reservation)
        await asyncio.sleep(BETWEEN_STEPS_S)
        return refused or await atomic(self, reservation)

    hold_calls.RESERVE = BlindScript()
    Holds.reserve = two_steps  # type: ignore[method-assign]


plant()
