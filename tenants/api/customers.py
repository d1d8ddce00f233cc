"""Customers: list, make, change, upsert by the tenant's own id, import from CSV."""

from __future__ import annotations

from typing import Any

from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.parsers import BaseParser, JSONParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from tenants.actions import customers as actions
from tenants.actions.customer_import import ImportReport, import_customers_csv
from tenants.api.problems import Problem
from tenants.api.scoped import ScopedView
from tenants.api.serializers import CustomerIn, CustomerOut, CustomerPatch
from tenants.models import Customer
from tenants.publishing import publish_now


def shape(customer: Customer) -> dict[str, Any]:
    """A customer as JSON."""
    return dict(CustomerOut(customer).data)


class CustomersView(ScopedView):
    """All customers of the key's mode."""

    scope_noun = "customers"

    @extend_schema(
        operation_id="customers_list",
        parameters=[OpenApiParameter("external_id"), OpenApiParameter("state")],
        responses=CustomerOut(many=True),
    )
    def get(self, request: Request) -> Response:
        """List customers, newest first."""
        rows = Customer.objects.for_scope(self.tenant, self.mode)
        for field in ("external_id", "state"):
            if field in request.query_params:
                rows = rows.filter(**{field: request.query_params[field]})
        return self.page(rows, lambda found: [shape(row) for row in found])

    @extend_schema(operation_id="customers_create", request=CustomerIn, responses={201: CustomerOut})
    def post(self, request: Request) -> Response:
        """Make a customer."""
        given = CustomerIn(data=request.data)
        given.is_valid(raise_exception=True)
        values = dict(given.validated_data)
        external_id = values.pop("external_id")
        return self.carry_out(
            lambda: actions.create_customer(
                tenant=self.tenant, mode=self.mode, actor=self.actor, external_id=external_id, values=values
            ),
            shape,
        )


class CustomerView(ScopedView):
    """One customer."""

    scope_noun = "customers"

    def _row(self, customer_id: str) -> Customer:
        return get_object_or_404(Customer.objects.for_scope(self.tenant, self.mode), pk=customer_id)

    @extend_schema(operation_id="customers_get", responses=CustomerOut)
    def get(self, request: Request, customer_id: str) -> Response:
        """Read a customer."""
        return Response(shape(self._row(customer_id)))

    @extend_schema(operation_id="customers_change", request=CustomerPatch, responses=CustomerOut)
    def patch(self, request: Request, customer_id: str) -> Response:
        """Change a customer, in force for its next request."""
        row = self._row(customer_id)
        given = CustomerPatch(data=request.data)
        given.is_valid(raise_exception=True)
        return self.carry_out(
            lambda: actions.change_customer(customer=row, actor=self.actor, values=given.validated_data),
            shape,
        )


class CustomerByExternalIdView(ScopedView):
    """One customer by the tenant's own id."""

    scope_noun = "customers"

    @extend_schema(operation_id="customers_get_by_external_id", responses=CustomerOut)
    def get(self, request: Request, external_id: str) -> Response:
        """Read a customer by the tenant's own id."""
        rows = Customer.objects.for_scope(self.tenant, self.mode)
        return Response(shape(get_object_or_404(rows, external_id=external_id)))

    @extend_schema(
        operation_id="customers_upsert", request=CustomerPatch, responses={200: CustomerOut, 201: CustomerOut}
    )
    def put(self, request: Request, external_id: str) -> Response:
        """Make the customer of this external id, or change it; what is not given stays as it is."""
        given = CustomerPatch(data=request.data)
        given.is_valid(raise_exception=True)
        return self.carry_out(
            lambda: actions.upsert_customer(
                tenant=self.tenant,
                mode=self.mode,
                actor=self.actor,
                external_id=external_id,
                values=given.validated_data,
            ),
            shape,
        )


class CsvParser(BaseParser):
    """Takes a CSV file as the request's body."""

    media_type = "text/csv"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> dict[str, Any]:
        """Read the body as text."""
        return {"csv": _decoded(stream.read())}


class ImportedLineOut(serializers.Serializer[Any]):
    """What became of one line; the header is line 1."""

    line = serializers.IntegerField()
    external_id = serializers.CharField()
    outcome = serializers.ChoiceField(choices=("created", "changed", "failed"))
    customer_id = serializers.CharField()
    error = serializers.CharField()


class ImportOut(serializers.Serializer[Any]):
    """What became of every line."""

    created = serializers.IntegerField()
    changed = serializers.IntegerField()
    failed = serializers.IntegerField()
    pending = serializers.BooleanField()
    lines = ImportedLineOut(many=True)


class CustomerImportView(ScopedView):
    """Customers from a CSV file."""

    scope_noun = "customers"
    parser_classes = [CsvParser, MultiPartParser, JSONParser]

    @extend_schema(
        operation_id="customers_import",
        request={
            "text/csv": OpenApiTypes.STR,
            "multipart/form-data": {
                "type": "object",
                "properties": {"file": {"type": "string", "format": "binary"}},
            },
            "application/json": {"type": "object", "properties": {"csv": {"type": "string"}}},
        },
        responses=ImportOut,
    )
    def post(self, request: Request) -> Response:
        """Make or change a customer per line: external_id, name, limit_usd, window, on_exhaustion, markup_percent,
        metadata.*. A bad line changes nothing and is reported; the others stand.
        """
        text = csv_text(request)
        report = import_customers_csv(tenant=self.tenant, mode=self.mode, actor=self.actor, text=text)
        in_force = publish_now(report.entries)
        return Response(_shape_report(report, pending=not in_force), status=200 if in_force else 202)


def csv_text(request: Request) -> str:
    """The CSV file of a request, in whichever of three ways it was sent."""
    upload = request.FILES.get("file") if hasattr(request.data, "getlist") else None
    if upload is not None:
        return _decoded(upload.read())
    given = request.data.get("csv") if isinstance(request.data, dict) else None
    if not isinstance(given, str):
        raise Problem(
            400, "invalid_request", "send the file as text/csv, as multipart field file, or as JSON field csv"
        )
    return given


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Problem(400, "invalid_request", f"the file is not UTF-8: byte {error.start}") from error


def _shape_report(report: ImportReport, *, pending: bool) -> dict[str, Any]:
    counts = {outcome: report.count(outcome) for outcome in ("created", "changed", "failed")}
    return {**counts, "pending": pending, "lines": ImportedLineOut(report.lines, many=True).data}
