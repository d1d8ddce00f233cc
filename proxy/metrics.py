"""Counters of one proxy process in Prometheus's text form."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterator

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
RATIOS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


class Histogram:
    """Observations in fixed buckets."""

    __slots__ = ("_bounds", "_counts", "_sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        """Count one observation."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def lines(self, name: str) -> Iterator[str]:
        """Write the histogram's samples."""
        total = 0
        for bound, found in zip((*map(str, self._bounds), "+Inf"), self._counts, strict=True):
            total += found
            yield f'{name}_bucket{{le="{bound}"}} {total}'
        yield f"{name}_sum {self._sum}"
        yield f"{name}_count {total}"


class Metrics:
    """What this process has seen since it started. Names are fixed here and nowhere else."""

    def __init__(self) -> None:
        self.requests: dict[str, int] = defaultdict(int)  # by code; "ok" for what was served
        self.ends: dict[str, int] = defaultdict(
            int
        )  # how holds ended: reported, estimated, unresolved, released
        self.alarms: dict[str, int] = defaultdict(
            int
        )  # overrun, zero_usage, impossible_usage, unpriced_usage, unrecorded_end, abandoned, negative_margin
        self.counts: dict[str, int] = defaultdict(int)  # prompts asked about: counted, remembered, failed
        self.policy_reads = 0  # policy documents read from Redis: while nothing changes there are none
        self.cost_to_quote = Histogram(RATIOS)
        self.overhead_seconds = Histogram(
            SECONDS
        )  # from the request's arrival to the provider's, and ours at the end
        self.gauges: dict[str, Callable[[], float]] = {}

    def text(self) -> str:
        """Write everything in Prometheus's text form, version 0.0.4."""
        return "\n".join(self._lines()) + "\n"

    def _lines(self) -> Iterator[str]:
        for name, label, counted in (
            ("farebox_requests_total", "code", self.requests),
            ("farebox_ends_total", "basis", self.ends),
            ("farebox_alarms_total", "alarm", self.alarms),
            ("farebox_counts_total", "outcome", self.counts),
        ):
            yield f"# TYPE {name} counter"
            for value, number in sorted(counted.items()):
                yield f'{name}{{{label}="{value}"}} {number}'
        yield "# TYPE farebox_policy_reads_total counter"
        yield f"farebox_policy_reads_total {self.policy_reads}"
        for name, histogram in (
            ("farebox_cost_to_quote_ratio", self.cost_to_quote),
            ("farebox_overhead_seconds", self.overhead_seconds),
        ):
            yield f"# TYPE {name} histogram"
            yield from histogram.lines(name)
        for name, read in self.gauges.items():
            yield f"# TYPE {name} gauge"
            yield f"{name} {read()}"
