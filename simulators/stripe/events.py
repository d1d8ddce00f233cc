"""Events: written for every change, offered to the endpoints that want them, listed in both namespaces."""

from __future__ import annotations

import copy

from simulators.stripe.clock import read_rfc3339, rfc3339
from simulators.stripe.forms import as_int, as_list, as_mapping
from simulators.stripe.listing import matching, page, page_size
from simulators.stripe.refusals import Refused, invalid, missing
from simulators.stripe.routes import PAGING, Call, route
from simulators.stripe.store import Book, Obj, World, make_id

_KEPT_S = 30 * 24 * 3600
_SNAPSHOT_VERSION = "2026-10-28.endive"


def emit(world: World, book: Book, kind: str, record: Obj) -> Obj:
    """Write a snapshot event and offer it; destinations of thin events get its thin twin."""
    event: Obj = {
        "id": make_id("evt"), "object": "event", "api_version": _SNAPSHOT_VERSION,
        "created": world.clock.second(), "data": {"object": copy.deepcopy(record)},
        "livemode": book.livemode, "pending_webhooks": 0,
        "request": {"id": None, "idempotency_key": None}, "type": kind,
    }  # fmt: skip
    if book.connected:
        event["account"] = book.account
    book.events[event["id"]] = event
    for endpoint in [*book.tables["endpoints"].values(), *_destinations(book, "snapshot")]:
        if _wants(endpoint, kind):
            event["pending_webhooks"] += 1
            world.send(book, endpoint, event)
    if any(_wants(each, f"v1.{kind}") for each in _destinations(book, "thin")):
        emit_thin(world, book, f"v1.{kind}", record)
    return event


def emit_thin(world: World, book: Book, kind: str, related: Obj | None, *, data: Obj | None = None) -> Obj:
    """Write a thin event and push it, without its data, to the destinations that want it."""
    event: Obj = {
        "id": make_id("evt"), "object": "v2.core.event", "type": kind, "livemode": book.livemode,
        "created": rfc3339(world.clock.now()),
    }  # fmt: skip
    if book.connected:
        event["context"] = book.account
    if related is not None:
        event["related_object"] = {
            "id": related["id"], "type": related["object"], "url": _url_of(related)
        }  # fmt: skip
    pushed = dict(event)
    if data is not None:
        event["data"] = data
    book.thin_events[event["id"]] = event
    for destination in _destinations(book, "thin"):
        if _wants(destination, kind):
            world.send(book, destination, pushed)
    return event


def _destinations(book: Book, payload: str) -> list[Obj]:
    return [each for each in book.tables["destinations"].values() if each["event_payload"] == payload]


def _wants(endpoint: Obj, kind: str) -> bool:
    return endpoint["status"] == "enabled" and bool({"*", kind} & set(endpoint["enabled_events"]))


def _url_of(related: Obj) -> str:
    folders = {"billing.meter": "billing/meters", "checkout.session": "checkout/sessions"}
    return f"/v1/{folders.get(related['object'], related['object'] + 's')}/{related['id']}"


@route("GET", "/v1/events", permission="event_read", takes=f"{PAGING} created type types delivery_success")
def list_events(call: Call) -> Obj:
    """List the snapshot events of thirty days."""
    records = [each for each in call.book.events.values() if call.now - each["created"] < _KEPT_S]
    kinds = as_list(call.get("types"), "types")
    wanted = [each for each in matching(call, records, "type") if not kinds or each["type"] in kinds]
    return page(call, wanted[::-1])


@route("GET", "/v1/events/{id}", permission="event_read")
def retrieve_event(call: Call) -> Obj:
    """Show a snapshot event."""
    found = call.book.events.get(call.names["id"])
    if found is None or call.now - found["created"] >= _KEPT_S:
        raise missing("event", call.names["id"])
    return found


@route("GET", "/v2/core/events", permission="event_read", takes="limit page object_id types created")
def list_thin_events(call: Call) -> Obj:
    """List the thin events of thirty days, newest first."""
    records = [each for each in reversed(call.book.thin_events.values()) if _thin_wanted(call, each)]
    start = as_int(call.get("page", 0), "page")
    end = start + page_size(call)
    more = f"/v2/core/events?{_query(call)}page={end}" if len(records) > end else None
    return {"data": records[start:end], "next_page_url": more, "previous_page_url": None}


@route("GET", "/v2/core/events/{id}", permission="event_read")
def retrieve_thin_event(call: Call) -> Obj:
    """Show a thin event with its data."""
    found = call.book.thin_events.get(call.names["id"])
    if found is None or not _is_kept(call, found):
        raise Refused(404, f"Event {call.names['id']} not found.", code="not_found")
    return found


def _query(call: Call) -> str:
    kept = [f"types[{number}]={kind}&" for number, kind in enumerate(as_list(call.get("types"), "types"))]
    kept += [f"{name}={call.get(name)}&" for name in ("limit", "object_id") if call.get(name) is not None]
    bounds = as_mapping(call.get("created"), "created")
    kept += [f"created[{name}]={bound.replace('+', '%2B')}&" for name, bound in bounds.items()]
    return "".join(kept)


def _is_kept(call: Call, event: Obj) -> bool:
    return call.now - (read_rfc3339(event["created"]) or 0) < _KEPT_S


def _thin_wanted(call: Call, event: Obj) -> bool:
    kinds = as_list(call.get("types"), "types")
    if kinds and event["type"] not in kinds:
        return False
    about = call.get("object_id")
    if about is not None and event.get("related_object", {}).get("id") != about:
        return False
    created_s = read_rfc3339(event["created"]) or 0.0
    for name, text in as_mapping(call.get("created"), "created").items():
        bound_s = read_rfc3339(text)
        if bound_s is None or name not in {"gt", "gte", "lt", "lte"}:
            raise invalid(f"Invalid created[{name}]: {text}", param="created").unsaved()
        apart_s = created_s - bound_s if name.startswith("g") else bound_s - created_s
        if apart_s < 0 or (apart_s == 0 and not name.endswith("e")):
            return False
    return _is_kept(call, event)
