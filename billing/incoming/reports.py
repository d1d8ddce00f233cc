"""Reports that events were not counted: those named are taken back, and everything around them is looked at.

A report names samples only. What it does not name is found by the sums: every push that was tried in its span and is
not proven is looked at until its minute shows it, or was empty for a day.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q, QuerySet

from billing.errors import StripeFailed
from billing.incoming.inbox import Busy, one_at_a_time
from billing.models import CustomerMap, Push, PushAttempt, ReportedSpan, StripeConnection, StripeEvent
from billing.pushing.confirming import ABSENT_FOR, confirm
from billing.pushing.releasing import reject
from billing.pushing.states import METER_CODES
from billing.stripe import events
from billing.stripe.connecting import note_outcome
from billing.stripe.keys import gateway_of
from billing.stripe.objects import ThinEvent

log = logging.getLogger(__name__)

# Around the span that a report names: its clock is not ours, and validation comes some time after acceptance.
MARGIN = timedelta(hours=1)
LOOKS_AT_ONCE_MAX = 100
# Sums are no sooner there than this; asking more often costs reads and tells nothing.
LOOK_EVERY = timedelta(minutes=30)
# Mended by themselves, or by a person at Stripe; everything else in a report is a fault of ours.
_EXPECTED = METER_CODES | {"meter_event_customer_not_found", "timestamp_too_far_in_past"}


@dataclass(frozen=True, slots=True)
class Sample:
    """One event that a report names, and why it was not counted."""

    identifier: str
    code: str


def take_report(event: StripeEvent) -> bool:
    """Read a report and take back what it names; mark its span for the rest. Raises: StripeFailed."""
    report = events.thin_event(gateway_of(event.connection), event.event_id)
    samples = list(samples_of(report))
    for sample in samples:
        _take_back(event.connection, sample)
    start, end = span_of(report)
    ReportedSpan.objects.get_or_create(
        connection=event.connection, event_id=report.id,
        defaults={
            "tenant_id": event.tenant_id, "mode": event.mode, "starts_at": start, "ends_at": end,
            "error_count": _count(report), "sampled_count": len(samples),
        },
    )  # fmt: skip
    return True


def samples_of(report: ThinEvent) -> Iterator[Sample]:
    """The events that a report names. Source: API version 2026-05-27.dahlia; the code is an open list."""
    for kind in _reason(report).get("error_types") or ():
        for error in kind.get("sample_errors") or ():
            named = (error.get("request") or {}).get("identifier")
            if isinstance(named, str) and named:
                yield Sample(named, str(kind.get("code") or ""))


def span_of(report: ThinEvent) -> tuple[datetime, datetime]:
    """The span in which what a report is about was validated; its own instant where it says none."""
    start, end = (report.data.get(name) for name in ("validation_start", "validation_end"))
    return _instant(start, report.created), _instant(end, report.created)


def look_at_spans(now: datetime) -> int:
    """Look at what reports left open, and at what they took back; returns how many pushes were read."""
    looked = 0
    for push in _unsettled(now)[:LOOKS_AT_ONCE_MAX]:
        looked += _look(push, now)
    for span in ReportedSpan.objects.filter(settled_at=None).select_related("connection"):
        if not _open_in(span).exists():
            ReportedSpan.objects.filter(pk=span.pk).update(settled_at=now)
    return looked


def _take_back(connection: StripeConnection, sample: Sample) -> None:
    """Reject the push of a sample; an identifier that this connection never used is nobody's."""
    if not Push.objects.filter(connection=connection, identifier=sample.identifier).exists():
        return
    push = reject(sample.identifier, sample.code)
    if push is not None:
        say = log.warning if sample.code in _EXPECTED else log.error
        say("push.reported", extra={"push": push.identifier, "code": sample.code, "why": push.why})


def _unsettled(now: datetime) -> QuerySet[Push]:
    """Rejected pushes, and accepted ones within a span that is open, of connections that can be asked."""
    within = Q(pk__in=[])
    for span in ReportedSpan.objects.filter(settled_at=None):
        within |= Q(pk__in=_open_in(span).values("pk"))
    rows = Push.objects.filter(Q(state=Push.State.REJECTED) | within, sink=Push.Sink.STRIPE)
    rows = rows.filter(connection__status__in=["new", "ok"]).exclude(connection__secret="")
    # What was seen to be absent waits for somebody to bill: until then there is nothing more to see.
    is_open = Q(absent_since=None) | Q(absent_since__gte=now - ABSENT_FOR - MARGIN)
    rows = rows.filter(is_open | Q(customer__stripe_map__state=CustomerMap.State.MAPPED))
    rows = rows.exclude(stripe_customer_id="")
    return rows.select_related("connection__tenant", "meter").order_by("stamp_at", "id")


def _open_in(span: ReportedSpan) -> QuerySet[Push]:
    tried = PushAttempt.objects.filter(
        started_at__range=(span.starts_at - MARGIN, span.ends_at + MARGIN),
        push__connection=span.connection_id,
    )
    return Push.objects.filter(state=Push.State.ACCEPTED, pk__in=tried.values("push_id"))


def _look(push: Push, now: datetime) -> bool:
    connection = push.connection
    assert connection is not None
    try:
        with one_at_a_time(f"look:{push.pk}"):
            confirm(push, gateway_of(connection), now=now)
    except Busy:
        return False
    except StripeFailed as error:
        if error.outcome is not None:
            note_outcome(connection, error.outcome)
        return False
    return True


def _count(report: ThinEvent) -> int:
    return int(_reason(report).get("error_count") or 0)


def _reason(report: ThinEvent) -> dict[str, Any]:
    return dict(report.data.get("reason") or {})


def _instant(text: object, otherwise: datetime) -> datetime:
    if isinstance(text, datetime):
        return text
    return datetime.fromisoformat(text) if isinstance(text, str) else otherwise
