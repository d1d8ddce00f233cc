"""From a payment at Stripe to the budget's limit: read again, compared with what is written, the rest appended."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from django.db import transaction
from django.db.models import Q, Sum
from django.utils import timezone

from billing.errors import StripeFailed
from billing.incoming.inbox import Busy, one_at_a_time
from billing.models import PrepaidBudget, PrepaidEntry, TopUp
from billing.prepaid.amounts import Worth, status_of, worth_of
from billing.stripe import payments
from billing.stripe.connecting import noting
from billing.stripe.keys import gateway_of
from billing.stripe.objects import CheckoutSession, Payment
from metering.money import LIMIT_NANOUSD_MAX
from tenants.actions.budgets import change_limit
from tenants.actions.recording import SYSTEM, Actor
from tenants.errors import WrongState
from tenants.models import Budget
from tenants.publishing import publish_now

log = logging.getLogger(__name__)

KEEPER = "prepaid"
READ_AT_ONCE_MAX = 50


def sync_top_up(top_up: TopUp) -> TopUp:
    """Read a top-up's payment at Stripe, write what it is worth now, and put the limit in force.

    Repeating it changes nothing; the order of events does not matter. Raises: StripeFailed; Busy.
    """
    with one_at_a_time(f"top-up:{top_up.pk}"), noting(top_up.connection):
        gateway = gateway_of(top_up.connection)
        session = payments.checkout(gateway, top_up.session_id)
        paid_by = session.payment_intent_id
        payment = payments.payment(gateway, paid_by) if paid_by else None
        refunds = payments.refunds(gateway, payment_intent=paid_by) if paid_by else []
        disputes = payments.disputes(gateway, payment_intent=paid_by) if paid_by else []
        # Oldest first, so that a later one never changes what an earlier one took.
        worth = worth_of(session, payment, refunds[::-1], disputes[::-1])
        row, entries = _write(top_up, session, payment, worth)
    publish_now(entries)
    return row


def sync_living(*, rows_max: int = READ_AT_ONCE_MAX) -> int:
    """Read top-ups again that wait for their money: an event may have been lost. Returns how many were read."""
    rows = TopUp.objects.filter(Q(status__in=TopUp.LIVING), connection__status__in=["new", "ok"]).exclude(
        Q(session_id="") | Q(connection__secret="")
    )
    read = 0
    for row in rows.select_related("connection__tenant", "prepaid").order_by("checked_at", "id")[:rows_max]:
        try:
            sync_top_up(row)
        except (Busy, StripeFailed) as error:
            # The next ones may fare better; this one's turn comes again.
            TopUp.objects.filter(pk=row.pk).update(checked_at=timezone.now())
            log.info("prepaid.sync_later", extra={"top_up": row.pk, "why": str(error)})
            continue
        read += 1
    return read


def credit_of(prepaid: PrepaidBudget) -> int:
    """The credit in nano-dollars as the budget's limit can take it."""
    return max(0, min(prepaid.credit_nanousd(), int(LIMIT_NANOUSD_MAX)))


@transaction.atomic
def _write(
    top_up: TopUp, session: CheckoutSession, payment: Payment | None, worth: Sequence[Worth]
) -> tuple[TopUp, tuple[int, ...]]:
    prepaid = PrepaidBudget.objects.select_for_update(of=("self",)).get(pk=top_up.prepaid_id)
    row = TopUp.objects.select_related("connection__tenant", "prepaid").get(pk=top_up.pk)
    row.status, row.checked_at = status_of(session, payment), timezone.now()
    row.payment_intent_id, row.url = session.payment_intent_id, session.url
    row.save(update_fields=["status", "checked_at", "payment_intent_id", "url"])
    changed = [each for each in worth if _append(prepaid, row, each)]
    return row, _set_limit(prepaid, changed[-1].source_id) if changed else ()


def _append(prepaid: PrepaidBudget, top_up: TopUp, worth: Worth) -> bool:
    """Append what an object is worth beyond what is written of it; returns whether there was a difference."""
    known = PrepaidEntry.objects.filter(top_up=top_up, source_id=worth.source_id)
    written_nanousd = int(known.aggregate(sum=Sum("amount_nanousd"))["sum"] or 0)
    difference_nanousd = worth.amount_nanousd - written_nanousd
    if difference_nanousd == 0:
        return False
    PrepaidEntry.objects.create(
        tenant_id=prepaid.tenant_id, mode=prepaid.mode, prepaid=prepaid, top_up=top_up, kind=worth.kind,
        source_id=worth.source_id, number=known.count(), amount_nanousd=difference_nanousd,
    )  # fmt: skip
    return True


def _set_limit(prepaid: PrepaidBudget, source_id: str) -> tuple[int, ...]:
    """Set the limit to the sum of all entries; the audit names what at Stripe it follows from."""
    budget = Budget.objects.get(pk=prepaid.budget_id)
    credit_nanousd = credit_of(prepaid)
    if credit_nanousd == budget.limit_nanousd:
        return ()
    actor = Actor("system", source_id[:64], "Stripe") if source_id else SYSTEM
    try:
        return change_limit(budget=budget, actor=actor, limit_nanousd=credit_nanousd, keeper=KEEPER).entries
    except WrongState:
        # Prepaying was ended while money was on its way: the entry says so, and a person gives it back.
        log.exception("prepaid.closed", extra={"prepaid": prepaid.pk, "source": source_id})
        return ()
