"""Putting rows in force: from the outbox into Redis, at once where possible, else by the publisher's loop.

Everything may be repeated and may arrive out of order: each document carries its version and Redis refuses an older
one, which is as good as published, for a newer one is there.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from datetime import timedelta
from functools import cache

from django.conf import settings as django_settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from enforcement.control import Control
from enforcement.control_calls import ControlCall
from enforcement.errors import EnforcementError, EnforcementUnavailable
from enforcement.wanted import want_budget
from metering.ids import shard_of
from tenants.models import Budget, Outbox, TenantSettings
from tenants.policy_calls import (
    calls_of_customer,
    calls_of_key,
    calls_of_tenant,
    customers_to_publish,
    keys_to_publish,
    scope_of,
)

log = logging.getLogger(__name__)

# While one publisher works on an entry no other takes it up.
LEASE = timedelta(seconds=30)
RETRY_SECONDS_MAX = 300
# How soon to look whether the keeper has loaded a budget that counts its window so far.
LOAD_SECONDS = 1
# A change with more parts than this is left to the publisher's loop: nobody waits on a file of thousands.
INLINE_ENTRIES_MAX = 200
ERROR_CHARS_MAX = 300


@cache
def shared_control() -> Control:
    """The process's own link to Redis; it is thread-safe and connects when first used."""
    return Control(django_settings.REDIS_URL)


def publish_now(entries: Sequence[int], *, control: Control | None = None) -> bool:
    """Try to put a change in force at once. Call it after its commit.

    Returns: whether it is in force; otherwise the publisher's loop goes on trying.
    """
    if len(entries) > INLINE_ENTRIES_MAX:
        return False
    waiting = list(Outbox.objects.filter(pk__in=entries))
    in_force = _publish(waiting, control or shared_control()) == len(waiting)
    if in_force:
        _drop_overtaken(waiting)
    return in_force


def _drop_overtaken(published: Iterable[Outbox]) -> None:
    """Forget older entries about the same rows: what was told is the row as it is by now."""
    for entry in published:
        Outbox.objects.filter(
            kind=entry.kind, object_id=entry.object_id, mode=entry.mode, pk__lt=entry.pk
        ).delete()


def drain_outbox(*, count: int = 500, control: Control | None = None) -> int:
    """Publish what is due, oldest first; returns how many entries are in force now."""
    now = timezone.now()
    with transaction.atomic():
        due = (
            Outbox.objects.select_for_update(skip_locked=True).filter(due_at__lte=now).order_by("pk")[:count]
        )
        taken = [entry.pk for entry in due]
        Outbox.objects.filter(pk__in=taken).update(due_at=now + LEASE)
    return _publish(Outbox.objects.filter(pk__in=taken), control or shared_control())


def _publish(entries: Iterable[Outbox], control: Control) -> int:
    """Publish entries in order; a shard that is closed keeps its later ones waiting as well."""
    closed: dict[int, str] = {}
    finished: list[int] = []
    done: set[tuple[str, str, str]] = set()
    for entry in entries:
        shard = shard_of(entry.tenant_id)
        what = (entry.kind, entry.object_id, entry.mode)
        if shard in closed:
            _postpone(entry, closed[shard])
            continue
        try:
            if what not in done and not publish_entry(entry, control):
                _await_load(entry)
                continue
        except EnforcementUnavailable as error:
            closed[shard] = str(error)
            _postpone(entry, str(error))
        except (EnforcementError, LookupError, TypeError, ValueError) as error:
            # One row that cannot be told must not keep the others from being told.
            log.exception("outbox entry cannot be published", extra={"entry": entry.pk, "kind": entry.kind})
            _postpone(entry, f"{type(error).__name__}: {error}")
        else:
            done.add(what)
            finished.append(entry.pk)
    Outbox.objects.filter(pk__in=finished).delete()
    return len(finished)


def _postpone(entry: Outbox, why: str) -> None:
    wait = timedelta(seconds=min(2**entry.attempts, RETRY_SECONDS_MAX))
    Outbox.objects.filter(pk=entry.pk).update(
        attempts=F("attempts") + 1, last_error=why[:ERROR_CHARS_MAX], due_at=timezone.now() + wait
    )


def _await_load(entry: Outbox) -> None:
    due_at = timezone.now() + timedelta(seconds=LOAD_SECONDS)
    Outbox.objects.filter(pk=entry.pk).update(last_error="waits to be loaded from the ledger", due_at=due_at)


def publish_entry(entry: Outbox, control: Control) -> bool:
    """Tell Redis about the row that an entry names, as the row is now.

    Returns: whether it is in force; a budget that counts its window so far is not until the keeper has loaded it.
    Raises: EnforcementUnavailable.
    """
    match entry.kind:
        case Outbox.Kind.KEY:
            publish_key(entry.object_id, control)
        case Outbox.Kind.CUSTOMER:
            publish_customer(entry.object_id, control)
        case Outbox.Kind.TENANT:
            publish_tenant(entry.object_id, entry.mode, control)
        case _:
            return publish_budget(entry.object_id, control, is_new=entry.kind == Outbox.Kind.BUDGET_NEW)
    return True


def publish_key(key_id: str, control: Control) -> None:
    """Publish a key under each of its digests."""
    _run(calls_of_key(keys_to_publish().get(pk=key_id)), control)


def publish_customer(customer_id: str, control: Control) -> None:
    """Publish a customer's policy and its place in the index."""
    _run(calls_of_customer(customers_to_publish().get(pk=customer_id)), control)


def publish_tenant(tenant_id: str, mode: str, control: Control) -> None:
    """Publish a tenant's policy and its default budget in one mode."""
    settings = TenantSettings.objects.select_related("tenant").get(tenant_id=tenant_id, mode=mode)
    _run(calls_of_tenant(settings), control)


def publish_budget(budget_id: str, control: Control, *, is_new: bool) -> bool:
    """Publish a budget's limit; a new one is opened first, an archived one is taken away.

    Returns: False while a new one that counts its window so far waits to be loaded from the ledger.
    """
    budget = Budget.objects.get(pk=budget_id)
    scope = scope_of(budget)
    if budget.archived_at is not None:
        control.remove_budget(scope, budget_id=budget.pk, version=budget.version)
        return True
    if is_new and budget.count_so_far:
        return want_budget(control.client, scope, budget.pk)
    terms = {"budget_id": budget.pk, "limit_nanousd": budget.limit_nanousd, "version": budget.version}
    # The proxy may have opened it at a first call under the default limit; then only the limit is to be said.
    if not (is_new and control.load_new_budget(scope, **terms)):  # type: ignore[arg-type]  # one dict for two calls
        control.set_limit(scope, **terms)  # type: ignore[arg-type]  # as above
    return True


def _run(calls: Iterable[ControlCall], control: Control) -> None:
    # "older" is as good as done: a newer document is there.
    for call in calls:
        control.client.run(call)
