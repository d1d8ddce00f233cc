"""GET /v1/models: what the caller may use and has a price for."""

from __future__ import annotations

from proxy.accounts import Tenant, is_allowed
from proxy.callers import Caller, Callers
from proxy.exchange import Exchange
from proxy.requests import read_asked
from proxy.responses import send_json


async def list_models(exchange: Exchange, callers: Callers) -> None:
    """List models in OpenAI's shape. Raises: Refusal for a key that may not call."""
    asked = read_asked(exchange.scope)
    caller = await callers.find_afresh(callers.parse(asked.key_text), asked.customer)
    exchange.key_id = caller.key.key_id
    names = sorted(_names(caller, caller.tenant))
    document = {
        "object": "list",
        "data": [{"id": name, "object": "model", "created": 0, "owned_by": owner} for name, owner in names],
    }
    exchange.started = True
    await send_json(exchange.send, 200, document)


def _names(caller: Caller, tenant: Tenant) -> set[tuple[str, str]]:
    allowed = (caller.key.models_allowed, caller.customer.models_allowed if caller.customer else ())
    found: set[tuple[str, str]] = set()
    for account in tenant.policy.accounts:
        priced = {price.model for price in tenant.policy.prices if price.provider == account.provider}
        for model in priced:
            if "@" not in model and all(is_allowed(globs, model, account) for globs in allowed):
                found.add((model if account.default else f"{account.name}/{model}", account.provider))
    return found
