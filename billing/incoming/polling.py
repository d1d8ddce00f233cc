"""Asking Stripe for its events: all of them where it cannot reach us, and reports about usage in any case.

What was asked for once is asked for again for a while: the inbox takes each event once.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.db.models import F
from django.utils import timezone

from billing.errors import StripeFailed
from billing.incoming.inbox import Notice, take_in
from billing.models import StripeConnection, StripeEvent
from billing.stripe import events
from billing.stripe.connecting import note_outcome
from billing.stripe.gateway import Gateway
from billing.stripe.hooks import SNAPSHOT_KINDS, THIN_KINDS
from billing.stripe.keys import gateway_of

log = logging.getLogger(__name__)

# Events show up in the lists some time after they happened.
OVERLAP = timedelta(minutes=15)
# Stripe keeps them for thirty days; what a new connection did before is read from its objects.
FIRST = timedelta(hours=1)
OLDEST = timedelta(days=29)
EVENTS_MAX = 10_000
CONNECTIONS_AT_ONCE_MAX = 200


def poll_all() -> int:
    """Ask for the events of every connection that can be asked, the longest unasked first; returns new ones."""
    rows = StripeConnection.objects.filter(status__in=["new", "ok"]).exclude(secret="")
    rows = rows.select_related("tenant").order_by(F("thin_polled_at").asc(nulls_first=True))
    found = 0
    for row in rows[:CONNECTIONS_AT_ONCE_MAX]:
        try:
            found += poll(row)
        except StripeFailed as error:
            if error.outcome is not None:
                note_outcome(row, error.outcome)
    return found


def poll(row: StripeConnection) -> int:
    """Ask for one connection's events; returns how many were new. Raises: StripeFailed."""
    gateway, now = gateway_of(row), timezone.now()
    found = _thin(gateway, row, _since(row.thin_polled_at, now))
    StripeConnection.objects.filter(pk=row.pk).update(thin_polled_at=now)
    if not row.webhook_endpoint_id:
        found += _snapshots(gateway, row, _since(row.snapshots_polled_at, now))
    # A webhook that is registered later, or ended, leaves no gap: the mark goes on in any case.
    StripeConnection.objects.filter(pk=row.pk).update(snapshots_polled_at=now)
    return found


def _since(polled_at: datetime | None, now: datetime) -> datetime:
    return max(polled_at - OVERLAP, now - OLDEST) if polled_at is not None else now - FIRST


def _thin(gateway: Gateway, row: StripeConnection, since: datetime) -> int:
    listed = events.thin_events(gateway, THIN_KINDS, since=since, rows_max=EVENTS_MAX)
    notices = [
        Notice(each.id, StripeEvent.Shape.THIN, each.kind, each.related_id)
        for each in listed
        if each.is_live is (row.mode == "live")
    ]
    return _take_in_all(row, notices)


def _snapshots(gateway: Gateway, row: StripeConnection, since: datetime) -> int:
    listed = events.snapshot_events(gateway, SNAPSHOT_KINDS, since=since, rows_max=EVENTS_MAX)
    notices = [
        Notice(each.id, StripeEvent.Shape.SNAPSHOT, each.kind, each.object_id)
        for each in listed
        if each.is_live is (row.mode == "live")
    ]
    return _take_in_all(row, notices)


def _take_in_all(row: StripeConnection, notices: list[Notice]) -> int:
    if len(notices) >= EVENTS_MAX:
        log.error("stripe.too_many_events", extra={"connection": row.pk, "events": len(notices)})
    # Told newest first, handled oldest first; nothing depends on it.
    return sum(take_in(row, notice, via="poll") for notice in reversed(notices))
