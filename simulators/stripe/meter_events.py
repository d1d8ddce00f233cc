"""Meter events one at a time, v1 and v2, and their cancelling."""

from __future__ import annotations

from typing import Final

from simulators.stripe.clock import read_rfc3339, rfc3339
from simulators.stripe.forms import as_int, as_mapping
from simulators.stripe.meters import meter_of
from simulators.stripe.refusals import Refused, invalid, missing, rate_limited
from simulators.stripe.routes import Call, route
from simulators.stripe.store import Obj, Usage, make_id
from simulators.stripe.usage import (
    PAST_S_MAX,
    Report,
    accept,
    customer_exists,
    find_fault,
    is_duplicate,
    message_of,
)

TAKES: Final = "event_name payload identifier timestamp"
_CHARS_MAX = 100
_CANCEL_S_MAX = 24 * 3600
_CODES_V2: Final = {
    "meter_event_no_customer_defined": "payload_no_customer_defined",
    "meter_event_value_not_found": "payload_no_value_defined",
    "meter_event_invalid_value": "payload_invalid_value",
    "meter_event_value_too_many_digits": "payload_invalid_value",
}
_TIMESTAMP_FAULTS = frozenset({"timestamp_in_future", "timestamp_too_far_in_past"})


@route("POST", "/v1/billing/meter_events", permission="billing_meter_event_write", takes=TAKES)
def create_event(call: Call) -> Obj:
    """Take one event as a form; a repeated identifier is an error without a code."""
    stamp = call.get("timestamp")
    timestamp_s = call.now if stamp is None else as_int(stamp, "timestamp")
    report = _read_report(call, timestamp_s)
    _lock(call, report)
    fault = find_fault(call.book, report, received_s=call.world.clock.now())
    if fault:
        raise _refuse_v1(call, report, fault)
    if is_duplicate(call.world, call.book, report.identifier):
        call.book.duplicates += 1
        refusal = invalid(f"An event already exists with identifier {report.identifier}.")
        raise refusal.with_headers(Stripe_Should_Retry="false")
    _refuse_unknown_customer(call, report)
    usage = accept(call.world, call.book, report, code=call.reject_code)
    return _describe(call, usage) | {
        "object": "billing.meter_event", "created": call.now, "timestamp": usage.timestamp_s,
    }  # fmt: skip


@route("POST", "/v2/billing/meter_events", permission="billing_meter_event_write", takes=TAKES)
def create_event_v2(call: Call) -> Obj:
    """Take one event as JSON; what is wrong with it has a code."""
    report = _read_report(call, _read_instant(call, call.get("timestamp")))
    _lock(call, report)
    fault = find_fault(call.book, report, received_s=call.world.clock.now())
    later = fault in _TIMESTAMP_FAULTS and call.world.knobs.v2_timestamp == "async"
    if fault and not later:
        raise Refused(400, message_of(fault), code=_CODES_V2.get(fault, fault))
    if is_duplicate(call.world, call.book, report.identifier):
        call.book.duplicates += 1
        message = f"An event already exists with identifier {report.identifier}."
        raise Refused(400, message, code="duplicate_meter_event")
    _refuse_unknown_customer(call, report)
    usage = accept(call.world, call.book, report, code=call.reject_code)
    return _describe(call, usage) | {
        "object": "v2.billing.meter_event", "created": rfc3339(call.world.clock.now()),
        "timestamp": rfc3339(usage.timestamp_s),
    }  # fmt: skip


def _read_report(call: Call, timestamp_s: int) -> Report:
    name, identifier = str(call.need("event_name")), call.get("identifier")
    payload = as_mapping(call.need("payload"), "payload")
    texts = {"event_name": name, "identifier": str(identifier or "")}
    texts |= {f"payload[{key}]": str(value) for key, value in payload.items()}
    for param, text in texts.items():
        if len(text) > _CHARS_MAX:
            message = f"Invalid string: {text[:20]}…; must be at most {_CHARS_MAX} characters"
            raise invalid(message, param=param).unsaved()
    if not all(isinstance(value, str) for value in payload.values()):
        raise invalid("Invalid payload: every value must be a string.", param="payload").unsaved()
    return Report(name, payload, identifier, timestamp_s, call.idempotency_key)


def _read_instant(call: Call, text: object) -> int:
    if text is None:
        return call.now
    at_s = read_rfc3339(text) if isinstance(text, str) else None
    if at_s is None:
        raise invalid(f"Invalid timestamp: {text}", param="timestamp").unsaved()
    return int(at_s)


def _lock(call: Call, report: Report) -> None:
    """Hold the customer on the meter until the answer is out; one call at a time may."""
    meter = meter_of(call.book, report.event_name)
    if meter is None or not call.world.knobs.one_call_per_customer_meter:
        return
    customer = str(report.payload.get(meter["customer_mapping"]["event_payload_key"], ""))
    lock = (call.book.account, call.book.livemode, meter["id"], customer)
    if lock in call.world.busy:
        refusal = rate_limited("resource-specific")
        if call.v2:
            refusal.code = "too_many_concurrent_requests"
        raise refusal
    call.world.busy.add(lock)
    call.locks.append(lock)


def _refuse_v1(call: Call, report: Report, fault: str) -> Refused:
    match fault:
        case "no_meter" | "archived_meter":
            message = f'No active meter found for event name "{report.event_name}".'
            return invalid(message, param="event_name")
        case "timestamp_too_far_in_past":
            oldest_s = call.now - PAST_S_MAX
            message = f"{message_of(fault)} Expected a timestamp greater than or equal to {oldest_s}."
            return invalid(message, param="timestamp")
        case "timestamp_in_future":
            return invalid(message_of(fault), param="timestamp")
        case _:
            return invalid(message_of(fault), param="payload")


def _refuse_unknown_customer(call: Call, report: Report) -> None:
    meter = meter_of(call.book, report.event_name)
    if meter is None or call.world.knobs.unknown_customer != "sync":
        return
    name = str(report.payload.get(meter["customer_mapping"]["event_payload_key"]))
    if not customer_exists(call.book, name):
        raise missing("customer", name, param="payload")


def _describe(call: Call, usage: Usage) -> Obj:
    return {
        "event_name": usage.event_name, "identifier": usage.identifier, "livemode": call.book.livemode,
        "payload": usage.payload,
    }  # fmt: skip


@route(
    "POST", "/v1/billing/meter_event_adjustments",
    permission="billing_meter_event_write", takes="type event_name cancel",
)  # fmt: skip
def create_adjustment(call: Call) -> Obj:
    """Cancel an event that came in within a day."""
    told = _cancel(call)
    return told | {"object": "billing.meter_event_adjustment"}


@route(
    "POST", "/v2/billing/meter_event_adjustments",
    permission="billing_meter_event_write", takes="type event_name cancel",
)  # fmt: skip
def create_adjustment_v2(call: Call) -> Obj:
    """Cancel an event that came in within a day."""
    told = _cancel(call)
    made = {"id": make_id("mtr_event_adj"), "created": rfc3339(call.world.clock.now())}
    return told | made | {"object": "v2.billing.meter_event_adjustment"}


def _cancel(call: Call) -> Obj:
    if call.need("type") != "cancel":
        raise invalid(f"Invalid type: {call.get('type')}", param="type").unsaved()
    name = str(call.need("event_name"))
    identifier = as_mapping(call.need("cancel"), "cancel").get("identifier")
    usage = call.book.by_identifier.get(str(identifier))
    code = "invalid_cancel_configuration" if call.v2 else None
    if usage is None or usage.event_name != name:
        message = f"No meter event with identifier {identifier} was found."
        raise invalid(message, param="cancel[identifier]", code=code)
    if call.world.clock.now() - usage.received_s > _CANCEL_S_MAX:
        message = "Meter events can only be cancelled within 24 hours of being received."
        raise invalid(message, param="cancel[identifier]", code=code)
    usage.state = "cancelled"
    return {
        "cancel": {"identifier": identifier}, "event_name": name, "livemode": call.book.livemode,
        "status": "pending", "type": "cancel",
    }  # fmt: skip
