"""The proxy's idea of the time, which follows Redis's: windows turn by Redis's clock, not by this machine's."""

from __future__ import annotations

import time


class Clock:
    """Milliseconds since the epoch, corrected when a script says that ours is off."""

    __slots__ = ("_offset_ms",)

    def __init__(self) -> None:
        self._offset_ms = 0

    def now_ms(self) -> int:
        """The present as Redis would tell it."""
        return time.time_ns() // 1_000_000 + self._offset_ms

    def follow(self, redis_now_ms: int) -> None:
        """Take Redis's time for the present."""
        self._offset_ms = redis_now_ms - time.time_ns() // 1_000_000
