"""The inbox as figures for a scraper."""

from __future__ import annotations

from django.db.models import Min
from django.utils import timezone

from billing.incoming.receiving import Receipt
from billing.models import HookRefusal, ReportedSpan, StripeEvent

REFUSALS = tuple(receipt for receipt in Receipt if receipt not in {Receipt.TAKEN, Receipt.REPEATED})


def event_figures() -> dict[str, float]:
    """What waits in the inbox, what failed, what was refused at the door, and which reports are open."""
    waiting = StripeEvent.objects.filter(handled_at=None)
    oldest = waiting.aggregate(at=Min("received_at"))["at"]
    counts = {row.reason: row.count for row in HookRefusal.objects.all()}
    return {
        "farebox_stripe_events_waiting": waiting.count(),
        "farebox_stripe_events_oldest_seconds": (timezone.now() - oldest).total_seconds() if oldest else 0,
        "farebox_stripe_events_failed": StripeEvent.objects.filter(outcome="failed").count(),
        "farebox_stripe_reports_open": ReportedSpan.objects.filter(settled_at=None).count(),
        **{f'farebox_stripe_hooks_refused{{reason="{each}"}}': counts.get(each, 0) for each in REFUSALS},
    }
