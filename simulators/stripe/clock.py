"""The simulated clock, and what is due on it."""

from __future__ import annotations

import heapq
import itertools
import time
import traceback
from collections.abc import Callable
from datetime import UTC, datetime


class Clock:
    """Runs with the wall's clock until it is moved; things due happen in their order, each at its own time."""

    def __init__(self) -> None:
        self._offset_s = 0.0
        self._frozen_at: float | None = None
        self._pinned_at: float | None = None
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()

    def now(self) -> float:
        """Tell the time in seconds since the epoch."""
        if self._pinned_at is not None:
            return self._pinned_at
        return self._frozen_at if self._frozen_at is not None else time.time() + self._offset_s

    def second(self) -> int:
        """Tell the time in whole seconds."""
        return int(self.now())

    @property
    def frozen(self) -> bool:
        """Say whether the clock stands still between moves."""
        return self._frozen_at is not None

    def move(self, *, to_s: float | None = None, by_s: float = 0.0, frozen: bool | None = None) -> None:
        """Set or advance the clock, and stop it or let it run; backwards is allowed and undoes nothing."""
        target = (self.now() if to_s is None else to_s) + by_s
        still = self.frozen if frozen is None else frozen
        self._frozen_at = target if still else None
        self._offset_s = target - time.time()

    def at(self, due_s: float, action: Callable[[], None]) -> None:
        """Have something happen when the clock reaches a time."""
        heapq.heappush(self._agenda, (due_s, next(self._numbers), action))

    def run_due(self) -> int:
        """Do everything due, oldest first, each as of its own time; return how many things were done."""
        if self._pinned_at is not None:
            return 0
        until_s = self.now()
        done = 0
        while self._agenda and self._agenda[0][0] <= until_s:
            due_s, _, action = heapq.heappop(self._agenda)
            self._pinned_at = due_s
            try:
                action()
            except Exception:  # noqa: BLE001 - one thing gone wrong must not stop the clock for the rest
                traceback.print_exc()
            finally:
                self._pinned_at = None
            done += 1
        return done

    def reset(self) -> None:
        """Forget what is due and follow the wall's clock again."""
        self._agenda.clear()
        self._frozen_at = None
        self._offset_s = 0.0


def rfc3339(at_s: float) -> str:
    """Write an instant as Stripe's v2 interface does."""
    moment = datetime.fromtimestamp(at_s, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def read_rfc3339(text: str) -> float | None:
    """Read an instant; None when it is not one with a zone."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return None if moment.tzinfo is None else moment.timestamp()
