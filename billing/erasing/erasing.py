"""Erase a customer: who it was goes from every table and from Redis; ids, amounts and rows stay.

In this order: it is shut (suspended, keys revoked), what must end is waited for, Redis is cleared, then one
transaction changes every table of the registry. A refusal leaves it shut; asking again goes on from there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.db import connections, transaction
from django.db.models import Model
from django.utils import timezone

from billing.erasing.pending import Pending, pending_of
from billing.erasing.registry import FIELDS, TOLD, Effect, Held
from billing.errors import ErasurePending
from billing.models import CustomerMap, StripeEvent
from enforcement.control import Control
from enforcement.erasing import find_traces, remove_traces
from enforcement.keys import Scope
from metering.ids import external_digest
from tenants.actions.customers import lock_customer, suspend_customer, touch_customer
from tenants.actions.keys import revoke_key
from tenants.actions.provider_accounts import credential_box
from tenants.actions.recording import Actor, Change, Trail
from tenants.models import Budget, Customer, IdempotentAnswer, Key, Outbox
from tenants.models.customer import ERASED_MARK
from tenants.publishing import publish_now, shared_control


@dataclass(frozen=True, slots=True)
class _Known:
    """What tells who a customer is, gathered before it goes: words of its own, ids of its rows."""

    words: tuple[str, ...]
    ids: tuple[str, ...]
    stripe_ids: tuple[str, ...]


def erase_customer(
    *, customer: Customer, actor: Actor, force: bool = False, control: Control | None = None
) -> Change[Customer]:
    """Erase a customer; one that was erased stays so.

    Raises: ErasurePending naming what has not ended; EnforcementUnavailable.
    """
    link = control or shared_control()
    scope = Scope(customer.tenant_id, "live" if customer.mode == "live" else "test")
    if customer.erased_at is not None:
        return Change(customer)
    _shut(customer, actor, link)
    traces = find_traces(link.client, scope, customer.pk)
    pending = pending_of(customer, scope, link.client, traces)
    in_the_way = [each for each in pending if each.ends_by_itself or not force]
    if in_the_way:
        raise ErasurePending(in_the_way)
    change = _erase_rows(customer, actor, given_up=pending)
    remove_traces(link.client, scope, find_traces(link.client, scope, customer.pk))
    return change


def _shut(customer: Customer, actor: Actor, control: Control) -> None:
    """Let no further call begin."""
    entries = list(suspend_customer(customer=customer, actor=actor).entries)
    for key in Key.objects.for_scope(customer.tenant, customer.mode).filter(
        customer=customer, revoked_at=None
    ):
        entries += revoke_key(key=key, actor=actor).entries
    publish_now(entries, control=control)


@transaction.atomic
def _erase_rows(customer: Customer, actor: Actor, *, given_up: list[Pending]) -> Change[Customer]:
    row = lock_customer(customer)
    known = _gather(row)
    digest = external_digest(row.external_id)
    trail = Trail(row.tenant, row.mode, actor)
    after = {"given_up": {each.what: len(each.ids) for each in given_up}}
    trail.audit("customer.erase", row, after=after)
    for held in FIELDS:
        if held.path:
            _apply(held, row, digest)
    CustomerMap.objects.filter(customer=row).update(state=CustomerMap.State.UNMAPPED)
    Outbox.objects.filter(tenant=row.tenant, object_id__in=known.ids).update(last_error="")
    StripeEvent.objects.filter(tenant=row.tenant, object_id__in=known.stripe_ids).update(object_id="")
    _drop_answers(row, known)
    _redact(row, known)
    row.refresh_from_db()
    row.erased_at = timezone.now()
    row.save(update_fields=["erased_at", "updated_at"])
    touch_customer(row, trail)
    return trail.done(row)


def _gather(row: Customer) -> _Known:
    mapping = CustomerMap.objects.filter(customer=row).first()
    stripe = (
        [mapping.stripe_customer_id, mapping.subscription_id, mapping.subscription_item_id] if mapping else []
    )
    for label, field in (("billing.TopUp", "session_id"), ("billing.TopUp", "payment_intent_id")):
        stripe += _model(label)._default_manager.filter(prepaid__customer=row).values_list(field, flat=True)
    stripe += (
        _model("billing.PeriodInvoice")
        ._default_manager.filter(customer=row)
        .values_list("invoice_id", flat=True)
    )
    stripe_ids = tuple(sorted({text for text in stripe if text}))
    words = {row.external_id, row.name, *_leaves(row.metadata), *stripe_ids} - {""}
    ids = [row.pk, *Key.objects.filter(customer=row).values_list("pk", flat=True)]
    ids += Budget.objects.filter(customer=row).values_list("pk", flat=True)
    if mapping:
        ids.append(mapping.pk)
    return _Known(tuple(sorted(words)), tuple(map(str, ids)), stripe_ids)


def _apply(held: Held, customer: Customer, digest: str) -> None:
    """Do to one field what the registry says."""
    wanted = customer.pk if held.path == "id" else customer
    rows = _model(held.model)._default_manager.filter(**{held.path: wanted})
    if held.effect is Effect.EMPTIED:
        if held.model == "billing.CustomerMap":
            rows.update(state=CustomerMap.State.UNMAPPED)  # one that names nobody
        rows.update(**{held.field: held.empty})
    elif held.effect is Effect.NUMBERED:
        for row in rows:
            word = digest if held.model == "tenants.Customer" else str(row.pk)
            _model(held.model)._default_manager.filter(pk=row.pk).update(
                **{held.field: f"{ERASED_MARK}{word}"}
            )


def _drop_answers(row: Customer, known: _Known) -> None:
    """Forget kept answers that tell of the customer: they are sealed, so each has to be opened."""
    box = credential_box()
    told = [word for word in (*known.words, row.pk) if len(word) > 2]
    for answer in IdempotentAnswer.objects.for_tenant(row.tenant):
        sealed = answer.sealed_body
        body = box.open(sealed, context=f"{answer.tenant_id}:answer:{answer.pk}") if sealed else ""
        if any(word in body or word in answer.idempotency_key for word in told):
            answer.delete()


def _redact(row: Customer, known: _Known) -> None:
    """Change what the app may not change itself, by the owner's functions."""
    tenant, words = row.tenant_id, list(known.words)
    with connections["default"].cursor() as cursor:
        cursor.execute(
            "SELECT farebox_redact_audit(%s, %s::text[], %s::text[], %s::text[])",
            [tenant, list(known.ids), list(TOLD), words],
        )
        cursor.execute("SELECT farebox_erase_tags(%s, %s, %s)", [tenant, row.mode, row.pk])
        cursor.execute("SELECT farebox_erase_letters(%s, %s)", [tenant, row.pk])
        cursor.execute("SELECT farebox_erase_credit_sources(%s, %s)", [tenant, row.pk])


def _leaves(value: Any) -> Iterator[str]:
    """Every text within a JSON value."""
    if isinstance(value, dict):
        for each in value.values():
            yield from _leaves(each)
    elif isinstance(value, list):
        for each in value:
            yield from _leaves(each)
    elif isinstance(value, str):
        yield value


def _model(label: str) -> type[Model]:
    return apps.get_model(label)
