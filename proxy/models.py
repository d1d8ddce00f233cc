"""What a key may call, as each dialect lists it: the tenant's accounts, times what has a price there, as globs allow.

Listing costs nothing and reaches no provider. It reads its policies afresh, for no reserve will ask Redis about their
age; what a version of a tenant's policy comes to is kept for a minute, the share of one key is picked per request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import parse_qs

from enforcement.policies import ProviderAccount
from metering.catalogue import models_of
from metering.errors import UnpricedModel
from metering.limits import ModelLimits, limits_for
from metering.prices import Price
from proxy.accounts import Tenant, is_allowed
from proxy.callers import Caller, Callers
from proxy.clock import Clock
from proxy.errors import Refusal
from proxy.exchange import Exchange
from proxy.model_lists import SHAPES, Listed, ListShape
from proxy.requests import read_asked
from proxy.responses import send_json
from proxy.routes import Headers, asks_as_anthropic

KEPT_MS = 60_000
KEPT_MAX = 256


@dataclass(frozen=True, slots=True)
class Wanted:
    """One request for a list, or for one model of it where a name is given."""

    shape: ListShape
    name: str


def find_list(method: str, path: str, headers: Headers) -> Wanted | None:
    """Return what a request for models asks for; None where it asks for something else."""
    for base, shape in SHAPES.items():
        if method == "GET" and (path == base or path.startswith(f"{base}/")):
            if base == "/v1/models" and asks_as_anthropic(headers):
                shape = SHAPES[
                    "/anthropic/v1/models"
                ]  # its client, given a base URL without a path of its own
            return Wanted(shape, path[len(base) + 1 :])
    return None


class Models:
    """Lists models for callers."""

    def __init__(self, callers: Callers, clock: Clock) -> None:
        self._callers = callers
        self._clock = clock
        # By tenant, mode and dialect: the policy's version, when it was worked out, and what came of it.
        self._kept: dict[tuple[str, str, str], tuple[int, int, tuple[Listed, ...]]] = {}

    async def serve(self, exchange: Exchange, wanted: Wanted) -> None:
        """Answer with a list or one model. Raises: Refusal for a key that may not call, or a model it may not."""
        asked = read_asked(exchange.scope)
        caller = await self._callers.find_afresh(self._callers.parse(asked.key_text), asked.customer)
        exchange.key_id = caller.key.key_id
        if wanted.name:
            document = wanted.shape.one(self._look_up(caller, wanted))
        else:
            query = parse_qs(exchange.scope["query_string"].decode("latin-1"))
            entries = await self._of_tenant(caller, wanted.shape.dialect)
            mine = [entry for entry in entries if _may_call(caller, entry.account, entry.model)]
            document = wanted.shape.page(mine, {name: values[-1] for name, values in query.items()})
        exchange.started = True
        await send_json(exchange.send, 200, document)

    async def _of_tenant(self, caller: Caller, dialect: str) -> tuple[Listed, ...]:
        now_ms, tenant = self._clock.now_ms(), caller.tenant
        version = dict(caller.sources)[caller.scope.tenant_policy()].version
        place = (tenant.policy.tenant_id, tenant.policy.mode, dialect)
        known = self._kept.get(place)
        if known is None or known[0] != version or not known[1] <= now_ms < known[1] + KEPT_MS:
            # The first look at a large provider's prices takes a while, in which others are served.
            entries = await asyncio.to_thread(lambda: tuple(sorted(_listed(tenant, dialect, now_ms))))
            if len(self._kept) >= KEPT_MAX:
                self._kept.clear()
            known = self._kept[place] = (version, now_ms, entries)
        return known[2]

    def _look_up(self, caller: Caller, wanted: Wanted) -> Listed:
        """Find a model by any name that a call may use, also one that no list has, such as a dated one."""
        tenant, name = caller.tenant, wanted.name
        account, model = tenant.account_for(name, wanted.shape.dialect)
        price = _price(tenant, account, model, self._clock.now_ms())
        if price is None or not _may_call(caller, account, model):
            raise Refusal(
                "model_not_found", f"there is no model {name!r} that this key may call", param="model"
            )
        return Listed(name, account, model, price, _limits(model, account))


def _listed(tenant: Tenant, dialect: str, now_ms: int) -> Iterator[Listed]:
    policy = tenant.policy
    of_dialect = [account for account in policy.accounts if account.dialect == dialect]
    names = {account.name for account in policy.accounts}
    for account in of_dialect:
        plain = account.default or len(of_dialect) == 1
        for model in _models_at(tenant, account):
            price = _price(tenant, account, model, now_ms)
            if price is not None:
                # A name whose first part is an account's would be taken for that account.
                is_plain = plain and model.partition("/")[0] not in names
                name = model if is_plain else f"{account.name}/{model}"
                yield Listed(name, account, model, price, _limits(model, account))
    yield from _aliases(tenant, dialect, now_ms)


def _aliases(tenant: Tenant, dialect: str, now_ms: int) -> Iterator[Listed]:
    """The tenant's own names for models, where the dialect can reach what they stand for."""
    for name in tenant.policy.model_aliases:
        try:
            account, model = tenant.account_for(name, dialect)
        except Refusal:
            continue
        price = _price(tenant, account, model, now_ms)
        if price is not None and not tenant.is_stopped(account, model):
            yield Listed(name, account, model, price, _limits(model, account))


def _models_at(tenant: Tenant, account: ProviderAccount) -> set[str]:
    policy = tenant.policy
    own = [price for price in policy.prices if price.provider == account.provider]
    imported = [one.price for one in policy.imported_prices if one.price.provider == account.provider]
    named = {price.model for price in (*own, *imported) if "@" not in price.model}  # a tier is no model
    named.update(models_of(account.provider))
    return {model for model in named if not tenant.is_stopped(account, model)}


def _price(tenant: Tenant, account: ProviderAccount, model: str, now_ms: int) -> Price | None:
    try:
        return tenant.prices.find(account.provider, model, now_ms)
    except UnpricedModel:
        return None


def _limits(model: str, account: ProviderAccount) -> ModelLimits:
    return limits_for(model, account.provider) or ModelLimits(None, None)


def _may_call(caller: Caller, account: ProviderAccount, model: str) -> bool:
    allowed = (caller.key.models_allowed, caller.customer.models_allowed if caller.customer else ())
    return all(is_allowed(globs, model, account) for globs in allowed)
