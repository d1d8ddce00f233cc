"""What a customer's next invoice comes to so far, as Stripe itself says: drafts that wait, and the running period."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.cache import cache
from django.utils import timezone

from billing.errors import StripeFailed
from billing.models import CustomerMap
from billing.stripe import reading
from billing.stripe.gateway import Gateway, told
from billing.stripe.keys import gateway_of
from billing.stripe.objects import Invoice, InvoiceLine, Obj
from billing.stripe.outcomes import Verdict

# A page that is looked at again and again asks Stripe this often at most.
KEPT_SECONDS = 5
DRAFTS_MAX = 5
# A running period has no invoice yet: Stripe previews what it would be.
RUNNING = "upcoming"


@dataclass(frozen=True, slots=True)
class InvoiceSoFar:
    """An invoice that is not final: its lines may grow. ``is_running``: its period has not ended yet."""

    invoice: Invoice
    lines: tuple[InvoiceLine, ...]
    is_running: bool


@dataclass(frozen=True, slots=True)
class SoFar:
    """What Stripe said at an instant: drafts of periods that are over first, the running one last."""

    read_at: datetime
    invoices: tuple[InvoiceSoFar, ...]


def invoices_so_far(mapping: CustomerMap) -> SoFar:
    """Read a customer's invoices that are not final, at most once in ``KEPT_SECONDS``.

    Raises: NotConnected; StripeFailed.
    """
    key = f"billing.invoices-so-far.{mapping.pk}.{mapping.subscription_id}"
    kept: SoFar | None = cache.get(key)
    if kept is None:
        kept = SoFar(timezone.now(), _read(gateway_of(mapping.connection), mapping.subscription_id))
        cache.set(key, kept, KEPT_SECONDS)
    return kept


def _read(gateway: Gateway, subscription_id: str) -> tuple[InvoiceSoFar, ...]:
    if not subscription_id:
        return ()
    drafts = gateway.invoices(rows_max=DRAFTS_MAX, subscription=subscription_id, status="draft")
    found = [
        InvoiceSoFar(each, tuple(gateway.invoice_lines(each.id)), is_running=False)
        for each in reversed(drafts)
    ]
    try:
        found.append(preview_invoice(gateway, subscription_id))
    except StripeFailed as error:
        # A subscription that ends has no next invoice.
        if error.outcome is None or error.outcome.verdict != Verdict.MISSING:
            raise
    return tuple(found)


def preview_invoice(gateway: Gateway, subscription_id: str) -> InvoiceSoFar:
    """Ask what a subscription's next invoice would be as of now; nothing is made. Raises: StripeFailed."""
    params: Any = {"subscription": subscription_id}
    return told(lambda: gateway.v1.invoices.create_preview(params), _read_preview)


def _read_preview(said: Obj) -> InvoiceSoFar:
    lines = tuple(reading.read_line(each) for each in said["lines"]["data"])
    # A preview of some versions has no id of its own.
    return InvoiceSoFar(reading.read_invoice({"id": RUNNING, **said}), lines, is_running=True)
