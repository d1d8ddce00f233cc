"""Where events are sent: webhook endpoints, and v2's event destinations."""

from __future__ import annotations

import secrets

from simulators.stripe.clock import rfc3339
from simulators.stripe.events import emit_thin
from simulators.stripe.forms import as_bool, as_list, as_mapping
from simulators.stripe.listing import page, page_size
from simulators.stripe.metadata import merge_metadata
from simulators.stripe.refusals import Refused, invalid
from simulators.stripe.routes import PAGING, Call, route
from simulators.stripe.store import Book, Obj, make_id

_PATH = "/v1/webhook_endpoints"
_DESTINATIONS = "/v2/core/event_destinations"
_ENDPOINTS_MAX = 16
_PERMISSION = "webhook_write"


@route(
    "POST", _PATH, permission=_PERMISSION, takes="api_version connect description enabled_events metadata url"
)
def create_endpoint(call: Call) -> Obj:
    """Register an endpoint; its secret is told this once."""
    if len(call.book.tables["endpoints"]) >= _ENDPOINTS_MAX:
        raise invalid(f"You have reached the maximum of {_ENDPOINTS_MAX} test webhook endpoints.")
    kinds = as_list(call.need("enabled_events"), "enabled_events")
    endpoint: Obj = {
        "id": make_id("we"), "object": "webhook_endpoint", "api_version": call.get("api_version"),
        "application": None, "created": call.now, "description": call.get("description"),
        "enabled_events": kinds, "livemode": call.book.livemode, "metadata": merge_metadata(call),
        "status": "enabled", "url": _read_url(call, call.need("url")),
    }  # fmt: skip
    call.book.put("endpoints", endpoint)
    return endpoint | {"secret": new_secret(call.book, endpoint["id"])}


def new_secret(book: Book, name: str, *, keep_old: bool = False) -> str:
    """Give an endpoint a signing secret; a rolled one's predecessor may go on signing."""
    secret = f"whsec_{secrets.token_hex(16)}"
    book.secrets[name] = [secret, *(book.secrets.get(name, []) if keep_old else [])]
    return secret


@route("GET", _PATH, permission="webhook_read", takes=PAGING)
def list_endpoints(call: Call) -> Obj:
    """List the endpoints."""
    return page(call, call.book.all("endpoints"))


@route("GET", _PATH + "/{id}", permission="webhook_read")
def retrieve_endpoint(call: Call) -> Obj:
    """Show an endpoint."""
    return call.book.find("endpoints", call.names["id"])


@route(
    "POST", _PATH + "/{id}", permission=_PERMISSION, takes="description disabled enabled_events metadata url"
)
def update_endpoint(call: Call) -> Obj:
    """Change an endpoint."""
    endpoint = call.book.find("endpoints", call.names["id"])
    endpoint["metadata"] = merge_metadata(call, endpoint["metadata"])
    if call.get("url") is not None:
        endpoint["url"] = _read_url(call, call.get("url"))
    if call.get("enabled_events") is not None:
        endpoint["enabled_events"] = as_list(call.get("enabled_events"), "enabled_events")
    if call.get("disabled") is not None:
        endpoint["status"] = "disabled" if as_bool(call.get("disabled"), "disabled") else "enabled"
    return endpoint


@route("DELETE", _PATH + "/{id}", permission=_PERMISSION)
def delete_endpoint(call: Call) -> Obj:
    """Remove an endpoint."""
    endpoint = call.book.find("endpoints", call.names["id"])
    del call.book.tables["endpoints"][endpoint["id"]]
    endpoint["status"] = "disabled"
    return {"id": endpoint["id"], "object": "webhook_endpoint", "deleted": True}


@route(
    "POST", _DESTINATIONS, permission=_PERMISSION,
    takes="description enabled_events event_payload events_from include metadata name snapshot_api_version "
    "type webhook_endpoint",
)  # fmt: skip
def create_destination(call: Call) -> Obj:
    """Register a destination for thin or snapshot events."""
    if call.need("type") != "webhook_endpoint":
        raise invalid("The simulator only sends to webhook endpoints.", param="type").unsaved()
    url = _read_url(call, as_mapping(call.get("webhook_endpoint"), "webhook_endpoint").get("url"))
    now = rfc3339(call.world.clock.now())
    destination: Obj = {
        "id": make_id("ed"), "object": "v2.core.event_destination", "created": now, "updated": now,
        "description": call.get("description", ""), "enabled_events": call.need("enabled_events"),
        "event_payload": call.need("event_payload"), "events_from": call.get("events_from", ["@self"]),
        "livemode": call.book.livemode, "metadata": call.get("metadata", {}), "name": call.need("name"),
        "status": "enabled", "type": "webhook_endpoint", "url": url,
    }  # fmt: skip
    call.book.put("destinations", destination)
    secret = new_secret(call.book, destination["id"])
    return _shown(destination, as_list(call.get("include"), "include"), secret=secret)


@route("GET", _DESTINATIONS, permission="webhook_read", takes="include limit page")
def list_destinations(call: Call) -> Obj:
    """List the destinations."""
    included = as_list(call.get("include"), "include")
    records = [_shown(each, included) for each in call.book.all("destinations")][: page_size(call)]
    return {"data": records, "next_page_url": None, "previous_page_url": None}


@route("GET", _DESTINATIONS + "/{id}", permission="webhook_read", takes="include")
def retrieve_destination(call: Call) -> Obj:
    """Show a destination."""
    return _shown(_destination(call), as_list(call.get("include"), "include"))


@route("DELETE", _DESTINATIONS + "/{id}", permission=_PERMISSION)
def delete_destination(call: Call) -> Obj:
    """Remove a destination."""
    found = _destination(call)
    del call.book.tables["destinations"][found["id"]]
    return {"id": found["id"], "object": "v2.core.event_destination"}


@route("POST", _DESTINATIONS + "/{id}/{verb}", permission=_PERMISSION)
def act_on_destination(call: Call) -> Obj:
    """Ping, enable or disable a destination."""
    found = _destination(call)
    match call.names["verb"]:
        case "ping":
            return emit_thin(call.world, call.book, "v2.core.event_destination.ping", found)
        case "enable" | "disable" as verb:
            found["status"] = f"{verb}d"
            return _shown(found, [])
        case verb:
            raise Refused(404, f"Unknown action: {verb}.", code="not_found")


def _destination(call: Call) -> Obj:
    found = call.book.tables["destinations"].get(call.names["id"])
    if found is None:
        raise Refused(404, f"Event destination {call.names['id']} not found.", code="not_found")
    return found


def _shown(destination: Obj, included: list[str], *, secret: str = "") -> Obj:
    shown = {name: value for name, value in destination.items() if name != "url"}
    details = {}
    if "webhook_endpoint.url" in included:
        details["url"] = destination["url"]
    if secret and "webhook_endpoint.signing_secret" in included:
        details["signing_secret"] = secret
    return shown | ({"webhook_endpoint": details} if details else {})


def _read_url(call: Call, url: object) -> str:
    text = str(url)
    if not text.startswith(("http://127.0.0.1", "http://localhost", "https://")):
        raise invalid(
            "Invalid URL: an explicit scheme (such as https) must be provided.", param="url"
        ).unsaved()
    if call.book.livemode and not text.startswith(("https://", "http://127.0.0.1", "http://localhost")):
        raise invalid("Invalid URL: live mode wants https.", param="url").unsaved()
    return text
