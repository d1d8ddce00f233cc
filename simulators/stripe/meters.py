"""Meters and the sums of what was counted on them."""

from __future__ import annotations

from decimal import Decimal

from simulators.stripe.events import emit
from simulators.stripe.forms import as_int, as_mapping
from simulators.stripe.listing import matching, page
from simulators.stripe.refusals import Refused, invalid
from simulators.stripe.routes import PAGING, Call, route
from simulators.stripe.store import Book, Obj, Usage, make_id

_WINDOWS_S = {"hour": 3600, "day": 86_400}
_PATH = "/v1/billing/meters"
_NEW = "display_name event_name default_aggregation customer_mapping value_settings event_time_window"
_NAME_CHARS_MAX = 100
_DISPLAY_CHARS_MAX = 250


@route("POST", _PATH, permission="billing_meter_write", takes=_NEW)
def create_meter(call: Call) -> Obj:
    """Create a meter; the event name is unique among the account's meters, inactive ones included."""
    name, display = str(call.need("event_name")), str(call.need("display_name"))
    for param, text, chars_max in (
        ("event_name", name, _NAME_CHARS_MAX),
        ("display_name", display, _DISPLAY_CHARS_MAX),
    ):
        if len(text) > chars_max:
            raise invalid(f"Invalid string: must be at most {chars_max} characters", param=param).unsaved()
    formula = as_mapping(call.need("default_aggregation"), "default_aggregation").get("formula")
    if formula not in {"sum", "count", "last"}:
        raise invalid(f"Invalid formula: {formula}", param="default_aggregation[formula]").unsaved()
    if any(each["event_name"] == name for each in call.book.tables["meters"].values()):
        message = f"A meter with the event name '{name}' already exists."
        raise invalid(message, param="event_name", code="resource_already_exists")
    mapping = as_mapping(call.get("customer_mapping"), "customer_mapping")
    value = as_mapping(call.get("value_settings"), "value_settings")
    meter = {
        "id": make_id("mtr"), "object": "billing.meter", "created": call.now,
        "customer_mapping": {
            "event_payload_key": mapping.get("event_payload_key", "stripe_customer_id"),
            "type": mapping.get("type", "by_id"),
        },
        "default_aggregation": {"formula": formula}, "display_name": display, "event_name": name,
        "event_time_window": call.get("event_time_window"), "livemode": call.book.livemode,
        "status": "active", "status_transitions": {"deactivated_at": None}, "updated": call.now,
        "value_settings": {"event_payload_key": value.get("event_payload_key", "value")},
    }  # fmt: skip
    emit(call.world, call.book, "billing.meter.created", meter)
    return call.book.put("meters", meter)


@route("GET", _PATH, permission="billing_meter_read", takes=f"{PAGING} status")
def list_meters(call: Call) -> Obj:
    """List the meters."""
    return page(call, matching(call, call.book.all("meters"), "status"))


@route("GET", _PATH + "/{id}", permission="billing_meter_read")
def retrieve_meter(call: Call) -> Obj:
    """Show a meter."""
    return call.book.find("meters", call.names["id"])


@route("POST", _PATH + "/{id}", permission="billing_meter_write", takes="display_name")
def update_meter(call: Call) -> Obj:
    """Change a meter's display name, the only thing about it that changes."""
    meter = call.book.find("meters", call.names["id"])
    meter["display_name"] = call.get("display_name", meter["display_name"])
    meter["updated"] = call.now
    emit(call.world, call.book, "billing.meter.updated", meter)
    return meter


@route("POST", _PATH + "/{id}/deactivate", permission="billing_meter_write")
def deactivate_meter(call: Call) -> Obj:
    """Stop taking events."""
    return _switch(call, "inactive", "deactivated")


@route("POST", _PATH + "/{id}/reactivate", permission="billing_meter_write")
def reactivate_meter(call: Call) -> Obj:
    """Take events again."""
    return _switch(call, "active", "reactivated")


def _switch(call: Call, status: str, verb: str) -> Obj:
    meter = call.book.find("meters", call.names["id"])
    if meter["status"] == status:
        raise invalid(f"The meter is already {status}.")
    meter["status"], meter["updated"] = status, call.now
    meter["status_transitions"] = {"deactivated_at": call.now if status == "inactive" else None}
    emit(call.world, call.book, f"billing.meter.{verb}", meter)
    return meter


def meter_of(book: Book, event_name: str) -> Obj | None:
    """Find the meter of an event name, active or not."""
    return next((each for each in book.tables["meters"].values() if each["event_name"] == event_name), None)


def total_of(meter: Obj, usage: list[Usage]) -> Decimal:
    """Aggregate counted events by the meter's formula; with a time window only the last received counts."""
    kept = sorted(usage, key=lambda each: each.seq)
    window_s = _WINDOWS_S.get(meter["event_time_window"] or "")
    if window_s is not None:
        kept = list({each.timestamp_s // window_s: each for each in kept}.values())
    match meter["default_aggregation"]["formula"]:
        case "count":
            return Decimal(len(kept))
        case "last":
            latest = max(kept, key=lambda each: (each.timestamp_s, each.seq), default=None)
            return Decimal(0) if latest is None else latest.value or Decimal(0)
        case _:
            return sum((each.value or Decimal(0) for each in kept), Decimal(0))


def counted(book: Book, meter: Obj, customer: str, *, span_s: tuple[int, int]) -> list[Usage]:
    """List a customer's counted events with timestamps in a half-open span."""
    start_s, end_s = span_s
    return [
        each
        for each in book.by_pair.get((meter["id"], customer), [])
        if each.state == "counted" and start_s <= each.timestamp_s < end_s
    ]


_SUMMARY = f"{PAGING} customer start_time end_time value_grouping_window"


@route("GET", _PATH + "/{id}/event_summaries", permission="billing_meter_read", takes=_SUMMARY)
def list_summaries(call: Call) -> Obj:
    """Sum a customer's events: one figure for the span, or one for each hour or day that has any."""
    meter = call.book.find("meters", call.names["id"])
    customer = str(call.need("customer"))
    start_s, end_s = as_int(call.need("start_time"), "start_time"), as_int(call.need("end_time"), "end_time")
    grouping = call.get("value_grouping_window")
    if grouping is not None and grouping not in _WINDOWS_S:
        raise invalid(f"Invalid value_grouping_window: {grouping}", param="value_grouping_window").unsaved()
    step_s = _WINDOWS_S.get(grouping or "", 60)
    _refuse_unaligned(start_s, end_s, step_s)
    if customer not in call.book.tables["customers"]:
        raise Refused(400, f"No such customer: '{customer}'", param="customer", code="resource_missing")
    visible_s = call.world.clock.now() - call.world.knobs.summary_lag_s
    usage = [
        each
        for each in counted(call.book, meter, customer, span_s=(start_s, end_s))
        if each.received_s <= visible_s
    ]
    if grouping is None:
        return page(call, [_summary(call, meter, usage, span_s=(start_s, end_s))])
    spans = sorted({each.timestamp_s // step_s * step_s for each in usage}, reverse=True)
    groups = {
        begin_s: [each for each in usage if each.timestamp_s // step_s * step_s == begin_s]
        for begin_s in spans
    }
    rows = [_summary(call, meter, group, span_s=(begin, begin + step_s)) for begin, group in groups.items()]
    return page(call, rows)


def _refuse_unaligned(start_s: int, end_s: int, step_s: int) -> None:
    unit = {60: "minute", 3600: "hour", 86_400: "UTC day"}[step_s]
    for name, at_s in (("start_time", start_s), ("end_time", end_s)):
        if at_s % step_s:
            raise invalid(f"The {name} must be aligned with {unit} boundaries.", param=name)
    if end_s <= start_s:
        raise invalid("The end_time must be after the start_time.", param="end_time")


def _summary(call: Call, meter: Obj, usage: list[Usage], *, span_s: tuple[int, int]) -> Obj:
    total = total_of(meter, usage)
    # Stripe keeps doubles: what no double holds comes back rounded.
    told = float(total)
    return {
        "id": f"mtrusg_{meter['id'][4:12]}{span_s[0]}x{span_s[1]}", "object": "billing.meter_event_summary",
        "aggregated_value": int(told) if told.is_integer() else told, "start_time": span_s[0],
        "end_time": span_s[1], "livemode": call.book.livemode, "meter": meter["id"],
    }  # fmt: skip
