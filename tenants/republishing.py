"""What a rebuild of Redis asks of the control plane: a shard's tenants, all they have, their budgets' limits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from enforcement.control import Control
from enforcement.control_calls import BudgetLoad, ControlCall
from enforcement.keys import Scope
from metering.ids import shard_of
from tenants.models import Budget, Mode, Tenant
from tenants.policy_calls import ROWS_PER_QUERY, calls_of_tenants, scope_of


def tenants_of(shards: Sequence[int]) -> list[str]:
    """The tenants of some shards. The shard follows from the id alone, so no row says it."""
    wanted = set(shards)
    return [pk for pk in Tenant.objects.order_by("pk").values_list("pk", flat=True) if shard_of(pk) in wanted]


def scopes(shards: Sequence[int]) -> list[Scope]:
    """Every tenant and mode of some shards."""
    return [Scope(pk, "live" if mode == Mode.LIVE else "test") for pk in tenants_of(shards) for mode in Mode]


def published(shards: Sequence[int]) -> Iterator[ControlCall]:
    """The calls that publish every key, customer, tenant and default budget of some shards."""
    return calls_of_tenants(tenants_of(shards))


def budgets_in_force(shards: Sequence[int]) -> Iterator[BudgetLoad]:
    """Every budget of some shards with its limit; what was spent, the ledger knows."""
    rows = Budget.objects.in_force().filter(tenant_id__in=tenants_of(shards)).order_by("pk")
    for budget in rows.iterator(ROWS_PER_QUERY):
        yield _load_of(budget)


def budgets_named(names: Iterable[tuple[Scope, str]]) -> list[BudgetLoad]:
    """The budgets named, with their limits; one that is unknown, archived or another tenant's is left out."""
    wanted = set(names)
    rows = Budget.objects.in_force().filter(pk__in=[budget_id for _, budget_id in wanted])
    return [_load_of(budget) for budget in rows if (scope_of(budget), budget.pk) in wanted]


def republish_tenant(tenant_id: str, *, control: Control) -> int:
    """Tell Redis again all that a tenant has; returns how many calls it took.

    Raises: EnforcementUnavailable.
    """
    calls = list(calls_of_tenants([tenant_id]))
    for call in calls:
        control.client.run(call)
    return len(calls)


def _load_of(budget: Budget) -> BudgetLoad:
    return BudgetLoad(scope_of(budget), budget.pk, budget.limit_nanousd, budget.version)
