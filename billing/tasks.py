"""The books' periodic work: each task translates, the modules it calls decide. ``BEAT`` is the schedule."""

from __future__ import annotations

import logging
from collections import defaultdict
from dataclasses import asdict
from typing import Any

from celery import shared_task
from celery.schedules import crontab
from django.utils import timezone

from billing.dunning.tasks import BEAT as DUNNING_BEAT
from billing.incoming.tasks import BEAT as INCOMING_BEAT
from billing.ledger.drift import RecorderTooSlow, check_drift
from billing.ledger.feed import Feed
from billing.ledger.lag import read_lag
from billing.ledger.overruns import stop_overrun_models
from billing.ledger.partitions import ensure_months
from billing.ledger.queries import differences
from billing.ledger.trimming import trim_streams
from billing.prepaid.tasks import BEAT as PREPAID_BEAT
from billing.pushing.tasks import BEAT as PUSHING_BEAT
from billing.stripe.tasks import BEAT as STRIPE_BEAT
from enforcement.errors import EnforcementUnavailable
from enforcement.keys import Mode, Scope
from enforcement.sweeper import Sweeper
from metering.ids import SHARDS
from metering.windows import window_at
from tenants.models import Budget
from tenants.projection import budget_ref, milliseconds
from tenants.publishing import shared_control

log = logging.getLogger(__name__)

BUDGETS_PER_CHECK_MAX = 200

# A tick that finds the worker busy is dropped, not owed: the next one does its work.
BEAT: dict[str, dict[str, Any]] = {
    "billing.sweep": {"task": "billing.sweep", "schedule": 2.0, "options": {"expires": 2}},
    "billing.lag": {"task": "billing.lag", "schedule": 30.0, "options": {"expires": 30}},
    "billing.overruns": {"task": "billing.overruns", "schedule": 5.0, "options": {"expires": 5}},
    "billing.trim": {"task": "billing.trim", "schedule": 60.0, "options": {"expires": 60}},
    "billing.drift": {"task": "billing.drift", "schedule": 600.0, "options": {"expires": 600}},
    "billing.months": {
        "task": "billing.months",
        "schedule": crontab(minute=10, hour=0),
        "options": {"expires": 3600},
    },
    "billing.verify": {
        "task": "billing.verify",
        "schedule": crontab(minute=40, hour=3),
        "options": {"expires": 3600},
    },
    **PUSHING_BEAT,
    **STRIPE_BEAT,
    **INCOMING_BEAT,
    **PREPAID_BEAT,
    **DUNNING_BEAT,
}


@shared_task(name="billing.sweep", soft_time_limit=20, time_limit=30)
def sweep() -> None:
    """End the holds whose deadline has passed, at most a hundred per shard and tick."""
    try:
        report = Sweeper(shared_control().client).sweep(range(SHARDS))
    except EnforcementUnavailable as error:
        log.warning("sweep.redis_away", extra={"why": str(error)})
        return
    if report.overdue:
        log.info("sweep.done", extra=asdict(report))


@shared_task(name="billing.lag")
def lag() -> None:
    """Say how far the ledger is behind and what could not be booked."""
    figures = read_lag(_feed(), range(SHARDS))
    log.info("ledger.lag", extra=asdict(figures))


@shared_task(name="billing.overruns")
def overruns() -> None:
    """Stop the models that cost more than their quotes more often than their tenants allow."""
    stop_overrun_models()


@shared_task(name="billing.trim")
def trim() -> None:
    """Cut recorded entries older than the safety span from the streams."""
    trimmed = trim_streams(_feed())
    if trimmed:
        log.info("streams.trimmed", extra={"entries": trimmed})


@shared_task(name="billing.months")
def months() -> None:
    """Make the ledger's next months ahead of need."""
    made = ensure_months(timezone.now().date())
    if made:
        log.info("ledger.months_made", extra={"months": [month.isoformat() for month in made]})


@shared_task(name="billing.drift")
def drift() -> None:
    """Compare every active budget with its rows. Differences are reported, never mended in silence."""
    by_scope: defaultdict[Scope, list[Budget]] = defaultdict(list)
    for budget in Budget.objects.filter(archived_at=None).iterator():
        by_scope[Scope(budget.tenant_id, _mode(budget.mode))].append(budget)
    for scope, budgets in by_scope.items():
        for start in range(0, len(budgets), BUDGETS_PER_CHECK_MAX):
            _check(scope, budgets[start : start + BUDGETS_PER_CHECK_MAX])


@shared_task(name="billing.verify", soft_time_limit=1800, time_limit=1860)
def verify() -> None:
    """Compare rollups and budget windows with the rows they were made from."""
    found = differences()
    log.log(
        logging.ERROR if found else logging.INFO,
        "ledger.verified",
        extra={"differences": [str(row) for row in found]},
    )


def _check(scope: Scope, budgets: list[Budget]) -> None:
    try:
        reports = check_drift(
            shared_control(),
            _feed(),
            scope=scope,
            budget_ids=[budget.pk for budget in budgets],
            left_out={_first_window(budget) for budget in budgets if budget.count_so_far},
        )
    except (EnforcementUnavailable, RecorderTooSlow) as error:
        log.warning(
            "drift.unknown", extra={"tenant_id": scope.tenant_id, "mode": scope.mode, "why": str(error)}
        )
        return
    for report in reports:
        log.error(
            "drift.found",
            extra={
                "tenant_id": scope.tenant_id,
                "mode": scope.mode,
                "budget_id": report.budget_id,
                "window_id": report.window_id,
                "drift_nanousd": report.drift_nanousd,
            },
        )


def _first_window(budget: Budget) -> tuple[str, str]:
    return budget.pk, window_at(budget_ref(budget).window, milliseconds(budget.created_at)).window_id


def _feed() -> Feed:
    return Feed(shared_control().client)


def _mode(text: str) -> Mode:
    return "live" if text == "live" else "test"
