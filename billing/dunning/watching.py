"""Who pays and who does not, as Stripe says now: cases opened and closed, and what follows put in force."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from billing.dunning.enforcing import enforce
from billing.dunning.reasons import is_disputed, reasons_of
from billing.errors import StripeFailed
from billing.incoming.inbox import Busy, one_at_a_time
from billing.models import CustomerMap, DunningCase, StripeConnection, StripeMeter, TopUp
from billing.stripe import payments
from billing.stripe.connecting import noting
from billing.stripe.keys import gateway_of
from tenants.actions.recording import Actor, Trail
from tenants.models import Customer

log = logging.getLogger(__name__)

READ_AT_ONCE_MAX = 50
_DISPUTED = DunningCase.Reason.DISPUTED


def watch_customer(mapping: CustomerMap) -> bool:
    """Read a customer's subscriptions and have the consequence in force; returns whether anything changed.

    Raises: StripeFailed; Busy.
    """
    with one_at_a_time(f"dunning:{mapping.customer_id}"), noting(mapping.connection):
        row = CustomerMap.objects.select_related("connection__tenant", "customer").get(pk=mapping.pk)
        found: dict[str, str] = {}
        if row.stripe_customer_id and row.state != CustomerMap.State.DELETED:
            listed = gateway_of(row.connection).subscriptions_of(row.stripe_customer_id, ended=True)
            prices = StripeMeter.objects.filter(connection=row.connection).exclude(price_id="")
            found = reasons_of(listed, set(prices.values_list("price_id", flat=True)), row.subscription_id)
        cases = DunningCase.objects.filter(customer=row.customer).exclude(reason=_DISPUTED)
        changed = _write(row.customer, row.connection, found, [case.source_id for case in cases])
        return _follow(row.customer, changed)


def watch_dispute(connection: StripeConnection, dispute_id: str) -> bool:
    """Read a dispute and have its consequence in force; returns whether it is about a customer.

    Raises: StripeFailed; Busy.
    """
    gateway = gateway_of(connection)
    dispute = payments.dispute(gateway, dispute_id)
    customer = _payer(connection, dispute.payment_intent_id)
    if customer is None:
        return False
    with one_at_a_time(f"dunning:{customer.pk}"):
        # Read again: what was read to find out whose it is may be older than what somebody else wrote since.
        dispute = payments.dispute(gateway, dispute_id)
        found = {dispute.id: str(_DISPUTED)} if is_disputed(dispute.status) else {}
        _follow(customer, _write(customer, connection, found, [dispute.id]))
    return True


def watch_due(*, rows_max: int = READ_AT_ONCE_MAX) -> int:
    """Look again at customers whose case and last known subscription disagree, or whose case is open; returns how many.

    Events may be lost: nobody stays suspended for that.
    """
    is_open = DunningCase.objects.filter(customer=OuterRef("customer"), closed_at=None)
    wrong = Q(subscription_status__in=["past_due", "unpaid", "canceled"])
    rows = CustomerMap.objects.annotate(has_case=Exists(is_open)).filter(wrong | Q(has_case=True))
    rows = rows.filter(connection__status__in=["new", "ok"]).exclude(connection__secret="")
    watched = 0
    for mapping in rows.select_related("connection__tenant", "customer").order_by("?")[:rows_max]:
        try:
            watch_customer(mapping)
            for case in DunningCase.objects.filter(
                customer=mapping.customer, connection=mapping.connection, reason=_DISPUTED, closed_at=None
            ):
                watch_dispute(mapping.connection, case.source_id)
        except (StripeFailed, Busy) as error:
            log.info("dunning.watch_later", extra={"mapping": mapping.pk, "why": str(error)})
            continue
        watched += 1
    return watched


def _payer(connection: StripeConnection, payment_intent_id: str) -> Customer | None:
    """Whose payment it is: a top-up's, or by the customer at Stripe."""
    top_up = TopUp.objects.filter(connection=connection, payment_intent_id=payment_intent_id).first()
    if top_up is not None and payment_intent_id:
        return Customer.objects.get(prepaid__top_ups=top_up)
    if not payment_intent_id:
        return None
    buyer = payments.payment(gateway_of(connection), payment_intent_id).customer_id
    mapping = CustomerMap.objects.filter(connection=connection, stripe_customer_id=buyer).first()
    return Customer.objects.get(pk=mapping.customer_id) if mapping and buyer else None


@transaction.atomic
def _write(
    customer: Customer, connection: StripeConnection, found: Mapping[str, str], looked_at: list[str]
) -> list[str]:
    """Write what was found: cases opened, changed, closed. Returns the objects whose case changed."""
    changed = []
    now = timezone.now()
    for source_id in sorted({*found, *looked_at}):
        reason = found.get(source_id)
        case = DunningCase.objects.filter(
            customer=customer, connection=connection, source_id=source_id
        ).first()
        before = case.reason if case is not None and case.closed_at is None else None
        if reason == before:
            continue
        row = case or DunningCase(
            tenant_id=customer.tenant_id, mode=customer.mode, customer=customer, connection=connection,
            source_id=source_id,
        )  # fmt: skip
        row.reason, row.closed_at = reason or row.reason, None if reason else now
        row.opened_at = row.opened_at if before is not None else now
        row.save()
        trail = Trail(connection.tenant, connection.mode, _stripe(source_id))
        trail.audit("dunning_case.open" if reason else "dunning_case.close", row, before={"reason": before},
                    after={"reason": reason, "stripe_object": source_id})  # fmt: skip
        changed.append(source_id)
    return changed


def _follow(customer: Customer, changed: list[str]) -> bool:
    """Have the consequence in force, also where no case changed: what was left half done is done now."""
    return enforce(customer, actor=_stripe(changed[-1] if changed else "")) or bool(changed)


def _stripe(source_id: str) -> Actor:
    return Actor("system", source_id[:64] or "system", "Stripe")
