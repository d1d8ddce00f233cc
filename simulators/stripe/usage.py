"""What a meter event must be, at once and later: the same rules, told in three ways."""

from __future__ import annotations

import re
import uuid
from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from simulators.stripe.clock import rfc3339
from simulators.stripe.events import emit_thin
from simulators.stripe.meters import meter_of
from simulators.stripe.store import Book, Obj, Usage, World

PAST_S_MAX: Final = 35 * 24 * 3600
FUTURE_S_MAX: Final = 300
_DIGITS_MAX = 15
_NUMBER = re.compile(r"^-?\d+(\.\d+)?$")
_MESSAGES: Final = {
    "archived_meter": "The meter for this event name is archived.",
    "meter_event_customer_not_found": "The customer in the event payload was not found.",
    "meter_event_invalid_value": "The value in the event payload is not a valid number.",
    "meter_event_no_customer_defined": "The event payload has no customer.",
    "meter_event_value_not_found": "The event payload has no value.",
    "meter_event_value_too_many_digits": "The value in the event payload has more than 15 significant digits.",
    "no_meter": "No meter exists for this event name.",
    "timestamp_in_future": "The event timestamp cannot be more than 5 minutes in the future.",
    "timestamp_too_far_in_past": "The event timestamp cannot be more than 35 days in past.",
}


@dataclass(frozen=True, slots=True)
class Report:
    """A meter event as its sender wrote it."""

    event_name: str
    payload: dict[str, Any]
    identifier: str | None
    timestamp_s: int
    idempotency_key: str | None = None


def find_fault(book: Book, report: Report, *, received_s: float) -> str:
    """Name what is wrong with an event, or return an empty text; customers are looked up elsewhere."""
    meter = meter_of(book, report.event_name)
    if meter is None:
        return "no_meter"
    if meter["status"] != "active":
        return "archived_meter"
    if not report.payload.get(meter["customer_mapping"]["event_payload_key"]):
        return "meter_event_no_customer_defined"
    fault = _value_fault(meter, report.payload)
    return fault or timestamp_fault(report.timestamp_s, now_s=received_s)


def timestamp_fault(timestamp_s: int, *, now_s: float) -> str:
    """Name what is wrong with a timestamp, or return an empty text."""
    if timestamp_s < int(now_s) - PAST_S_MAX:
        return "timestamp_too_far_in_past"
    return "timestamp_in_future" if timestamp_s > now_s + FUTURE_S_MAX else ""


def message_of(code: str) -> str:
    """Say a fault in words."""
    return _MESSAGES.get(code, "The event could not be processed.")


def customer_exists(book: Book, name: str) -> bool:
    """Say whether a customer is there and not deleted."""
    found = book.tables["customers"].get(name)
    return found is not None and not found.get("deleted")


def is_duplicate(world: World, book: Book, identifier: str | None) -> bool:
    """Say whether an identifier was accepted within the window that Stripe remembers."""
    seen_s = book.identifiers.get(identifier or "")
    return seen_s is not None and world.clock.now() - seen_s < world.knobs.dedup_window_s


def accept(world: World, book: Book, report: Report, *, code: str = "") -> Usage:
    """Take an event in; it counts once it is validated."""
    meter = meter_of(book, report.event_name)
    keys = ("stripe_customer_id", "value")
    if meter is not None:
        keys = (meter["customer_mapping"]["event_payload_key"], meter["value_settings"]["event_payload_key"])
    text = str(report.payload.get(keys[1], ""))
    usage = Usage(
        event_name=report.event_name,
        customer=str(report.payload.get(keys[0], "")),
        identifier=report.identifier or str(uuid.uuid4()),
        value=Decimal(text) if _NUMBER.match(text) else None,
        timestamp_s=report.timestamp_s,
        received_s=world.clock.now(),
        seq=world.take_seq(),
        payload={name: str(value) for name, value in report.payload.items()},
        idempotency_key=report.idempotency_key,
        meter=meter["id"] if meter is not None else None,
        code=code,
    )
    book.usage.append(usage)
    book.pending.append(usage)
    book.identifiers[usage.identifier] = usage.received_s
    book.by_identifier[usage.identifier] = usage
    if usage.meter is not None:
        book.by_pair[(usage.meter, usage.customer)].append(usage)
    world.clock.at(usage.received_s + world.knobs.validation_delay_s, lambda: validate(world, book))
    return usage


def validate(world: World, book: Book) -> None:
    """Count or reject what has waited long enough, and report the rejected: one report for each meter."""
    ready_s = world.clock.now() - world.knobs.validation_delay_s
    ready = [each for each in book.pending if each.received_s <= ready_s]
    if not ready:
        return
    book.pending = [each for each in book.pending if each.received_s > ready_s]
    rejected: dict[str | None, list[Usage]] = defaultdict(list)
    for usage in ready:
        if usage.state == "pending" and _settle(world, book, usage):
            rejected[usage.meter].append(usage)
    for meter, failures in rejected.items():
        _report(world, book, meter, failures)


def _settle(world: World, book: Book, usage: Usage) -> bool:
    report = Report(usage.event_name, usage.payload, usage.identifier, usage.timestamp_s)
    usage.code = usage.code or find_fault(book, report, received_s=usage.received_s)
    if not usage.code and not customer_exists(book, usage.customer):
        usage.code = "meter_event_customer_not_found"
    usage.state = "rejected" if usage.code else "counted"
    usage.counted_s = 0.0 if usage.code else world.clock.now()
    return bool(usage.code)


def _report(world: World, book: Book, meter_id: str | None, failures: list[Usage]) -> None:
    by_code: dict[str, list[Usage]] = defaultdict(list)
    for each in failures:
        by_code[each.code].append(each)
    samples_max = world.knobs.error_samples_max
    data = {
        "developer_message_summary": f"There were {len(failures)} invalid events.",
        "reason": {
            "error_count": len(failures),
            "error_types": [
                {
                    "code": code,
                    "error_count": len(each),
                    "sample_errors": [_sample(usage) for usage in each[:samples_max]],
                }
                for code, each in by_code.items()
            ],
        },
        "validation_start": rfc3339(min(each.received_s for each in failures)),
        "validation_end": rfc3339(world.clock.now()),
    }
    meter = book.tables["meters"].get(meter_id or "")
    kind = "v1.billing.meter.no_meter_found" if meter is None else "v1.billing.meter.error_report_triggered"
    emit_thin(world, book, kind, meter, data=data)


def _sample(usage: Usage) -> Obj:
    # Documented as the request's idempotency key; the event's identifier stands in where there was none.
    named = usage.idempotency_key or usage.identifier
    return {"error_message": message_of(usage.code), "request": {"identifier": named}}


def _value_fault(meter: Obj, payload: dict[str, Any]) -> str:
    if meter["default_aggregation"]["formula"] == "count":
        return ""
    text = payload.get(meter["value_settings"]["event_payload_key"])
    if text in (None, ""):
        return "meter_event_value_not_found"
    if not isinstance(text, str) or not _NUMBER.match(text):
        return "meter_event_invalid_value"
    digits = text.lstrip("-").replace(".", "").lstrip("0")
    return "meter_event_value_too_many_digits" if len(digits) > _DIGITS_MAX else ""
