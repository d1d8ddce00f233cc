"""Open a page at Stripe on which a customer pays for credit. It brings nothing by itself: the payment does."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from billing.errors import StripeFailed
from billing.models import CustomerMap, PrepaidBudget, TopUp
from billing.prepaid.amounts import CURRENCY, NANOUSD_PER_CENT
from billing.stripe.connecting import noting
from billing.stripe.gateway import Gateway
from billing.stripe.keys import connection_of, gateway_of
from billing.stripe.payments import create_checkout
from billing.stripe.scopes import CREDIT, described
from metering.money import LIMIT_NANOUSD_MAX, format_usd
from tenants.actions.recording import Actor, Trail, shown
from tenants.errors import InvalidInput, WrongState
from tenants.models import Customer

LEAST_MINOR, MOST_MINOR = 100, 1_000_000
# A link may be in anybody's hands: whoever has it opens no more pages than a person would.
PAGES_AN_HOUR_MAX = 20
SHOWN = ("prepaid_id", "amount_minor", "currency", "session_id", "status")


def minor_from(amount_nanousd: int) -> int:
    """Whole cents of an amount. Raises: InvalidInput for parts of a cent, too little or too much."""
    amount_minor, rest = divmod(amount_nanousd, NANOUSD_PER_CENT)
    if rest or not LEAST_MINOR <= amount_minor <= MOST_MINOR:
        least, most = (format_usd(each * NANOUSD_PER_CENT) for each in (LEAST_MINOR, MOST_MINOR))
        raise InvalidInput("amount_usd", f"a top-up is ${least} to ${most}, in whole cents of US dollars")
    return amount_minor


def start_top_up(*, prepaid: PrepaidBudget, actor: Actor, amount_nanousd: int, return_url: str) -> TopUp:
    """Open a page to pay on, in US dollars: what budgets count in.

    Raises: InvalidInput; WrongState; NotConnected; StripeFailed.
    """
    amount_minor = minor_from(amount_nanousd)
    connection = connection_of(prepaid.tenant, prepaid.mode)
    gateway = gateway_of(connection)
    lacking = sorted(CREDIT & set(connection.scopes_missing))
    if lacking:
        listed = ", ".join(described(name) for name in lacking)
        raise WrongState(f"credit can be sold once the key for Stripe may do this as well: {listed}")
    _check(prepaid, amount_nanousd)
    with transaction.atomic():
        row = TopUp.objects.create(
            tenant_id=prepaid.tenant_id, mode=prepaid.mode, prepaid=prepaid, connection=connection,
            amount_minor=amount_minor, currency=CURRENCY,
        )  # fmt: skip
    # A page that was opened and not heard of is nobody's: its address was told to no one.
    try:
        with noting(connection):
            _open(gateway, row, prepaid.customer, return_url)
    except StripeFailed:
        TopUp.objects.filter(pk=row.pk).update(status=TopUp.Status.FAILED)
        raise
    Trail(prepaid.tenant, prepaid.mode, actor).audit("top_up.open", row, after=shown(row, *SHOWN))
    return row


def _check(prepaid: PrepaidBudget, amount_nanousd: int) -> None:
    if prepaid.budget.archived_at is not None:
        raise WrongState("this customer does not pay first any more")
    if prepaid.credit_nanousd() + amount_nanousd > LIMIT_NANOUSD_MAX:
        raise InvalidInput("amount_usd", f"credit may not grow above ${format_usd(LIMIT_NANOUSD_MAX)}")
    recent = TopUp.objects.filter(prepaid=prepaid, created_at__gt=timezone.now() - timedelta(hours=1))
    if recent.exclude(status=TopUp.Status.PAID).count() >= PAGES_AN_HOUR_MAX:
        raise WrongState(
            f"{PAGES_AN_HOUR_MAX} top-ups were begun within the hour; finish one, or come back later"
        )


def _open(gateway: Gateway, row: TopUp, customer: Customer, return_url: str) -> None:
    session = create_checkout(gateway, _terms(row, customer, return_url), key=f"farebox-{row.pk}")
    row.session_id, row.url, row.status = session.id, session.url, TopUp.Status.OPEN
    row.save(update_fields=["session_id", "url", "status"])


def _terms(row: TopUp, customer: Customer, return_url: str) -> dict[str, Any]:
    named = {"farebox_top_up": row.pk, "farebox_external_id": customer.external_id}
    mapped = CustomerMap.objects.filter(customer=customer, connection=row.connection)
    buyer = (
        mapped.exclude(state=CustomerMap.State.DELETED).values_list("stripe_customer_id", flat=True).first()
    )
    price = {
        "currency": row.currency, "unit_amount": row.amount_minor,
        "product_data": {"name": f"Credit for {row.prepaid.tenant.name}"},
    }  # fmt: skip
    return {
        "mode": "payment", "line_items": [{"quantity": 1, "price_data": price}],
        "success_url": return_url, "cancel_url": return_url, "client_reference_id": row.pk,
        "metadata": named, "payment_intent_data": {"metadata": named},
        **({"customer": buyer} if buyer else {}),
    }  # fmt: skip
