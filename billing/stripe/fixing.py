"""Taking back what Stripe counted too much of an hour: a push of the difference, because a person asked for it."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from billing.models import BillingCursor, Push, ReconRow
from billing.pushing.arithmetic import VALUE_UNITS_MAX
from billing.pushing.releasing import own_target
from billing.pushing.stamping import HOUR, Bucket, closed_before
from billing.pushing.targets import Target
from billing.pushing.writing import NoMinuteFree, Portion, choose_stamp, period_units, write_push
from tenants.actions.recording import Actor, Trail
from tenants.errors import InvalidInput, WrongState

_SURPLUS = (ReconRow.State.EXCESS, ReconRow.State.FOREIGN)


def surplus_units(row: ReconRow) -> int | None:
    """How many units Stripe has beyond what we pushed into an hour; None where no push could take them back."""
    over = row.stripe_units - row.pushed_units
    if row.state not in _SURPLUS or row.fix_id is not None or over != over.to_integral_value() or over <= 0:
        return None
    return int(over)


@transaction.atomic
def fix_with_delta(row: ReconRow, *, units: int, actor: Actor, now: datetime) -> Push:
    """Push what takes an hour's surplus back, stamped in the period that is open; ``units`` as it was shown.

    Raises: WrongState when there is none or the period cannot bear it; InvalidInput when it is another number by now.
    """
    locked = ReconRow.objects.select_for_update(of=("self",)).select_related("tenant", "meter").get(pk=row.pk)
    surplus = surplus_units(locked)
    if surplus is None:
        raise WrongState(f"an hour that is {locked.state} has nothing that a push could take back")
    if units != surplus:
        raise InvalidInput("units", f"Stripe has {surplus} units too many by now, not {units}")
    target = _target(locked)
    cursor = BillingCursor.objects.select_for_update().filter(
        customer=locked.customer, line=locked.meter.line, currency=locked.meter.currency
    ).first()  # fmt: skip
    if cursor is None or surplus > VALUE_UNITS_MAX:
        raise WrongState("nothing of the customer was ever pushed to this meter")
    portion = Portion(
        bucket=Bucket(locked.hour, locked.hour + HOUR), charge_nanousd=0, amount_atto=0, row_count=0,
        recorded_from=None, recorded_until=None, is_stamped_now=True, late_from=locked.hour,
    )  # fmt: skip
    try:
        stamp = choose_stamp(target, portion, now=now, closed=_closed(target, now))
    except NoMinuteFree as error:
        raise WrongState("every minute of this hour has a push; try again in a minute") from error
    _refuse_below_zero(target, locked, stamp, surplus)
    push = write_push(target, cursor, portion=portion, stamp=stamp, value_units=-surplus)
    locked.fix = push
    locked.save(update_fields=["fix"])
    trail = Trail(locked.tenant, locked.mode, actor)
    after = {"hour": locked.hour.isoformat(), "units": -surplus, "push": push.identifier}
    trail.audit("recon_row.fix", locked, before={"stripe_units": str(locked.stripe_units)}, after=after)
    return push


def _target(row: ReconRow) -> Target:
    """Where the surplus lies: the hour's own meter, for whom its customer stands there now."""
    last = Push.objects.filter(customer=row.customer, target_id=row.meter_id).order_by("-stamp_at").first()
    target = own_target(last) if last is not None else None
    if target is None or target.held_why or target.meter is None or target.target_id != row.meter_id:
        raise WrongState("the customer is not mapped to this meter any more")
    return target


def _closed(target: Target, now: datetime) -> datetime | None:
    closed = closed_before(now, target.edges, target.closed_until)
    return max(target.period[0], closed or target.period[0]) if target.period else closed


def _refuse_below_zero(target: Target, row: ReconRow, stamp: datetime, surplus: int) -> None:
    """A period below zero bills zero, and what is below is lost. The surplus itself counts where it lies."""
    start, end = target.period or (None, None)
    is_same_period = (
        start is not None and end is not None and start <= row.hour < end and start <= stamp < end
    )
    there = period_units(target, stamp) + (surplus if is_same_period else 0)
    if there < surplus:
        raise WrongState(
            f"the open period has {there} units so far; taking {surplus} back would lose the rest: wait for usage"
        )
