"""Shapes of several resources: written by generate.py from the OpenAPI schema."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class DefaultBudget:
    """What a first-seen customer's budget is made from."""

    limit_usd: Decimal
    window: Literal["day", "week", "month", "anniversary", "total"] | None = None
    zone: str | None = None
    measure: Literal["cost", "charge"] | None = None
    on_exhaustion: Literal["refuse", "clamp", "grow"] | None = None
    more: dict[str, Any] = field(default_factory=dict)  # what this version does not know


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelMarkupField:
    """A markup for models that match a glob."""

    model: str
    markup_percent: Decimal | None = None
    markup_fixed_usd: Decimal | None = None
    more: dict[str, Any] = field(default_factory=dict)  # what this version does not know


@dataclass(frozen=True, slots=True, kw_only=True)
class PushOut:
    """One value bound for a billing sink. All but its state is frozen."""

    id: str
    state: Literal[
        "pending",
        "inflight",
        "accepted",
        "confirmed",
        "retry",
        "ambiguous",
        "held",
        "rejected",
        "failed",
        "void",
    ]
    reason: str | None
    next_step: str
    can_retry: bool
    sink: str
    identifier: str
    customer: str
    stripe_customer: str | None
    line: str
    currency: str
    unit_minor: int
    value_units: int
    amount: str
    charge_usd: Decimal
    calls: int
    bucket_start: datetime
    bucket_end: datetime
    stamp_at: datetime
    late_from: datetime | None
    replaces: str | None
    attempts: int
    first_attempt_at: datetime | None
    due_at: datetime | None
    accepted_at: datetime | None
    confirmed_at: datetime | None
    created_at: datetime
    more: dict[str, Any] = field(default_factory=dict)  # what this version does not know


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteOut:
    """The most the attempt could cost, as it was reserved."""

    cost_usd: Decimal
    charge_usd: Decimal
    bound_class: str
    input_tokens: int
    output_cap: int
    output_cap_source: str
    more: dict[str, Any] = field(default_factory=dict)  # what this version does not know
