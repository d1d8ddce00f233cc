"""Rate limits, by the wall's clock: a simulated day must not let a million requests through."""

from __future__ import annotations

import time
from collections import defaultdict, deque

from simulators.stripe.knobs import Knobs
from simulators.stripe.refusals import rate_limited

_METER_EVENTS = frozenset({"/v1/billing/meter_events", "/v2/billing/meter_events"})


class Pace:
    """Counts the requests of the last second in each lane."""

    def __init__(self) -> None:
        self._lanes: dict[tuple[str, ...], deque[float]] = defaultdict(deque)

    def take(self, knobs: Knobs, *, account: str, livemode: bool, endpoint: str, connected: bool) -> None:
        """Count a request, or refuse it with the reason for which it is one too many."""
        if not knobs.rate_limits:
            return
        mode = "live" if livemode else "test"
        if livemode and endpoint in _METER_EVENTS and not connected:
            self._step((account, mode, "meter_events"), knobs.rate_meter_events_live_per_s, "endpoint-rate")
            return
        self._step(
            (account, mode), knobs.rate_live_per_s if livemode else knobs.rate_test_per_s, "global-rate"
        )
        self._step((account, mode, endpoint), knobs.rate_endpoint_per_s, "endpoint-rate")

    def reset(self) -> None:
        """Forget the last second."""
        self._lanes.clear()

    def _step(self, lane: tuple[str, ...], per_s_max: int, reason: str) -> None:
        now_s, seen = time.monotonic(), self._lanes[lane]
        while seen and now_s - seen[0] >= 1.0:
            seen.popleft()
        if len(seen) >= per_s_max:
            raise rate_limited(reason)
        seen.append(now_s)
