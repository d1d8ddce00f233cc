"""Whose rows are whose: one of everything at each desk, every URL there is, and what a tenant owns as one value."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import redis
from django.db import connections
from django.urls import URLPattern, URLResolver, get_resolver

from billing.models import CustomerMap, Push, StripeMeter, TopUp
from enforcement.keys import Mode, Scope, arrivals_key, usage_key
from tenants.models import Invitation, Member
from tests.factories import Holding

SCOPES: tuple[tuple[str, Mode], ...] = (
    ("Acme", "test"),
    ("Acme", "live"),
    ("Globex", "test"),
    ("Globex", "live"),
)


@dataclass(frozen=True)
class Desk:
    """A tenant in one mode with one of everything."""

    holding: Holding
    mode: Mode
    owner: Member
    invitation: Invitation
    request_id: str
    event_id: str
    stop_id: str
    meter: StripeMeter
    mapping: CustomerMap
    push: Push
    recon_id: int
    hold_id: str = ""  # open; made once everything else is published

    @property
    def scope(self) -> Scope:
        """Tenant and mode as Redis knows them."""
        return Scope(self.holding.tenant.pk, self.mode)

    @property
    def top_up(self) -> TopUp:
        """What its customer paid beforehand."""
        return TopUp.objects.get(prepaid__customer=self.holding.customer)

    @property
    def ids(self) -> dict[str, str]:
        """What stands in a URL for something of this desk, by the name URLs give it."""
        holding = self.holding
        return {
            "customer_id": holding.customer.pk,
            "key_id": holding.key.row.pk,
            "budget_id": holding.budget.pk,
            "account_id": holding.account.pk,
            "request_id": self.request_id,
            "event_id": self.event_id,
            "stop_id": self.stop_id,
            "hold_id": self.hold_id,
            "member_id": self.owner.pk,
            "invitation_id": self.invitation.pk,
            "meter_id": self.meter.pk,
            "push_id": self.push.pk,
            "top_up_id": self.top_up.pk,
            "recon_id": str(self.recon_id),
            "external_id": holding.customer.external_id,
            "provider": holding.price.provider,
            "model": holding.price.model,
            "alias": "fast",
        }

    @property
    def marks(self) -> set[str]:
        """What nobody at any other desk may be shown."""
        holding = self.holding
        rows = (holding.customer, holding.key.row, holding.budget, holding.account, holding.price)
        words = {self.request_id, self.event_id, self.stop_id, holding.key.row.prefix, holding.customer.name}
        words |= {
            self.meter.pk,
            self.meter.stripe_meter_id,
            self.meter.connection_id,
            self.mapping.stripe_customer_id,
            self.push.pk,
            self.push.identifier,
            self.top_up.pk,
            self.top_up.payment_intent_id,
            self.top_up.prepaid.budget_id,
            self.hold_id,
        }
        return words | {row.pk for row in rows}

    def hidden_from(self, other: Desk) -> set[str]:
        """What a desk may not be shown of this one; people are the tenant's, in both modes."""
        return self.marks | (set() if self.is_of(other) else {self.invitation.pk, self.owner.pk})

    def is_of(self, other: Desk) -> bool:
        """Whether both are one tenant's."""
        return self.scope.tenant_id == other.scope.tenant_id


@dataclass(frozen=True)
class Url:
    """One URL by its route, such as ``api/v1/keys/<str:key_id>``."""

    route: str
    methods: tuple[str, ...]

    @property
    def parts(self) -> list[str]:
        """The names of what the route leaves open."""
        return re.findall(r"<(?:\w+:)?(\w+)>", self.route)

    def filled(self, values: dict[str, str]) -> str:
        """The URL with its open parts filled in. Fails for a part that nobody taught this test."""
        unknown = sorted(set(self.parts) - set(values))
        assert not unknown, f"{self.route}: say in tests/isolation.py what stands for {unknown}"
        return "/" + re.sub(r"<(?:\w+:)?(\w+)>", lambda found: values[found[1]], self.route)


def urls_under(prefix: str) -> list[Url]:
    """Every URL that the resolver knows below a prefix."""
    found = [Url(route, _methods(pattern)) for route, pattern in _walk(get_resolver(), "")]
    return [url for url in found if url.route.startswith(prefix)]


def _walk(resolver: URLResolver, before: str) -> Iterator[tuple[str, URLPattern]]:
    for pattern in resolver.url_patterns:
        route = before + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _walk(pattern, route)
        else:
            yield route, pattern


def _methods(pattern: URLPattern) -> tuple[str, ...]:
    view: Any = getattr(pattern.callback, "view_class", None) or getattr(pattern.callback, "cls", None)
    verbs = ("get", "post", "put", "patch", "delete")
    return tuple(verb for verb in verbs if hasattr(view, verb)) if view else ("get", "post")


def content_of(answer: Any) -> str:
    """An answer's text, also of one that is streamed."""
    parts = answer.streaming_content if answer.streaming else (answer.content,)
    return b"".join(parts).decode()


def everything_of(desk: Desk, client: redis.Redis) -> dict[str, Any]:
    """All that a desk owns in PostgreSQL and Redis, to be compared with itself later."""
    found: dict[str, Any] = {}
    with connections["owner"].cursor() as cursor:
        cursor.execute(
            "SELECT table_name FROM information_schema.columns WHERE table_schema = 'public' "
            "AND column_name IN ('tenant_id', 'mode') GROUP BY table_name HAVING count(*) = 2 ORDER BY 1"
        )
        for (table,) in cursor.fetchall():
            query = f'SELECT t::text FROM "{table}" AS t WHERE tenant_id = %s AND mode = %s ORDER BY 1'
            cursor.execute(query, (desk.scope.tenant_id, desk.mode))
            found[table] = cursor.fetchall()
    owned = {b"tenant_id": desk.scope.tenant_id.encode(), b"mode": desk.mode.encode()}
    for stream in (usage_key(desk.scope.shard), arrivals_key(desk.scope.shard)):
        entries: list[Any] = client.xrange(stream) or []
        found[stream] = [entry for entry in entries if owned.items() <= entry[1].items()]
    start = f"{{s{desk.scope.shard}}}:{desk.scope.tenant_id}:{desk.mode}:"
    for key in client.scan_iter(f"{start}*", count=1000):
        found[key.decode()] = client.dump(key)
    return found
