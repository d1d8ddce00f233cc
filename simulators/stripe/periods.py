"""Billing periods: where a subscription's anchor puts their edges."""

from __future__ import annotations

import calendar
from datetime import UTC, datetime, timedelta

from simulators.stripe.forms import as_int
from simulators.stripe.refusals import invalid
from simulators.stripe.store import Obj


def edge(anchor_s: int, recurring: Obj, number: int) -> int:
    """Tell the anchor moved by a number of periods; a month too short for the day ends on its last."""
    anchor = datetime.fromtimestamp(anchor_s, UTC)
    steps = number * int(recurring["interval_count"])
    match recurring["interval"]:
        case "day":
            return int((anchor + timedelta(days=steps)).timestamp())
        case "week":
            return int((anchor + timedelta(weeks=steps)).timestamp())
        case "year":
            return _add_months(anchor, 12 * steps)
        case _:
            return _add_months(anchor, steps)


def period_after(anchor_s: int, recurring: Obj, at_s: int) -> int:
    """Tell the first edge after an instant."""
    number = 0
    if anchor_s > at_s:
        # An anchor in the future may be several periods away.
        while edge(anchor_s, recurring, number - 1) > at_s:
            number -= 1
        return edge(anchor_s, recurring, number)
    while edge(anchor_s, recurring, number) <= at_s:
        number += 1
    return edge(anchor_s, recurring, number)


def anchor_from(config: Obj, now_s: int) -> int:
    """Tell the next instant that an anchor configuration names, in UTC."""
    now = datetime.fromtimestamp(now_s, UTC)
    parts = {
        name: as_int(config[name], f"billing_cycle_anchor_config[{name}]")
        for name in ("day_of_month", "month", "hour", "minute", "second")
        if config.get(name) is not None
    }
    if not 1 <= parts.get("day_of_month", 0) <= 31:
        message = "Missing or invalid billing_cycle_anchor_config[day_of_month]."
        raise invalid(message, param="billing_cycle_anchor_config[day_of_month]").unsaved()
    moment = now.replace(
        day=1, microsecond=0, hour=parts.get("hour", now.hour),
        minute=parts.get("minute", now.minute), second=parts.get("second", now.second),
    )  # fmt: skip
    for ahead in range(14):
        start = datetime.fromtimestamp(_add_months(moment, ahead), UTC)
        if parts.get("month", start.month) != start.month:
            continue
        days = calendar.monthrange(start.year, start.month)[1]
        found = start.replace(day=min(parts["day_of_month"], days))
        if found.timestamp() >= now_s:
            return int(found.timestamp())
    raise invalid("Invalid billing_cycle_anchor_config.", param="billing_cycle_anchor_config").unsaved()


def _add_months(moment: datetime, months: int) -> int:
    total = moment.year * 12 + moment.month - 1 + months
    year, month = total // 12, total % 12 + 1
    day = min(moment.day, calendar.monthrange(year, month)[1])
    return int(moment.replace(year=year, month=month, day=day).timestamp())
