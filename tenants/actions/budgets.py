"""Budgets: made, given another limit, archived. Another limit touches the budget's record in Redis and no policy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from django.db import transaction
from django.utils import timezone

from tenants import rules
from tenants.actions.customers import lock_customer, touch_customer
from tenants.actions.keys import lock_key, touch_key
from tenants.actions.recording import Actor, Change, Trail, shown
from tenants.actions.tenants import lock_settings, touch_policy
from tenants.errors import InvalidInput, WrongState
from tenants.ids import new_budget_id
from tenants.models import Budget, Customer, Key, Outbox, Tenant
from tenants.versions import next_version

SHOWN = (
    "scope",
    "customer_id",
    "key_id",
    "window_kind",
    "zone",
    "anchor_day",
    "limit_nanousd",
    "measure",
    "on_exhaustion",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetTerms:
    """What a budget allows. ``zone`` None = the tenant's; ``measure`` None = cost for the tenant's own, else charge."""

    limit_nanousd: int
    window_kind: str = "month"
    zone: str | None = None
    anchor_day: int = 1
    measure: str | None = None
    on_exhaustion: str = "refuse"
    name: str = ""
    count_so_far: bool = False
    kept_by: str = ""


@transaction.atomic
def create_budget(
    *,
    tenant: Tenant,
    mode: str,
    actor: Actor,
    terms: BudgetTerms,
    target: Customer | Key | None = None,
    budget_id: str | None = None,
) -> Change[Budget]:
    """Make a budget for a customer, a key, or with no target for the tenant as a whole.

    Raises: InvalidInput.
    """
    _check_target(tenant, mode, target)
    # The lock of whoever draws on the budget is taken first: its policy will name the budget.
    trail = Trail(tenant, mode, actor)
    publish_holder = _lock_holder(tenant, mode, target)
    row = Budget.objects.create(
        id=budget_id or new_budget_id(),
        tenant=tenant,
        mode=mode,
        scope=_scope_of(target),
        customer=target if isinstance(target, Customer) else None,
        key=target if isinstance(target, Key) else None,
        version=next_version(),
        **_checked_terms(tenant, terms, target),
    )
    trail.audit("budget.create", row, after=shown(row, *SHOWN, "name", "count_so_far"))
    # The record first, then the policy that names it: a policy may never lead to a budget that is not there.
    trail.publish(Outbox.Kind.BUDGET_NEW, row.pk)
    publish_holder(trail)
    return trail.done(row, created=True)


@transaction.atomic
def change_limit(*, budget: Budget, actor: Actor, limit_nanousd: int, keeper: str = "") -> Change[Budget]:
    """Set another limit, in force for the next request. Below spent + held it refuses until it fits.

    Raises: WrongState when it is archived, or kept by another than the ``keeper``; InvalidInput.
    """
    checked_nanousd = rules.limit_nanousd(limit_nanousd)
    row = _lock_in_force(budget)
    _check_keeper(row, keeper)
    before = shown(row, "limit_nanousd")
    row.limit_nanousd = checked_nanousd
    row.version = next_version()
    row.save(update_fields=["limit_nanousd", "version", "updated_at"])
    trail = Trail(row.tenant, row.mode, actor)
    trail.audit("budget.change_limit", row, before=before, after=shown(row, "limit_nanousd"))
    trail.publish(Outbox.Kind.BUDGET_LIMIT, row.pk)
    return trail.done(row)


@transaction.atomic
def change_terms(
    *, budget: Budget, actor: Actor, name: str | None = None, on_exhaustion: str | None = None
) -> Change[Budget]:
    """Change a budget's name, or what happens to a call that does not fit. Its window and measure stay for ever."""
    publish_holder = _lock_holder(budget.tenant, budget.mode, budget.customer or budget.key)
    row = _lock_in_force(budget)
    before = shown(row, "name", "on_exhaustion")
    row.name = row.name if name is None else rules.name(name)
    if on_exhaustion is not None:
        row.on_exhaustion = rules.one_of("on_exhaustion", on_exhaustion, rules.ON_EXHAUSTION)
    row.save(update_fields=["name", "on_exhaustion", "updated_at"])
    trail = Trail(row.tenant, row.mode, actor)
    trail.audit("budget.change", row, before=before, after=shown(row, "name", "on_exhaustion"))
    if before["on_exhaustion"] != row.on_exhaustion:
        publish_holder(trail)
    return trail.done(row)


@transaction.atomic
def archive_budget(*, budget: Budget, actor: Actor, keeper: str = "") -> Change[Budget]:
    """Take a budget out of force for ever; its history stays. Raises: WrongState when another keeps it."""
    publish_holder = _lock_holder(budget.tenant, budget.mode, budget.customer or budget.key)
    row = Budget.objects.select_for_update(of=("self",)).get(pk=budget.pk)
    _check_keeper(row, keeper)
    trail = Trail(row.tenant, row.mode, actor)
    if row.archived_at is None:
        row.archived_at = timezone.now()
        row.version = next_version()
        row.save(update_fields=["archived_at", "version", "updated_at"])
        trail.audit("budget.archive", row, before=shown(row, *SHOWN), after=shown(row, "archived_at"))
    # The other way round than at its making: first no policy names it, then its record may go.
    publish_holder(trail)
    trail.publish(Outbox.Kind.BUDGET_GONE, row.pk)
    return trail.done(row)


def _lock_in_force(budget: Budget) -> Budget:
    row = Budget.objects.select_for_update(of=("self",)).select_related("tenant").get(pk=budget.pk)
    if row.archived_at is not None:
        raise WrongState(
            f"budget {row.pk} was archived at {row.archived_at:%Y-%m-%d %H:%M:%S} UTC; make a new one"
        )
    return row


def _check_keeper(row: Budget, keeper: str) -> None:
    if row.kept_by != keeper:
        raise WrongState(
            f"budget {row.pk} is set by {row.kept_by or 'people'}, not by {keeper or 'people'}: see docs/stripe.md"
        )


def _lock_holder(tenant: Tenant, mode: str, target: Customer | Key | None) -> Callable[[Trail], None]:
    """Lock the row whose policy names the budget; returns how to publish it."""
    if isinstance(target, Customer):
        customer = lock_customer(target)
        return lambda trail: touch_customer(customer, trail)
    if isinstance(target, Key):
        key = lock_key(target)
        return lambda trail: touch_key(key, trail)
    settings = lock_settings(tenant, mode)
    return lambda trail: touch_policy(settings, trail)


def _check_target(tenant: Tenant, mode: str, target: Customer | Key | None) -> None:
    if target is None:
        return
    noun = "customer" if isinstance(target, Customer) else "key"
    if (target.tenant_id, target.mode) != (tenant.pk, mode):
        raise InvalidInput(noun, f"no {noun} {target.pk} in mode {mode}")
    if isinstance(target, Key) and target.kind == Key.Kind.API:
        raise InvalidInput(noun, "an API key makes no calls, so it can have no budget")


def _scope_of(target: Customer | Key | None) -> str:
    if target is None:
        return str(Budget.Scope.TENANT)
    return str(Budget.Scope.CUSTOMER if isinstance(target, Customer) else Budget.Scope.KEY)


def _checked_terms(tenant: Tenant, terms: BudgetTerms, target: Customer | Key | None) -> dict[str, object]:
    measure = terms.measure or ("cost" if target is None else "charge")
    return {
        "name": rules.name(terms.name),
        "limit_nanousd": rules.limit_nanousd(terms.limit_nanousd),
        "window_kind": rules.one_of("window", terms.window_kind, rules.WINDOW_KINDS),
        "zone": rules.zone(terms.zone or tenant.zone),
        "anchor_day": rules.between("anchor_day", terms.anchor_day, least=1, most=31),
        "measure": rules.one_of("measure", measure, rules.MEASURES),
        "on_exhaustion": rules.one_of("on_exhaustion", terms.on_exhaustion, rules.ON_EXHAUSTION),
        "count_so_far": terms.count_so_far,
        "kept_by": terms.kept_by,
    }
