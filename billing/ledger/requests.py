"""Calls as the ledger knows them: all rows of one request, attempts and corrections together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from django.db.models import Exists, OuterRef, Q, QuerySet

from billing.models import LedgerRow, TagSet
from enforcement.keys import Scope

# What a list of calls may be narrowed by, and the column it is.
FILTERS = {
    "customer": "customer_id",
    "key": "key_id",
    "account": "account_id",
    "provider": "provider",
    "model": "model",
    "price": "price_id",
    "kind": "kind",
    "basis": "basis",
    "run": "run_id",
}


def first_rows(scope: Scope) -> QuerySet[LedgerRow]:
    """The first row of each call: one line per call in a list, stable while later rows are added."""
    earlier = LedgerRow.objects.filter(
        Q(started_at__lt=OuterRef("started_at"))
        | Q(started_at=OuterRef("started_at"), event_id__lt=OuterRef("event_id")),
        request_id=OuterRef("request_id"),
        tenant_id=OuterRef("tenant_id"),
        mode=OuterRef("mode"),
    )
    return LedgerRow.objects.for_scope(scope).filter(~Exists(earlier))


def rows_of_requests(scope: Scope, request_ids: Iterable[str]) -> dict[str, list[LedgerRow]]:
    """All rows of calls, in the order they were booked, by request id; calls of another tenant or mode have none."""
    rows = LedgerRow.objects.for_scope(scope).filter(request_id__in=list(request_ids))
    grouped: defaultdict[str, list[LedgerRow]] = defaultdict(list)
    for row in rows.order_by("epoch", "seq", "event_id"):
        grouped[row.request_id].append(row)
    return dict(grouped)


def tags_of(rows: Iterable[LedgerRow]) -> dict[str, dict[str, str]]:
    """The tags behind the tag-set ids of rows; an erased set is simply not there."""
    found = list(rows)
    ids = {row.tag_set_id for row in found} - {""}
    tenants = {row.tenant_id for row in found}
    sets = TagSet.objects.filter(tenant_id__in=tenants, tag_set_id__in=ids)
    return {tag_set.tag_set_id: tag_set.tags for tag_set in sets}
