"""Tenants and their people."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.utils.text import slugify

from metering.money import BASIS_POINTS
from tenants import rules
from tenants.actions.recording import SYSTEM, Actor, Change, Trail, shown
from tenants.errors import AlreadyExists, InvalidInput
from tenants.ids import new_tenant_id
from tenants.models import Member, Mode, Outbox, Tenant, TenantSettings, User
from tenants.versions import next_version

SETTING_RULES: dict[str, rules.Rule] = {
    "output_cap_plain": rules.bounded("output_cap_plain", least=1, most=1_000_000),
    "output_cap_reasoning": rules.bounded("output_cap_reasoning", least=1, most=1_000_000),
    "output_minimum": rules.bounded("output_minimum", least=1, most=100_000),
    "drain_seconds": rules.bounded("drain_seconds", least=0, most=3_600),
    "arrivals_per_hour_max": rules.bounded("arrivals_per_hour_max", least=0, most=1_000_000),
    "overrun_stop_count": rules.bounded("overrun_stop_count", least=0, most=1_000_000),
    "overrun_stop_share_bp": rules.bounded("overrun_stop_share_bp", least=0, most=BASIS_POINTS),
    "require_hard_bound": bool,
    "margin_guard": rules.word("margin_guard", TenantSettings.MarginGuard.values),
    "allowances": rules.allowances,
    "unknown_customer": rules.word("unknown_customer", TenantSettings.UnknownCustomer.values),
    "default_limit_nanousd": rules.or_none(rules.limit_nanousd),
    "default_window_kind": rules.word("default_window_kind", rules.WINDOW_KINDS),
    "default_zone": lambda value: rules.zone(value) if value else "",
    "default_measure": rules.word("default_measure", rules.MEASURES),
    "default_on_exhaustion": rules.word("default_on_exhaustion", rules.ON_EXHAUSTION),
    **rules.RATES,
}
MARKUP_COLUMNS = ("markup_bp", "markup_fixed_nanousd", "markup_models")


@transaction.atomic
def create_tenant(
    *, name: str, zone: str = "UTC", slug: str | None = None, actor: Actor = SYSTEM
) -> Change[Tenant]:
    """Make a tenant with its settings for test and live.

    Raises: AlreadyExists when the slug is taken; InvalidInput.
    """
    chosen = slug or slugify(name)[:80]
    if not chosen:
        raise InvalidInput("name", f"{name!r} has no letter or digit to make an address from; give a slug")
    if Tenant.objects.filter(slug=chosen).exists():
        raise AlreadyExists(f"a tenant {chosen!r} exists already; choose another name or slug")
    tenant = Tenant.objects.create(
        id=new_tenant_id(), name=rules.name(name), slug=chosen, zone=rules.zone(zone)
    )
    entries: list[int] = []
    for mode in Mode.values:
        TenantSettings.objects.create(tenant=tenant, mode=mode, version=next_version())
        trail = Trail(tenant, mode, actor)
        trail.publish(Outbox.Kind.TENANT, tenant.pk)
        entries += trail.entries
    Trail(tenant, "", actor).audit("tenant.create", tenant, after=shown(tenant, "name", "slug", "zone"))
    return Change(tenant, tuple(entries), created=True)


@transaction.atomic
def add_owner(*, tenant: Tenant, email: str, password: str | None, actor: Actor = SYSTEM) -> Change[Member]:
    """Make a person the tenant's owner, and the person where there is none yet.

    Raises: AlreadyExists when the e-mail belongs to somebody.
    """
    address = email.strip().lower()
    if User.objects.filter(email=address).exists():
        raise AlreadyExists(f"somebody signs in as {address} already")
    user = User.objects.create_user(address, password)
    member = Member.objects.create(tenant=tenant, user=user, role=Member.Role.OWNER)
    trail = Trail(tenant, "", actor)
    trail.audit("member.create", member, after={"email": address, "role": member.role})
    return trail.done(member, created=True)


def lock_settings(tenant: Tenant, mode: str) -> TenantSettings:
    """Take the lock that guards a tenant's policy in one mode. Call it first, inside the transaction."""
    return TenantSettings.objects.select_for_update().get(tenant=tenant, mode=mode)


def touch_policy(settings: TenantSettings, trail: Trail) -> None:
    """Give the tenant's policy a new version and queue it. Needs ``lock_settings``."""
    settings.version = next_version()
    settings.save(update_fields=["version", "updated_at"])
    trail.publish(Outbox.Kind.TENANT, settings.tenant_id)


@transaction.atomic
def change_settings(
    *, tenant: Tenant, mode: str, actor: Actor, changes: dict[str, Any]
) -> Change[TenantSettings]:
    """Change what holds for every call: output caps, rates, unknown customers, the default budget.

    Units: limits in nano-dollars. Raises: InvalidInput.
    """
    settings = lock_settings(tenant, mode)
    checked = rules.checked(SETTING_RULES, changes, noun="the settings")
    if "allowances" in checked:
        # Kinds that are not named keep what they have.
        merged = {**settings.allowances, **checked["allowances"]}
        checked["allowances"] = {kind: tokens for kind, tokens in merged.items() if tokens is not None}
    before = shown(settings, *checked)
    for field, value in checked.items():
        setattr(settings, field, value)
    if settings.unknown_customer == "default_budget" and settings.default_limit_nanousd is None:
        raise InvalidInput("unknown_customer", "unknown customers need a default budget: set its limit first")
    if settings.output_minimum > min(settings.output_cap_plain, settings.output_cap_reasoning):
        raise InvalidInput(
            "output_minimum", f"output_minimum {settings.output_minimum} is above an output cap"
        )
    settings.save(update_fields=[*checked, "updated_at"])
    trail = Trail(tenant, mode, actor)
    trail.audit("settings.change", settings, before=before, after=checked)
    touch_policy(settings, trail)
    return trail.done(settings)


def set_default_budget(
    *, tenant: Tenant, mode: str, actor: Actor, limit_nanousd: int | None, window_kind: str = "month"
) -> Change[TenantSettings]:
    """Set the limit a first-seen customer gets; None = they get none and are refused."""
    changes: dict[str, Any] = {"default_limit_nanousd": limit_nanousd, "default_window_kind": window_kind}
    changes["unknown_customer"] = "refuse" if limit_nanousd is None else "default_budget"
    return change_settings(tenant=tenant, mode=mode, actor=actor, changes=changes)


@transaction.atomic
def set_markup(
    *,
    tenant: Tenant,
    mode: str,
    actor: Actor,
    markup_bp: int,
    markup_fixed_nanousd: int = 0,
    markup_models: list[dict[str, Any]] | None = None,
) -> Change[TenantSettings]:
    """Set how cost becomes charge for every customer without a markup of its own."""
    settings = lock_settings(tenant, mode)
    before = shown(settings, *MARKUP_COLUMNS)
    settings.markup_bp = rules.markup_bp(markup_bp)
    settings.markup_fixed_nanousd = rules.limit_nanousd(markup_fixed_nanousd)
    settings.markup_models = rules.markup_models(markup_models or [])
    settings.save(update_fields=[*MARKUP_COLUMNS, "updated_at"])
    trail = Trail(tenant, mode, actor)
    trail.audit("markup.set", settings, before=before, after=shown(settings, *MARKUP_COLUMNS))
    touch_policy(settings, trail)
    return trail.done(settings)


@transaction.atomic
def change_markup(
    *, tenant: Tenant, mode: str, actor: Actor, changes: dict[str, Any]
) -> Change[TenantSettings]:
    """Change part of the tenant's markup; what is not named stays. Raises: InvalidInput."""
    kept = shown(lock_settings(tenant, mode), *MARKUP_COLUMNS)
    return set_markup(tenant=tenant, mode=mode, actor=actor, **{**kept, **changes})


@transaction.atomic
def change_tenant(
    *, tenant: Tenant, actor: Actor, name: str | None = None, zone: str | None = None
) -> Change[Tenant]:
    """Change a tenant's name or zone; budgets made before keep their zone."""
    row = Tenant.objects.select_for_update().get(pk=tenant.pk)
    before = shown(row, "name", "zone")
    row.name = row.name if name is None else rules.name(name)
    row.zone = row.zone if zone is None else rules.zone(zone)
    row.save(update_fields=["name", "zone"])
    Trail(row, "", actor).audit("tenant.change", row, before=before, after=shown(row, "name", "zone"))
    entries: list[int] = []
    # The zone is in the default budget's template, so both policies are told.
    for mode in Mode.values:
        trail = Trail(row, mode, actor)
        touch_policy(lock_settings(row, mode), trail)
        entries += trail.entries
    return Change(row, tuple(entries))
