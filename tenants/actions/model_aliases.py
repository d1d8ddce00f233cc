"""Names of the tenant's own for models: ``fast`` for ``groq/llama-3.3-70b``, so that its code need not change."""

from __future__ import annotations

import re

from django.db import transaction
from django.utils import timezone

from metering.errors import UnpricedModel
from metering.prices import PriceBook
from tenants.actions.recording import Actor, Change, Trail
from tenants.actions.tenants import lock_settings, touch_policy
from tenants.errors import AlreadyExists, InvalidInput
from tenants.models import PriceEntry, ProviderAccount, Tenant, TenantSettings

ALIASES_MAX = 200
_ALIAS = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_MODEL = re.compile(r"[\w.:/@+-]{1,200}", re.ASCII)


@transaction.atomic
def create_alias(
    *, tenant: Tenant, mode: str, actor: Actor, alias: str, model: str
) -> Change[TenantSettings]:
    """Give a model a name of the tenant's own, in one mode. The same again changes nothing.

    ``model`` is what a caller would write, ``account/model`` or a plain name. Raises: AlreadyExists when the name
    stands for another model; InvalidInput for a name that is a model's already, or a chain of names.
    """
    settings = lock_settings(tenant, mode)
    aliases = settings.model_aliases
    if aliases.get(alias) == model:
        return Change(settings)
    if alias in aliases:
        raise AlreadyExists(f"{alias!r} stands for {aliases[alias]!r}; delete that name first")
    if len(aliases) >= ALIASES_MAX:
        raise InvalidInput("alias", f"there are {ALIASES_MAX} names already, which is the most there may be")
    _check(alias, model, aliases)
    _refuse_shadow(alias, tenant, mode)
    settings.model_aliases = {**aliases, alias: model}
    settings.save(update_fields=["model_aliases", "updated_at"])
    trail = Trail(tenant, mode, actor)
    trail.audit("model_alias.create", settings, after={"alias": alias, "model": model})
    touch_policy(settings, trail)
    return trail.done(settings, created=True)


@transaction.atomic
def delete_alias(*, tenant: Tenant, mode: str, actor: Actor, alias: str) -> Change[TenantSettings]:
    """Take a name away; calls that use it are refused from then on. One that is gone already changes nothing."""
    settings = lock_settings(tenant, mode)
    if alias not in settings.model_aliases:
        return Change(settings)
    kept = dict(settings.model_aliases)
    model = kept.pop(alias)
    settings.model_aliases = kept
    settings.save(update_fields=["model_aliases", "updated_at"])
    trail = Trail(tenant, mode, actor)
    trail.audit("model_alias.delete", settings, before={"alias": alias, "model": model})
    touch_policy(settings, trail)
    return trail.done(settings)


def _check(alias: str, model: str, aliases: dict[str, str]) -> None:
    if not _ALIAS.fullmatch(alias):
        raise InvalidInput(
            "alias",
            "a name is 1 to 63 small letters, digits, dots, dashes and underscores, and begins with a letter or digit; "
            "a slash would name an account",
        )
    if not _MODEL.fullmatch(model):
        raise InvalidInput("model", "a model is named as in a call: 1 to 200 characters without spaces")
    if model == alias or model in aliases:
        raise InvalidInput("model", f"{model!r} is a name of this kind itself; name the model it stands for")
    if alias in aliases.values():
        raise InvalidInput("alias", f"another name stands for {alias!r}, which would become a chain")


def _refuse_shadow(alias: str, tenant: Tenant, mode: str) -> None:
    """Refuse the name of a model that could be called today: calls to it would silently go elsewhere."""
    if PriceEntry.objects.for_scope(tenant, mode).filter(model=alias).exists():
        raise InvalidInput("alias", f"{alias!r} is a model that this tenant has priced")
    now_ms = int(timezone.now().timestamp() * 1000)
    accounts = ProviderAccount.objects.for_scope(tenant, mode).filter(state=ProviderAccount.State.ACTIVE)
    book = PriceBook()
    for provider in sorted(set(accounts.values_list("provider", flat=True))):
        try:
            book.find(provider, alias, now_ms)
        except UnpricedModel:
            continue
        raise InvalidInput("alias", f"{alias!r} is the name of a model of {provider}")
