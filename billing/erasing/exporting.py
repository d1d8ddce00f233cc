"""Everything held about a customer, as one JSON document made piece by piece."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import QuerySet

from billing.models import LedgerRow, TagSet
from enforcement.keys import Scope
from tenants.models import AuditEntry, Customer

# model: (what leads from its row to the customer, columns that are secrets or ours alone)
TABLES: dict[str, tuple[str, frozenset[str]]] = {
    "tenants.Customer": ("id", frozenset()),
    "tenants.Key": ("customer", frozenset({"digest"})),
    "tenants.Budget": ("customer", frozenset()),
    "billing.CustomerMap": ("customer", frozenset()),
    "billing.BillingCursor": ("customer", frozenset()),
    "billing.PeriodClose": ("customer", frozenset()),
    "billing.Push": ("customer", frozenset()),
    "billing.PushAttempt": ("push__customer", frozenset({"key_last4"})),
    "billing.PrepaidBudget": ("customer", frozenset()),
    "billing.TopUp": ("prepaid__customer", frozenset()),
    "billing.PrepaidEntry": ("prepaid__customer", frozenset()),
    "billing.PeriodInvoice": ("customer", frozenset()),
    "billing.DunningCase": ("customer", frozenset()),
    "billing.ReconRow": ("customer", frozenset()),
}
ROWS_AT_ONCE = 500


def export_customer(customer: Customer, scope: Scope) -> Iterator[str]:
    """Write a customer's data: an object of tables, each a list of rows as they stand."""
    yield '{"customer_id":' + json.dumps(customer.pk)
    for label, (path, hidden) in TABLES.items():
        wanted = customer.pk if path == "id" else customer
        rows = apps.get_model(label)._default_manager.filter(**{path: wanted}).order_by("pk")
        yield from _table(label.partition(".")[2].lower(), rows, hidden)
    ids = [
        customer.pk,
        *customer.keys.values_list("pk", flat=True),
        *customer.budgets.values_list("pk", flat=True),
    ]
    entries = AuditEntry.objects.for_tenant(customer.tenant).filter(object_id__in=ids).order_by("pk")
    yield from _table("auditentry", entries, frozenset())
    booked = LedgerRow.objects.for_scope(scope).filter(customer_id=customer.pk)
    sets = TagSet.objects.filter(
        tenant_id=scope.tenant_id, tag_set_id__in=booked.exclude(tag_set_id="").values("tag_set_id")
    )
    yield from _table("tags", sets, frozenset())
    yield from _table("ledger_row", booked.order_by("month", "event_id"), frozenset())
    yield "}"


def _table(name: str, rows: QuerySet[Any], hidden: frozenset[str]) -> Iterator[str]:
    yield f",{json.dumps(name)}:["
    for number, row in enumerate(rows.values().iterator(chunk_size=ROWS_AT_ONCE)):
        shown = {column: value for column, value in row.items() if column not in hidden}
        yield ("," if number else "") + json.dumps(shown, cls=DjangoJSONEncoder, ensure_ascii=False)
    yield "]"
