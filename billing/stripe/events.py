"""How Stripe's events reach us: endpoints for snapshot events, destinations for thin ones, and a list to poll."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from billing.stripe import objects, reading
from billing.stripe.gateway import API_VERSION, PAGE_MAX, ROWS_MAX, Gateway, listed, page_of, told


def endpoints(gateway: Gateway) -> list[objects.Endpoint]:
    """List the account's webhook endpoints."""
    return listed(lambda: gateway.v1.webhook_endpoints.list(page_of(PAGE_MAX)), reading.read_endpoint)


def create_endpoint(
    gateway: Gateway, url: str, kinds: Sequence[str], *, metadata: Mapping[str, str]
) -> objects.Endpoint:
    """Have snapshot events of some kinds sent to a URL; the answer carries the signing secret."""
    params: Any = {
        "url": url, "enabled_events": list(kinds), "api_version": API_VERSION, "metadata": dict(metadata),
    }  # fmt: skip
    return told(lambda: gateway.v1.webhook_endpoints.create(params), reading.read_endpoint)


def delete_endpoint(gateway: Gateway, endpoint_id: str) -> None:
    """Have no snapshot events sent there any more."""
    told(lambda: gateway.v1.webhook_endpoints.delete(endpoint_id), lambda _: None)


def create_destination(gateway: Gateway, name: str, url: str, kinds: Sequence[str]) -> objects.Endpoint:
    """Have thin events of some kinds sent to a URL; the answer carries the signing secret."""
    params: Any = {
        "name": name, "type": "webhook_endpoint", "event_payload": "thin", "enabled_events": list(kinds),
        "webhook_endpoint": {"url": url},
        "include": ["webhook_endpoint.signing_secret", "webhook_endpoint.url"],
    }  # fmt: skip
    return told(lambda: gateway.v2.core.event_destinations.create(params), reading.read_destination)


def delete_destination(gateway: Gateway, destination_id: str) -> None:
    """Have no thin events sent there any more."""
    told(lambda: gateway.v2.core.event_destinations.delete(destination_id), lambda _: None)


def snapshot_events(
    gateway: Gateway, kinds: Sequence[str], *, since: datetime, rows_max: int = ROWS_MAX
) -> list[objects.SnapshotEvent]:
    """List snapshot events of the last 30 days, newest first."""
    params: Any = page_of(rows_max) | {"types": list(kinds), "created": {"gte": int(since.timestamp())}}
    return listed(lambda: gateway.v1.events.list(params), reading.read_snapshot, rows_max)


def thin_events(
    gateway: Gateway,
    kinds: Sequence[str],
    *,
    since: datetime | None = None,
    object_id: str = "",
    rows_max: int = ROWS_MAX,
) -> list[objects.ThinEvent]:
    """List thin events of the last 30 days; what each tells is read by ``thin_event``."""
    params: Any = {"types": list(kinds), "limit": min(rows_max, PAGE_MAX)}
    if since is not None:
        params["created"] = {"gte": since.astimezone(UTC).isoformat().replace("+00:00", "Z")}
    if object_id:
        params["object_id"] = object_id
    return listed(lambda: gateway.v2.core.events.list(params), reading.read_thin, rows_max)


def thin_event(gateway: Gateway, event_id: str) -> objects.ThinEvent:
    """Read one thin event with what it tells."""
    return told(lambda: gateway.v2.core.events.retrieve(event_id), reading.read_thin)
