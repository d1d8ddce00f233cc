"""The ends of a hold that a program or a person may give: settled, released, kept for longer, taken away by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import msgspec

from billing.holding.asking import API_DIALECT
from billing.ledger.requests import tags_of
from billing.ledger.resolving import body_of_row
from billing.ledger.unresolved import rows_by_event
from enforcement.corrections import Correction, append_correction
from enforcement.decisions import AlreadyEnded, EndOutcome, Settlement, Unknown
from enforcement.errors import EnforcementUnavailable
from enforcement.hold_facts import HoldFacts
from enforcement.sync_holds import SyncHolds
from metering.cost import cost_of
from metering.errors import UnpricedModel
from metering.events import EventBody, encode_body
from metering.ids import born_ms_of, make_event_id
from metering.money import NanoUsd, charge_for
from metering.rates import Price
from metering.usage import TOKEN_BUCKETS, Usage
from tenants.actions.recording import Actor
from tenants.base_books import PriceShelf
from tenants.errors import InvalidInput, WrongState
from tenants.models import AuditEntry, Tenant
from tenants.pricing.books import tenant_book
from tenants.publishing import shared_control

# A hold's row is of the month it was born in, and its Idempotency-Key is kept for a day: none lives longer.
LIFE_MS_MAX = 24 * 3600 * 1000
HOW = Literal["settled", "corrected", "released", "given_up"]


@dataclass(frozen=True, slots=True)
class Told:
    """How a call ended, by its caller's word: what it used, or what it cost."""

    ended_ms: int
    usage: Mapping[str, int] | None = None
    extras: Mapping[str, int] | None = None
    cost_nanousd: int | None = None
    response_model: str = ""
    upstream_request_id: str = ""


def settle_hold(tenant: Tenant, facts: HoldFacts, told: Told) -> HOW:
    """Book what a call cost, in full, also beyond its quote; after an expiry the difference follows as a correction.

    Raises: WrongState for a hold that is no API hold or ended otherwise; InvalidInput for usage without a price;
    EnforcementUnavailable, also while an expired hold's row is still on its way.
    """
    event = _event_of(facts)
    if event.dialect != API_DIALECT:
        raise WrongState("this hold is a proxy's: it is settled by what its provider reports")
    price_id, cost_nanousd = _cost_of(tenant, facts.ref.scope.mode, event, told)
    done = msgspec.structs.replace(
        event,
        price_id=price_id,
        ended_ms=told.ended_ms,
        end="complete" if told.cost_nanousd is None else "resolved",
        usage=dict(told.usage or {}),
        extras=dict(told.extras or {}),
        response_model=told.response_model,
        upstream_request_id=told.upstream_request_id,
    )
    settlement = Settlement(
        cost_nanousd=cost_nanousd,
        charge_nanousd=charge_for(NanoUsd(cost_nanousd), event.markup_bp, event.markup_fixed_nanousd),
        basis="reported",
        body=encode_body(done),
    )
    outcome, _ = _holds().settle(facts.ref, settlement, held=facts.held)
    _must_have_ended(outcome)
    return "settled" if facts.is_open else "corrected"


def release_hold(facts: HoldFacts) -> HOW:
    """End a hold whose call was never sent, by its caller's own word: it costs nothing, for good.

    Raises: WrongState.
    """
    event = _event_of(facts)
    if event.dialect != API_DIALECT:
        raise WrongState("this hold is a proxy's: say why with a reason to take it away by hand")
    body = encode_body(msgspec.structs.replace(event, end="not_sent"))
    outcome, _ = _holds().release(facts.ref, body=body, held=facts.held)
    _must_have_ended(outcome)
    return "released"


def extend_hold(facts: HoldFacts, lease_ms: int, *, now_ms: int) -> int:
    """Give an open API hold a lease from now on. Returns: its deadline in ms. Raises: WrongState."""
    if not facts.is_open or _event_of(facts).dialect != API_DIALECT:
        raise WrongState("only an open hold of this API can be extended; a proxy renews its own")
    if now_ms + lease_ms > born_ms_of(facts.ref.hold_id) + LIFE_MS_MAX:
        raise WrongState("a hold lives for 24 hours at most; settle it and ask for another")
    deadline_ms = _holds().renew(facts.ref, lease_ms=lease_ms)
    if deadline_ms is None:
        raise WrongState("the hold has ended meanwhile")
    return deadline_ms


def release_by_hand(*, tenant: Tenant, facts: HoldFacts, actor: Actor, reason: str) -> HOW:
    """Take an open hold away, of whatever caller, and write down who did it and why.

    What was sent is booked as unresolved and corrected to nothing at once, so that the call's own late end, should it
    come after all, still books what it cost. Raises: WrongState, EnforcementUnavailable.
    """
    if not facts.is_open:
        raise WrongState(f"the hold has ended: {facts.state}")
    # Who did it is written down first: an end without a name must not be possible, a name without one is.
    _audit(tenant, facts, actor, reason)
    if facts.state == "reserved":
        outcome, _ = _holds().release(facts.ref, body=b"", held=facts.held)
        _must_have_ended(outcome)
        return "released"
    event = _event_of(facts)
    outcome, booking = _holds().give_up(facts.ref, body=b"", held=facts.held)
    if booking is None:
        _must_have_ended(outcome)
    correction = Correction(
        scope=facts.ref.scope,
        hold_id=facts.ref.hold_id,
        draws=facts.ref.draws,
        booked_cost_nanousd=facts.cost_nanousd,
        booked_charge_nanousd=facts.charge_nanousd,
        cost_nanousd=0,
        charge_nanousd=0,
        basis="none",
        body=encode_body(msgspec.structs.replace(event, end="resolved")),
    )
    append_correction(shared_control().client, correction)
    return "given_up"


def _event_of(facts: HoldFacts) -> EventBody:
    """What the row will say: from the record while the hold is open, from the row of its expiry afterwards."""
    if facts.body is not None:
        return facts.body
    if facts.state != "expired":
        raise WrongState(f"the hold has ended: {facts.state}")
    event_id = make_event_id(facts.ref.hold_id, "expired", 0)
    row = rows_by_event(facts.ref.scope, [event_id]).get(event_id)
    if row is None:
        raise EnforcementUnavailable("the row of the hold's expiry is not in the ledger yet; try again")
    return body_of_row(row, tags_of([row]).get(row.tag_set_id, {}))


def _cost_of(tenant: Tenant, mode: str, event: EventBody, told: Told) -> tuple[str, int]:
    """Work out what the call cost. Returns: the price's id, and the cost. Raises: InvalidInput."""
    if told.cost_nanousd is not None:
        return event.price_id, told.cost_nanousd
    tokens = {f"{name}_tokens": (told.usage or {}).get(name, 0) for name in TOKEN_BUCKETS}
    usage = Usage(**tokens, extras=tuple((told.extras or {}).items()))
    try:
        price = _price_of(tenant, mode, event, told.response_model)
        return price.price_id, cost_of(usage, price)
    except UnpricedModel as error:
        raise InvalidInput("usage", f"{error}; send cost_usd instead") from error


def _price_of(tenant: Tenant, mode: str, event: EventBody, answered: str) -> Price:
    """The price of the hold's reserve, or of the model that answered where that is another. Raises: UnpricedModel."""
    if answered not in ("", event.model):
        book = tenant_book(tenant, mode)
        return book.find_answered(event.provider, event.model, answered, event.started_ms)
    shelf = PriceShelf()
    shelf.fetch([event.price_id])
    price = shelf.find(event.price_id)
    if price is None:
        raise UnpricedModel(event.provider, event.model)
    return price


def _must_have_ended(outcome: EndOutcome) -> None:
    if isinstance(outcome, AlreadyEnded):
        raise WrongState(f"the hold has ended: {outcome.state}")
    if isinstance(outcome, Unknown):
        raise WrongState("nobody knows this hold any more; what was sent is kept among the dead letters")


def _audit(tenant: Tenant, facts: HoldFacts, actor: Actor, reason: str) -> None:
    AuditEntry.objects.create(
        tenant=tenant,
        mode=facts.ref.scope.mode,
        actor_kind=actor.kind,
        actor_id=actor.actor_id,
        actor_name=actor.name,
        action="hold.release",
        object_kind="hold",
        object_id=facts.ref.hold_id,
        before={
            "state": facts.state,
            "cost_nanousd": facts.cost_nanousd,
            "charge_nanousd": facts.charge_nanousd,
        },
        after={"reason": reason},
    )


def _holds() -> SyncHolds:
    return SyncHolds(shared_control().client)
