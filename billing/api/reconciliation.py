"""Reconciliation over HTTP: hours compared, their export, taking a surplus back, and the months that were closed."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from billing.api.pushes import PushOut, push_shape
from billing.api.serializers import SignedUsdField
from billing.models import MonthClose, ReconRow
from billing.stripe.fixing import fix_with_delta
from billing.stripe.recon_listing import (
    CSV_ROWS_MAX,
    FILTERS,
    fixable_units,
    recon_csv_lines,
    recon_rows_of,
    why_of,
)
from metering.money import format_usd
from tenants.api.scoped import ScopedView
from tenants.api.serializers import Plain
from tenants.errors import InvalidInput


class ReconOut(serializers.Serializer[Any]):
    """One hour of a customer on a meter, as books, pushes and Stripe say."""

    id = serializers.CharField()
    hour = serializers.DateTimeField()
    customer = serializers.CharField()
    meter = serializers.CharField()
    ledger_usd = SignedUsdField(help_text="what the books charge for usage of this hour")
    pushed_units = serializers.IntegerField()
    doubtful_units = serializers.IntegerField()
    stripe_units = serializers.CharField(help_text="exact, as a decimal")
    state = serializers.ChoiceField(choices=ReconRow.State.values)
    why = serializers.CharField(allow_null=True)
    fixable_units = serializers.IntegerField(allow_null=True, help_text="what a fix would take back")
    fixed_by = serializers.CharField(allow_null=True)
    since = serializers.DateTimeField()
    checked_at = serializers.DateTimeField()


class FixIn(Plain):
    """How much to take back: the number that was shown."""

    units = serializers.IntegerField(min_value=1)


class CloseOut(serializers.Serializer[Any]):
    """A month that was closed for good."""

    month = serializers.CharField()
    closed_at = serializers.DateTimeField()
    charge_usd = SignedUsdField()
    figures = serializers.JSONField()
    differences = serializers.JSONField()


class ReconsView(ScopedView):
    """All compared hours."""

    scope_noun = "billing"

    @extend_schema(
        operation_id="billing_reconciliation_list",
        parameters=[*(OpenApiParameter(name) for name in FILTERS)],
        responses=ReconOut(many=True),
    )
    def get(self, request: Request) -> Response:
        """List compared hours, newest first; ``state=differing`` for what does not agree."""
        rows = recon_rows_of(self.tenant, self.mode, _wanted(request))
        return self.page(rows, lambda found: [recon_shape(row) for row in found], by=("-hour", "-id"))


class ReconsExportView(ScopedView):
    """All compared hours as CSV."""

    scope_noun = "billing"

    @extend_schema(
        operation_id="billing_reconciliation_export",
        parameters=[*(OpenApiParameter(name) for name in FILTERS)],
        responses={(200, "text/csv"): OpenApiTypes.STR},
    )
    def get(self, request: Request) -> HttpResponse:
        """Download compared hours as CSV, newest first."""
        rows = recon_rows_of(self.tenant, self.mode, _wanted(request))[:CSV_ROWS_MAX]
        return HttpResponse("".join(recon_csv_lines(rows.iterator(chunk_size=1000))), content_type="text/csv")


class ReconFixView(ScopedView):
    """Taking back what Stripe has too much of."""

    scope_noun = "billing"

    @extend_schema(
        operation_id="billing_reconciliation_fix",
        request=FixIn,
        responses={200: PushOut, 409: OpenApiResponse(description="there is nothing to take back")},
    )
    def post(self, request: Request, recon_id: str) -> Response:
        """Push the difference of an hour back, in the open period. Never done by itself."""
        rows = recon_rows_of(self.tenant, self.mode)
        row = rows.filter(pk=recon_id).first() if recon_id.isascii() and recon_id.isdigit() else None
        if row is None:
            raise Http404
        given = FixIn(data=request.data)
        given.is_valid(raise_exception=True)
        units = given.validated_data["units"]
        return Response(push_shape(fix_with_delta(row, units=units, actor=self.actor, now=timezone.now())))


class ClosesView(ScopedView):
    """Closed months."""

    scope_noun = "billing"

    @extend_schema(operation_id="billing_month_closes_list", responses=CloseOut(many=True))
    def get(self, request: Request) -> Response:
        """List closed months with what did not add up then, newest first."""
        rows = MonthClose.objects.for_scope(self.tenant, self.mode)
        return self.page(rows, lambda found: [close_shape(row) for row in found], by=("-month", "-id"))


def recon_shape(row: ReconRow) -> dict[str, Any]:
    """A compared hour in JSON."""
    return {
        "id": str(row.pk), "hour": row.hour, "customer": row.customer_id, "meter": row.meter_id,
        "ledger_usd": format_usd(row.ledger_nanousd), "pushed_units": row.pushed_units,
        "doubtful_units": row.doubtful_units, "stripe_units": f"{row.stripe_units.normalize():f}",
        "state": row.state, "why": why_of(row) or None, "fixable_units": fixable_units(row),
        "fixed_by": row.fix_id, "since": row.since, "checked_at": row.checked_at,
    }  # fmt: skip


def close_shape(row: MonthClose) -> dict[str, Any]:
    """A closed month in JSON."""
    first, *sums = row.figures
    return {
        "month": f"{row.month:%Y-%m}", "closed_at": row.closed_at,
        "charge_usd": format_usd(int(first["month_nanousd"])), "figures": sums, "differences": row.differences,
    }  # fmt: skip


def _wanted(request: Request) -> dict[str, str]:
    wanted = {name: request.query_params[name] for name in FILTERS if name in request.query_params}
    if any("\0" in value for value in wanted.values()):
        raise InvalidInput("filter", "a filter holds a NUL character")
    return wanted
