"""Resolving: a person says what an unresolved row really cost. The row stays; a correction with the difference follows.

The correction goes the way of every event, through Redis and its stream, so that ``spent`` moves with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from billing.ledger.requests import tags_of
from billing.models import LedgerRow
from enforcement.calls import BookedDraw
from enforcement.corrections import Correction, append_correction
from enforcement.errors import EnforcementUnavailable
from enforcement.keys import Scope
from metering.events import EventBody, encode_body
from metering.ids import make_event_id
from metering.money import NanoUsd, charge_for
from tenants.actions.recording import Actor
from tenants.models import AuditEntry, Tenant
from tenants.publishing import shared_control

Outcome = Literal["resolved", "moved", "unavailable"]
# $10,000: no call costs that, and its charge under any markup still fits the books.
RESOLVED_NANOUSD_MAX = 10**13
REASON_CHARS_MAX = 500


@dataclass(frozen=True, slots=True)
class Resolution:
    """What one row's call really cost; zero when the provider billed nothing."""

    row: LedgerRow
    cost_nanousd: NanoUsd

    @property
    def charge_nanousd(self) -> NanoUsd:
        """What the customer is billed for it under the row's own markup."""
        row = self.row
        return charge_for(self.cost_nanousd, row.markup_bp, row.markup_fixed_nanousd)


@dataclass(frozen=True, slots=True)
class Resolved:
    """What became of one row, and the event that corrects it: ours, or the one that came before."""

    event_id: str
    outcome: Outcome
    correction_id: str


def resolve_rows(
    *, tenant: Tenant, resolutions: Sequence[Resolution], actor: Actor, reason: str
) -> list[Resolved]:
    """Book what each row's call really cost, and why. Each row stands alone.

    ``moved`` = the call's own end came, or somebody else was faster; ``unavailable`` = try again later.
    """
    tags = tags_of(resolution.row for resolution in resolutions)
    # Who did it is written down first: a correction without a name must not be possible, a name without one is.
    _audit(tenant, actor, "ledger.resolve", [(each.row, _after(each, reason)) for each in resolutions])
    outcomes: list[Outcome] = []
    for each in resolutions:
        # All rows are of one shard: where one cannot be reached, the others need not wait to learn the same.
        is_away = outcomes[-1:] == ["unavailable"]
        outcomes.append(
            "unavailable" if is_away else _correct(tenant, each, tags.get(each.row.tag_set_id, {}))
        )
    failed: list[tuple[LedgerRow, dict[str, object]]] = [
        (each.row, {"outcome": outcome})
        for each, outcome in zip(resolutions, outcomes, strict=True)
        if outcome != "resolved"
    ]
    _audit(tenant, actor, "ledger.resolve_failed", failed)
    return [
        # Both roads, a person's and a late end's, number a hold's first correction alike.
        Resolved(each.row.event_id, outcome, make_event_id(each.row.hold_id, "correction", 0))
        for each, outcome in zip(resolutions, outcomes, strict=True)
    ]


def _correct(tenant: Tenant, resolution: Resolution, tags: dict[str, str]) -> Outcome:
    row = resolution.row
    correction = Correction(
        scope=Scope(tenant.pk, "live" if row.mode == "live" else "test"),
        hold_id=row.hold_id,
        draws=[BookedDraw(*draw) for draw in row.draws],
        booked_cost_nanousd=row.cost_nanousd,
        booked_charge_nanousd=row.charge_nanousd,
        cost_nanousd=resolution.cost_nanousd,
        charge_nanousd=resolution.charge_nanousd,
        basis="reported" if resolution.cost_nanousd else "none",
        body=encode_body(body_of_row(row, tags)),
    )
    try:
        return "resolved" if append_correction(shared_control().client, correction) else "moved"
    except EnforcementUnavailable:
        return "unavailable"


def _after(resolution: Resolution, reason: str) -> dict[str, object]:
    return {
        "cost_nanousd": resolution.cost_nanousd,
        "charge_nanousd": resolution.charge_nanousd,
        "reason": reason,
    }


def body_of_row(row: LedgerRow, tags: Mapping[str, str]) -> EventBody:
    """The correction is about the same call; its quote and its tokens stand on the row it corrects."""
    started_ms = int(row.started_at.timestamp() * 1000)
    return EventBody(
        request_id=row.request_id,
        attempt=row.attempt,
        key_id=row.key_id,
        customer_id=row.customer_id or None,
        account_id=row.account_id,
        provider=row.provider,
        dialect=row.dialect,
        model=row.model,
        price_id=row.price_id,
        bound_class=row.bound_class,
        quoted_input_tokens=row.quoted_input_tokens,
        started_ms=started_ms,
        ended_ms=int(row.ended_at.timestamp() * 1000) if row.ended_at else 0,
        markup_bp=row.markup_bp,
        markup_fixed_nanousd=row.markup_fixed_nanousd,
        stream=row.stream,
        end="resolved",
        run_id=row.run_id,
        tags=dict(tags),
    )


def _audit(
    tenant: Tenant, actor: Actor, action: str, changes: Sequence[tuple[LedgerRow, dict[str, object]]]
) -> None:
    AuditEntry.objects.bulk_create(
        AuditEntry(
            tenant=tenant,
            mode=row.mode,
            actor_kind=actor.kind,
            actor_id=actor.actor_id,
            actor_name=actor.name,
            action=action,
            object_kind="ledger_row",
            object_id=row.event_id,
            before={"cost_nanousd": row.cost_nanousd, "charge_nanousd": row.charge_nanousd},
            after=after,
        )
        for row, after in changes
    )
