"""Ledger rows as they stand, above all those whose truth is still to come."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from billing.api.serializers import RowOut, row_shape
from billing.api.views import LedgerView, NewestStarted
from billing.ledger.requests import FILTERS
from billing.ledger.unresolved import corrections_of, resolved_rows, unresolved_rows
from billing.models import LedgerRow
from tenants.errors import InvalidInput


class LedgerRowOut(RowOut):
    """One ledger row, the call it is about, and what was booked to correct it."""

    request_id = serializers.CharField()
    customer = serializers.CharField(allow_null=True)
    key = serializers.CharField()
    run = serializers.CharField(allow_null=True)
    corrections = serializers.ListField(child=serializers.CharField(), help_text="event ids, oldest first")


class RowsView(LedgerView):
    """All ledger rows."""

    @extend_schema(
        operation_id="ledger_list",
        parameters=[
            *(OpenApiParameter(name) for name in FILTERS),
            OpenApiParameter(
                "resolved",
                OpenApiTypes.BOOL,
                description="unresolved rows alone: those a correction has (true) or has not (false) followed",
            ),
            OpenApiParameter("from", OpenApiTypes.DATETIME, description="begun at or after"),
            OpenApiParameter("to", OpenApiTypes.DATETIME, description="begun before"),
        ],
        responses=LedgerRowOut(many=True),
    )
    def get(self, request: Request) -> Response:
        """List ledger rows, newest first. ``basis=unresolved&resolved=false`` is what waits for somebody's word."""
        paginator = NewestStarted()
        rows = paginator.paginate_queryset(self.narrowed(self._asked()), request, view=self) or []
        corrections = corrections_of(self.ledger_scope, rows)
        return paginator.get_paginated_response(
            [_shape(row, corrections.get(row.event_id, [])) for row in rows]
        )

    def _asked(self) -> QuerySet[LedgerRow]:
        resolved = self.request.query_params.get("resolved")
        if resolved is None:
            return LedgerRow.objects.for_scope(self.ledger_scope)
        if resolved not in {"true", "false"}:
            raise InvalidInput("resolved", f"resolved is true or false, not {resolved!r}")
        return (resolved_rows if resolved == "true" else unresolved_rows)(self.ledger_scope)


def _shape(row: LedgerRow, corrections: list[str]) -> dict[str, Any]:
    return {
        **row_shape(row),
        "request_id": row.request_id,
        "customer": row.customer_id or None,
        "key": row.key_id,
        "run": row.run_id or None,
        "corrections": corrections,
    }
