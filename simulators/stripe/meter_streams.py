"""The stream: a session of fifteen minutes, then up to a hundred events a call, judged only later."""

from __future__ import annotations

from simulators.stripe.access import Key
from simulators.stripe.clock import read_rfc3339, rfc3339
from simulators.stripe.forms import as_list
from simulators.stripe.meter_events import TAKES
from simulators.stripe.refusals import Refused, invalid
from simulators.stripe.routes import Call, route
from simulators.stripe.store import Book, Obj, World, make_id
from simulators.stripe.usage import Report, accept, is_duplicate

_SESSION_S = 15 * 60
_EVENTS_MAX = 100


@route("POST", "/v2/billing/meter_event_session", permission="billing_meter_event_write")
def create_session(call: Call) -> Obj:
    """Hand out a token for the stream."""
    token, expires_s = make_id("token"), call.world.clock.now() + _SESSION_S
    call.world.sessions[token] = (call.book, expires_s)
    return {
        "id": make_id("mes"), "object": "v2.billing.meter_event_session", "authentication_token": token,
        "created": rfc3339(call.world.clock.now()), "expires_at": rfc3339(expires_s),
        "livemode": call.book.livemode,
    }  # fmt: skip


def session_of(world: World, header: str) -> tuple[Key, Book]:
    """Find the session of a stream request; refuse one that has ended."""
    token = header.partition(" ")[2].strip()
    found = world.sessions.get(token)
    if found is None:
        raise Refused(401, "Invalid authentication token.", code="unauthorized").unsaved()
    book, expires_s = found
    if world.clock.now() >= expires_s:
        message = "The billing meter event session has expired."
        code = "billing_meter_event_session_expired"
        refusal = Refused(401, message, kind="temporary_session_expired", code=code).unsaved()
        refusal.extra["doc_url"] = "https://docs.stripe.com/error-codes#billing-meter-event-session-expired"
        raise refusal
    return Key(token, book.account), book


@route("POST", "/v2/billing/meter_event_stream", permission="", takes="events")
def create_stream(call: Call) -> Obj:
    """Take events without judging them; a repeated identifier is dropped without a word."""
    events = as_list(call.need("events"), "events")
    if not 1 <= len(events) <= _EVENTS_MAX:
        raise invalid(f"A call takes 1 to {_EVENTS_MAX} events, not {len(events)}.", param="events").unsaved()
    reports = [_read(call, each) for each in events]
    for report in reports:
        if is_duplicate(call.world, call.book, report.identifier):
            call.book.duplicates += 1
        else:
            accept(call.world, call.book, report, code=call.reject_code)
    return {}


def _read(call: Call, event: object) -> Report:
    if not isinstance(event, dict) or not isinstance(event.get("payload"), dict) or "event_name" not in event:
        raise invalid("Every event has an event_name and a payload.", param="events").unsaved()
    unknown = set(event) - set(TAKES.split())
    if unknown:
        raise invalid(f"Received unknown parameter: {min(unknown)}", param="events").unsaved()
    at_s = call.world.clock.now() if "timestamp" not in event else read_rfc3339(str(event["timestamp"]))
    if at_s is None:
        raise invalid(f"Invalid timestamp: {event['timestamp']}", param="events").unsaved()
    return Report(event["event_name"], event["payload"], event.get("identifier"), int(at_s))
