"""What tests do with a proxy's client: calls granted and sent, and replies that get lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from enforcement.decisions import (
    Granted,
    Settlement,
)
from enforcement.errors import OutcomeUnknown
from enforcement.holds import Holds
from tests.enforcement.desk import Desk, draw


def settlement(cost: int) -> Settlement:
    return Settlement(cost_nanousd=cost, charge_nanousd=cost, basis="reported", body=b'{"end":1}')


async def grant(holds: Holds, desk: Desk, **options: Any) -> Granted:
    outcome = await holds.reserve(desk.reservation(draw("bud_a"), **options))
    assert isinstance(outcome, Granted), outcome
    return outcome


async def send(holds: Holds, desk: Desk, **options: Any) -> Granted:
    granted = await grant(holds, desk, **options)
    assert await holds.dispatched(granted)
    return granted


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.01)


def lose_replies(holds: Holds, times: int) -> None:
    """Let the next calls take effect and lose their replies."""
    links = holds._shards.links
    whole = links.run

    async def run(call: Any, epoch: int) -> Any:
        nonlocal times
        reply = await whole(call, epoch)
        if times:
            times -= 1
            raise OutcomeUnknown("lost on the way back")
        return reply

    links.run = run  # type: ignore[method-assign]
