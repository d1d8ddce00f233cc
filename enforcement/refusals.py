"""How often budgets refused: counted in memory, told to Redis by the minute. An explanation, never part of a judgement.

No refusal waits for its count, and no count is worth a retry: what cannot be told within its second is dropped.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, defaultdict

from enforcement.control_client import ControlClient, unavailable_on_failure
from enforcement.decisions import Crowded, Refused, ReserveOutcome
from enforcement.keys import Scope
from enforcement.links import Links

TELL_EVERY_S = 1.0
KEPT_S = 7_200
# Refusals may be a flood: beyond this many budgets within a second the rest go uncounted.
BUDGETS_PER_TELLING_MAX = 10_000
MINUTES_PER_HOUR = 60

log = logging.getLogger("farebox.enforcement")


class RefusalCounts:
    """The counts of one process since it told them last."""

    def __init__(self, links: Links) -> None:
        self._links = links
        self._counts: Counter[tuple[Scope, str]] = Counter()
        self._telling: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start telling."""
        self._telling = asyncio.create_task(self._tell_for_ever())

    async def stop(self) -> None:
        """Stop telling; what was counted last is told now or never."""
        if self._telling is not None:
            self._telling.cancel()
            await asyncio.gather(self._telling, return_exceptions=True)
        await self.tell()

    def note(self, scope: Scope, outcome: ReserveOutcome) -> None:
        """Count an outcome that is a budget's refusal."""
        if isinstance(outcome, Refused | Crowded) and len(self._counts) < BUDGETS_PER_TELLING_MAX:
            self._counts[scope, outcome.budget.budget_id] += 1

    async def tell(self) -> None:
        """Tell Redis what was counted and begin at zero."""
        counts, self._counts = self._counts, Counter()
        by_scope: defaultdict[Scope, list[tuple[str, int]]] = defaultdict(list)
        for (scope, budget_id), count in counts.items():
            by_scope[scope].append((budget_id, count))
        told = [self._tell_of(scope, budgets) for scope, budgets in by_scope.items()]
        for result in await asyncio.gather(*told, return_exceptions=True):
            if isinstance(result, BaseException):
                log.debug("counts of refusals were dropped: %s", result)

    async def _tell_of(self, scope: Scope, budgets: list[tuple[str, int]]) -> None:
        seconds, _ = await self._links.read(scope.shard, "TIME")
        key = scope.refused(int(seconds) // 60)
        commands: list[tuple[str | int, ...]] = [("HINCRBY", key, *budget) for budget in budgets]
        commands.append(("EXPIRE", key, KEPT_S))
        await asyncio.gather(*(self._links.read(scope.shard, *command) for command in commands))

    async def _tell_for_ever(self) -> None:
        while True:
            await asyncio.sleep(TELL_EVERY_S)
            await self.tell()


def read_refusals(client: ControlClient, scope: Scope, *, now_ms: int) -> Counter[str]:
    """How often each budget refused in the last hour, by its id. Raises: EnforcementUnavailable."""
    last = now_ms // 60_000
    total: Counter[str] = Counter()
    with unavailable_on_failure():
        pipeline = client.redis.pipeline(transaction=False)
        for minute in range(last - MINUTES_PER_HOUR + 1, last + 1):
            pipeline.hgetall(scope.refused(minute))
        for counts in pipeline.execute():
            for budget_id, count in counts.items():
                total[budget_id.decode()] += int(count)
    return total
