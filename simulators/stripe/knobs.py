"""What the simulator can be told to do otherwise: standing knobs, and faults for the next requests that match."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Final

FAULT_KINDS: Final = frozenset({
    "drop", "hang", "latency", "error_500", "html_502", "unavailable_503", "conflict_409", "lock_timeout",
    "rate_limited", "unauthorized", "async_reject",
})  # fmt: skip


@dataclass(slots=True)
class Knobs:
    """Standing behaviour; the defaults are a well-behaved, quick Stripe without rate limits."""

    dedup_window_s: int = 86_400  # 0: identifiers are never remembered
    summary_lag_s: float = 0.0
    validation_delay_s: float = 0.0
    unknown_customer: str = "async"  # async, sync
    v2_timestamp: str = "sync"  # sync, async
    error_samples_max: int = 5
    latency_after_commit_ms: int = 0
    one_call_per_customer_meter: bool = True
    rate_limits: bool = False
    rate_live_per_s: int = 100
    rate_test_per_s: int = 25
    rate_endpoint_per_s: int = 25
    rate_meter_events_live_per_s: int = 1000
    draft_s: int = 3_600
    payments: str = "succeed"  # succeed, fail
    search_lag_s: float = 0.0
    webhooks_paused: bool = False
    webhook_retry_delays_s: list[float] = field(default_factory=lambda: [5.0, 300.0, 1800.0])
    webhook_timeout_s: float = 10.0

    def update(self, wanted: dict[str, Any]) -> list[str]:
        """Set what is named; return the names that no knob has, or whose value has the wrong type."""
        kinds = {each.name: type(getattr(Knobs(), each.name)) for each in fields(self)}
        wrong = [name for name, value in wanted.items() if not _fits(value, kinds.get(name))]
        if not wrong:
            for name, value in wanted.items():
                setattr(self, name, value)
        return wrong

    def describe(self) -> dict[str, Any]:
        """Show every knob."""
        return asdict(self)


@dataclass(slots=True)
class Fault:
    """One misbehaviour, for the next `times` requests that match it."""

    kind: str
    method: str = ""
    path: str = ""  # a regular expression, searched for
    contains: str = ""  # text the raw body or query must hold
    times: int = 1  # 0: until cleared
    skip: int = 0  # matching requests let through first
    execute: bool = False  # html_502, unavailable_503, error_500: do the work, then fail
    before_ms: int = 0
    after_ms: int = 0
    reason: str = ""
    code: str = "meter_event_customer_not_found"
    hits: int = 0

    def matches(self, method: str, path: str, text: str) -> bool:
        """Say whether a request is one this fault is meant for."""
        if self.method not in ("", method) or self.contains not in text:
            return False
        return re.search(self.path, path) is not None


def read_fault(wanted: dict[str, Any]) -> Fault | None:
    """Read a fault from a control request; None when it is not one."""
    kinds = {each.name: type(getattr(Fault("drop"), each.name)) for each in fields(Fault)}
    if wanted.get("kind") not in FAULT_KINDS:
        return None
    if not all(_fits(value, kinds.get(name)) for name, value in wanted.items()):
        return None
    return Fault(**wanted)


def take_fault(faults: list[Fault], method: str, path: str, *, text: str) -> Fault | None:
    """Find the first fault for a request and use it up by one."""
    for fault in faults:
        if not fault.matches(method, path, text):
            continue
        if fault.skip > 0:
            fault.skip -= 1
            continue
        fault.hits += 1
        if fault.times and fault.hits >= fault.times:
            faults.remove(fault)
        return fault
    return None


def _fits(value: object, kind: type | None) -> bool:
    if kind is None:
        return False
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
