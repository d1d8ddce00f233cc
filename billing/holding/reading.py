"""Holds as they are shown: how old, whose, how much of which budgets, and how they ended."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from billing.holding.asking import API_DIALECT, HoldGranted
from enforcement.hold_facts import HoldFacts, find_hold, open_holds
from enforcement.keys import Scope
from metering.ids import ALPHABET, born_ms_of
from metering.money import format_usd
from tenants.publishing import shared_control

_LETTERS = frozenset(ALPHABET)
HOLD_ID_CHARS = 26


def find(scope: Scope, hold_id: str) -> HoldFacts | None:
    """Read one hold; None for another tenant's and where its tombstone has gone. Raises: EnforcementUnavailable."""
    is_id = len(hold_id) == HOLD_ID_CHARS and _LETTERS.issuperset(hold_id) and hold_id[0] < "8"
    return find_hold(shared_control().client, scope, hold_id) if is_id else None


def page_of_open(scope: Scope, *, before: str, count: int) -> tuple[list[HoldFacts], str | None]:
    """Read open holds, newest first, from below an id on. Returns: they, and where the next page begins, if any."""
    found = [
        facts
        for facts in open_holds(shared_control().client, scope)
        if not before or facts.ref.hold_id < before
    ]
    page = found[:count]
    return page, page[-1].ref.hold_id if len(found) > count else None


def hold_shape(facts: HoldFacts, *, now_ms: int) -> dict[str, Any]:
    """A hold as JSON."""
    born_ms = born_ms_of(facts.ref.hold_id)
    body = facts.body
    ended = not facts.is_open
    return {
        "id": facts.ref.hold_id,
        "state": facts.state,
        "is_overdue": facts.is_open and facts.deadline_ms < now_ms,
        "by_api": body.dialect == API_DIALECT if body else None,
        "request_id": facts.request_id,
        "customer": body.customer_id if body else None,
        "key": body.key_id if body else None,
        "provider": body.provider if body else None,
        "model": body.model if body else None,
        "run": (body.run_id or None) if body else None,
        "held_cost_usd": format_usd(facts.cost_nanousd),
        "held_charge_usd": format_usd(facts.charge_nanousd),
        "cost_usd": format_usd(facts.end_cost_nanousd) if ended else None,
        "charge_usd": format_usd(facts.end_charge_nanousd) if ended else None,
        "output_cap": facts.output_cap,
        "created_at": _instant(born_ms),
        "age_seconds": max(0, now_ms - born_ms) // 1000,
        "deadline": _instant(facts.deadline_ms),
        "ended_at": _instant(facts.ended_ms) if facts.ended_ms else None,
        "budgets": [
            {"budget": draw.budget_id, "window": draw.window_id, "measure": draw.measure}
            for draw in facts.ref.draws
        ],
    }


def grant_shape(given: HoldGranted, *, now_ms: int) -> dict[str, Any]:
    """A fresh hold as JSON: what is held, until when, and what the call may use."""
    granted, event = given.granted, given.event
    born_ms = born_ms_of(granted.hold_id)
    return {
        "id": granted.hold_id,
        "state": "dispatched",
        "is_overdue": False,
        "by_api": True,
        "request_id": event.request_id,
        "customer": event.customer_id,
        "key": event.key_id,
        "provider": event.provider,
        "model": event.model,
        "run": event.run_id or None,
        "held_cost_usd": format_usd(granted.cost_nanousd),
        "held_charge_usd": format_usd(granted.charge_nanousd),
        "cost_usd": None,
        "charge_usd": None,
        "output_cap": granted.output_cap,
        "created_at": _instant(born_ms),
        "age_seconds": max(0, now_ms - born_ms) // 1000,
        "deadline": _instant(given.deadline_ms),
        "ended_at": None,
        "budgets": [
            {"budget": budget_id, "window": window_id, "measure": measure}
            for budget_id, window_id, measure in granted.draws
        ],
        "account": event.account_id,
        "price": event.price_id,
        "input_tokens_max": event.quoted_input_tokens,
        "bound_class": event.bound_class,
        "is_clamped": granted.clamped,
        "remaining_usd": format_usd(granted.remaining_nanousd),
    }


def _instant(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, UTC)
