"""What a scraper reads about reconciliation: hours that differ, and invoices that bill something else."""

from __future__ import annotations

from django.db.models import Count, F, Min
from django.utils import timezone

from billing.models import PeriodInvoice, Push, ReconRow


def recon_figures() -> dict[str, float]:
    """Read the figures that the runbook's alerts about reconciliation watch; a surplus taken back differs no more."""
    rows = ReconRow.objects.filter(fix=None).exclude(state=ReconRow.State.OK).order_by()
    counts = dict(rows.values_list("state").annotate(rows=Count("id")))
    states = [state for state in ReconRow.State.values if state != ReconRow.State.OK]
    final = PeriodInvoice.objects.exclude(finalized_at=None)
    oldest = Push.objects.filter(state=Push.State.ACCEPTED).aggregate(at=Min("accepted_at"))["at"]
    return {
        **{f"farebox_recon_hours_{state}": float(counts.get(state, 0)) for state in states},
        "farebox_recon_hours_not_whole": float(rows.filter(why="not_whole").count()),
        "farebox_invoices_differing": float(final.exclude(quantity_units=F("pushed_units")).count()),
        "farebox_pushes_oldest_unproven_seconds": (timezone.now() - oldest).total_seconds()
        if oldest
        else 0.0,
    }
