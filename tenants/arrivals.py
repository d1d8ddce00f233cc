"""Customers that the proxy met first: their rows are made here, from what its script wrote down.

The proxy has made the budget already, under ids that follow from the external id alone; so doing this twice, or after
somebody made the same customer by the API, leads to the same rows.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from django.db import transaction

from enforcement.control import Control
from enforcement.control_client import unavailable_on_failure
from enforcement.keys import arrivals_key
from metering.ids import SHARDS
from tenants.actions.budgets import BudgetTerms, create_budget
from tenants.actions.customers import upsert_customer
from tenants.actions.recording import SYSTEM
from tenants.errors import TenantsError
from tenants.models import Budget, Tenant
from tenants.publishing import publish_now

log = logging.getLogger(__name__)

ENTRIES_PER_SHARD_MAX = 500


@dataclass(frozen=True, slots=True)
class Arrival:
    """One customer as the proxy's script wrote it down."""

    stream_id: bytes
    tenant_id: str
    mode: str
    external_id: str
    budget_id: str
    limit_nanousd: int


def take_arrivals(control: Control) -> int:
    """Make the rows of customers that arrived, and put their policies in force; returns how many arrived.

    Raises: EnforcementUnavailable.
    """
    return sum(_take_shard(shard, control) for shard in _shards_with_arrivals(control))


def _shards_with_arrivals(control: Control) -> list[int]:
    with unavailable_on_failure():
        pipeline = control.client.redis.pipeline(transaction=False)
        for shard in range(SHARDS):
            pipeline.xlen(arrivals_key(shard))
        return [shard for shard, length in enumerate(pipeline.execute()) if length]


def _take_shard(shard: int, control: Control) -> int:
    stream = arrivals_key(shard)
    with unavailable_on_failure():
        found = control.client.redis.xrange(stream, count=ENTRIES_PER_SHARD_MAX)
    arrivals = [_arrival(stream_id, fields) for stream_id, fields in found]
    for arrival in arrivals:
        publish_now(_welcome(arrival), control=control)
    if arrivals:
        # Only now: what is still in the stream is made again after a crash, and comes to the same rows.
        with unavailable_on_failure():
            control.client.redis.xdel(stream, *(arrival.stream_id for arrival in arrivals))
    return len(arrivals)


def _arrival(stream_id: bytes, fields: dict[bytes, bytes]) -> Arrival:
    text = {name.decode(): value.decode() for name, value in fields.items()}
    return Arrival(
        stream_id, text["tenant_id"], text["mode"], text["external_id"], text["budget_id"], int(text["limit"])
    )


def _welcome(arrival: Arrival) -> tuple[int, ...]:
    """Make a customer's row and its budget's; returns the outbox entries."""
    tenant = Tenant.objects.filter(pk=arrival.tenant_id).first()
    if tenant is None:
        log.error("a customer arrived for a tenant nobody knows", extra={"tenant_id": arrival.tenant_id})
        return ()
    try:
        return _make_rows(tenant, arrival)
    except TenantsError as error:
        # The proxy lets pass only what the rules take; a stray entry must not hold up those behind it.
        log.error("an arrival cannot be taken: %s", error, extra={"tenant_id": tenant.pk})  # noqa: TRY400  # no fault here
        return ()


@transaction.atomic
def _make_rows(tenant: Tenant, arrival: Arrival) -> tuple[int, ...]:
    mode = arrival.mode
    customer = upsert_customer(
        tenant=tenant, mode=mode, actor=SYSTEM, external_id=arrival.external_id, arrived=True
    )
    if Budget.objects.filter(pk=arrival.budget_id).exists():
        return customer.entries
    settings = tenant.settings_for(mode)
    terms = BudgetTerms(
        limit_nanousd=arrival.limit_nanousd,
        window_kind=settings.default_window_kind,
        zone=settings.zone_of_default_budget,
        measure=settings.default_measure,
        on_exhaustion=settings.default_on_exhaustion,
    )
    budget = create_budget(
        tenant=tenant, mode=mode, actor=SYSTEM, terms=terms, target=customer.row, budget_id=arrival.budget_id
    )
    return customer.entries + budget.entries
