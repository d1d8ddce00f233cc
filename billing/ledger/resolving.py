"""Resolving: a person says what an unresolved row really cost. The row stays; a correction with the difference follows.

The correction goes the way of every event, through Redis and its stream, so that ``spent`` moves with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from django.db import transaction

from billing.ledger.requests import tags_of
from billing.models import LedgerRow
from enforcement.calls import BookedDraw
from enforcement.corrections import Correction, append_correction
from enforcement.errors import EnforcementUnavailable
from enforcement.keys import Scope
from metering.events import EventBody, encode_body
from metering.money import NanoUsd, charge_for
from tenants.actions.recording import Actor
from tenants.models import AuditEntry, Tenant
from tenants.publishing import shared_control

Outcome = Literal["resolved", "moved", "unavailable"]


@dataclass(frozen=True, slots=True)
class Resolved:
    """What became of one row."""

    event_id: str
    outcome: Outcome


def resolve_rows(
    *, tenant: Tenant, rows: Sequence[LedgerRow], actor: Actor, cost_nanousd: NanoUsd
) -> list[Resolved]:
    """Book what each row's call really cost; zero when the provider billed nothing. Each row stands alone.

    ``moved`` = the call's own end came, or somebody else was faster; ``unavailable`` = try again later.
    """
    tags = tags_of(rows)
    return [_resolve(tenant, row, actor, cost_nanousd, tags.get(row.tag_set_id, {})) for row in rows]


def charge_of(row: LedgerRow, cost_nanousd: NanoUsd) -> NanoUsd:
    """What the customer is billed for a cost under the row's own markup."""
    return charge_for(cost_nanousd, row.markup_bp, row.markup_fixed_nanousd)


def _resolve(
    tenant: Tenant, row: LedgerRow, actor: Actor, cost_nanousd: NanoUsd, tags: dict[str, str]
) -> Resolved:
    charge_nanousd = charge_of(row, cost_nanousd)
    before = {"cost_nanousd": row.cost_nanousd, "charge_nanousd": row.charge_nanousd}
    after = {"cost_nanousd": cost_nanousd, "charge_nanousd": charge_nanousd}
    # Who did it is written down first: a correction without a name must not be possible, a name without one is.
    _audit(tenant, row, actor, "ledger.resolve", before=before, after=after)
    try:
        is_booked = append_correction(
            shared_control().client,
            Correction(
                scope=Scope(tenant.pk, "live" if row.mode == "live" else "test"),
                hold_id=row.hold_id,
                draws=[BookedDraw(*draw) for draw in row.draws],
                booked_cost_nanousd=row.cost_nanousd,
                booked_charge_nanousd=row.charge_nanousd,
                cost_nanousd=cost_nanousd,
                charge_nanousd=charge_nanousd,
                basis="reported" if cost_nanousd else "none",
                body=encode_body(_body(row, tags)),
            ),
        )
    except EnforcementUnavailable:
        outcome: Outcome = "unavailable"
    else:
        outcome = "resolved" if is_booked else "moved"
    if outcome != "resolved":
        _audit(tenant, row, actor, "ledger.resolve_failed", before=before, after={"outcome": outcome})
    return Resolved(row.event_id, outcome)


def _body(row: LedgerRow, tags: dict[str, str]) -> EventBody:
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
        tags=tags,
    )


@transaction.atomic
def _audit(
    tenant: Tenant,
    row: LedgerRow,
    actor: Actor,
    action: str,
    *,
    before: Mapping[str, int],
    after: Mapping[str, object],
) -> None:
    AuditEntry.objects.create(
        tenant=tenant,
        mode=row.mode,
        actor_kind=actor.kind,
        actor_id=actor.actor_id,
        actor_name=actor.name,
        action=action,
        object_kind="ledger_row",
        object_id=row.event_id,
        before=dict(before),
        after=dict(after),
    )
