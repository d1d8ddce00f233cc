"""From what a program says of its call to a hold that is asked for: whose, at which account, bounded by what."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from billing.holding.asking import (
    Caller,
    HoldAsked,
    HoldGranted,
    HoldRefused,
    SentBody,
    StatedBound,
    admitter,
)
from enforcement.keyring import ParsedKey
from enforcement.keys import Mode, Scope
from tenants.errors import InvalidInput
from tenants.ids import new_request_id
from tenants.models import Customer, Key, ProviderAccount, Tenant

ROUTES = {"openai": "/v1/chat/completions", "anthropic": "/v1/messages"}
GEMINI_ROUTES = "/gemini/"
DIALECTS = (*ROUTES, "gemini")


@dataclass(frozen=True, slots=True)
class Desk:
    """The tenant in one mode that asks, and the API key it asks by."""

    tenant: Tenant
    mode: Mode
    api_key_id: str

    @property
    def scope(self) -> Scope:
        """Tenant and mode as Redis knows them."""
        return Scope(self.tenant.pk, self.mode)


def grant_hold(desk: Desk, values: Mapping[str, Any]) -> HoldGranted | HoldRefused:
    """Claim the most that a call can cost from every budget it draws on.

    Raises: InvalidInput for what names nothing of this tenant's; EnforcementUnavailable.
    """
    return admitter()(asked_of(desk, values))


def asked_of(desk: Desk, values: Mapping[str, Any]) -> HoldAsked:
    """Find the rows that the values name. Raises: InvalidInput."""
    account = _account(desk, values.get("account"), values.get("provider"))
    dialect = values.get("dialect") or (account.dialect if account else "openai")
    if account is not None and dialect != account.dialect:
        raise InvalidInput("dialect", f"account {account.name!r} speaks {account.dialect}, not {dialect}")
    return HoldAsked(
        caller=_caller(desk, values.get("customer"), values.get("key")),
        request_id=new_request_id(),
        model=_model(values, account),
        dialect=dialect,
        bound=_bound(values, account, dialect),
        lease_ms=values["ttl_seconds"] * 1000,
        run_id=values.get("run", ""),
        tags=values.get("tags", {}),
    )


def _caller(desk: Desk, customer_id: str | None, key_id: str | None) -> Caller:
    customer: Customer | None = None
    if customer_id is not None:
        customer = Customer.objects.for_scope(desk.tenant, desk.mode).filter(pk=customer_id).first()
        if customer is None:
            raise InvalidInput("customer", f"no customer {customer_id} in mode {desk.mode}")
    external_id = customer.external_id if customer else None
    if key_id is None:
        return Caller(desk.scope, None, customer_id, external_id, desk.api_key_id)
    key = _key(desk, key_id)
    if key.kind == Key.Kind.CUSTOMER and customer_id not in (None, key.customer_id):
        raise InvalidInput("customer", f"key {key_id} is of another customer; leave the customer out")
    parsed = ParsedKey("ck" if key.kind == Key.Kind.CUSTOMER else "sk", desk.mode, desk.tenant.pk, key.digest)
    return Caller(desk.scope, parsed, customer_id, external_id, desk.api_key_id)


def _key(desk: Desk, key_id: str) -> Key:
    kinds = (Key.Kind.CUSTOMER, Key.Kind.SERVER)
    key = Key.objects.for_scope(desk.tenant, desk.mode).filter(pk=key_id, kind__in=kinds).first()
    if key is None:
        raise InvalidInput("key", f"no customer key or server key {key_id} in mode {desk.mode}")
    return key


def _account(desk: Desk, named: str | None, provider: str | None) -> ProviderAccount | None:
    rows = ProviderAccount.objects.for_scope(desk.tenant, desk.mode).filter(state="active")
    if named is not None:
        found = rows.filter(pk=named).first() or rows.filter(name=named).first()
        if found is None:
            raise InvalidInput("account", f"no provider account {named} in mode {desk.mode}")
        return found
    if provider is None:
        return None
    of_provider = list(rows.filter(provider=provider))
    found = next((row for row in of_provider if row.is_default), None)
    if found is None and len(of_provider) != 1:
        raise InvalidInput(
            "provider", f"{len(of_provider)} accounts of {provider!r}, none the default: name one"
        )
    return found or of_provider[0]


def _model(values: Mapping[str, Any], account: ProviderAccount | None) -> str:
    body = values.get("body")
    model = values.get("model") or (body.get("model") if body else None)
    if not isinstance(model, str) or not model:
        raise InvalidInput("model", "name the model, here or in the body")
    return f"{account.name}/{model}" if account else model


def _bound(
    values: Mapping[str, Any], account: ProviderAccount | None, dialect: str
) -> StatedBound | SentBody:
    body = values.get("body")
    if body is None:
        return StatedBound(values["input_tokens_max"], values["output_tokens_max"])
    model, route = _model(values, account), values.get("route")
    if dialect == "gemini":
        if route:
            raise InvalidInput("route", "a Gemini call is named by its model alone")
        named = f"/gemini/v1beta/models/{quote(model, safe='/')}:generateContent"
        return SentBody(named, _encoded(body))
    if route and route.startswith(GEMINI_ROUTES):
        raise InvalidInput("route", 'for a Gemini call send "dialect": "gemini" and the model instead')
    return SentBody(route or ROUTES[dialect], _encoded({**body, "model": model}))


def _encoded(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
