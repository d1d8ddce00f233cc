"""What a scraper reads about pushing: how much stands where, and how long the oldest has waited."""

from __future__ import annotations

from django.db import connection
from django.db.models import Count, Min
from django.utils import timezone

from billing.models import Push, StripeConnection
from billing.pushing.stamping import hour_of

_OLDEST_UNSEALED = "SELECT min(at) FROM unsealed WHERE at < %s"


def push_figures() -> dict[str, float]:
    """Read the figures that the runbook's alerts about pushes watch."""
    now = timezone.now()
    counts = dict(Push.objects.values_list("state").annotate(rows=Count("id")))
    oldest = Push.objects.filter(state__in=[*Push.SENDABLE, Push.State.HELD]).aggregate(at=Min("bucket_end"))[
        "at"
    ]
    with connection.cursor() as cursor:
        cursor.execute(_OLDEST_UNSEALED, [hour_of(now)])
        (unsealed,) = cursor.fetchone()
    return {
        **{f"farebox_pushes_{state}": float(counts.get(state, 0)) for state in Push.State.values},
        "farebox_pushes_oldest_unpushed_seconds": (now - oldest).total_seconds() if oldest else 0.0,
        "farebox_unsealed_oldest_seconds": (now - unsealed).total_seconds() if unsealed else 0.0,
        "farebox_stripe_connections_broken": float(
            StripeConnection.objects.filter(status=StripeConnection.Status.BROKEN).count()
        ),
    }
