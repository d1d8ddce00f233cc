"""Who the customers are at Stripe, by API: listed, also those who are nobody there, said, made, matched, imported."""

from __future__ import annotations

from collections import Counter
from typing import Any

from django.db.models import Q
from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.parsers import JSONParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from billing.api.stripe_serializers import (
    MapImportOut,
    MapIn,
    MapOut,
    MatchedOut,
    SubscribeIn,
    shape_map,
)
from billing.api.stripe_views import StripeView
from billing.models import CustomerMap, StripeMeter
from billing.stripe import mapping as actions
from billing.stripe.catalog import subscribe
from billing.stripe.connecting import noting
from billing.stripe.mapping_import import export_mappings_csv, import_mappings_csv
from tenants import rules
from tenants.api.customers import CsvParser, csv_text
from tenants.models import Customer


class MapsBase(StripeView):
    """What the views of mappings share."""

    def customer(self, customer_id: str) -> Customer:
        """The caller's customer of this id, else 404."""
        rows = Customer.objects.for_scope(self.tenant, self.mode).select_related("tenant", "stripe_map")
        return get_object_or_404(rows, pk=customer_id)

    def mapping(self, customer_id: str) -> CustomerMap:
        """The mapping of the caller's customer, else 404."""
        rows = CustomerMap.objects.for_scope(self.tenant, self.mode)
        return get_object_or_404(
            rows.select_related("connection__tenant", "customer"), customer_id=customer_id
        )


class MapsView(MapsBase):
    """All customers of the key's mode with who they are at Stripe."""

    @extend_schema(
        operation_id="billing_customer_maps_list",
        parameters=[OpenApiParameter("state", enum=CustomerMap.State.values)],
        responses=MapOut(many=True),
    )
    def get(self, request: Request) -> Response:
        """List customers, newest first, mapped or not; ``state=unmapped`` are those whose usage waits."""
        rows = Customer.objects.for_scope(self.tenant, self.mode).select_related("stripe_map")
        state = request.query_params.get("state")
        if state:
            wanted = Q(stripe_map__state=rules.one_of("state", state, CustomerMap.State.values))
            rows = rows.filter(wanted | Q(stripe_map=None) if state == CustomerMap.State.UNMAPPED else wanted)
        return self.page(
            rows, lambda found: [shape_map(row, getattr(row, "stripe_map", None)) for row in found]
        )


class MapView(MapsBase):
    """One customer's mapping."""

    @extend_schema(operation_id="billing_customer_maps_get", responses=MapOut)
    def get(self, request: Request, customer_id: str) -> Response:
        """Read who a customer is at Stripe, as last read there."""
        row = self.customer(customer_id)
        return Response(shape_map(row, getattr(row, "stripe_map", None)))

    @extend_schema(operation_id="billing_customer_maps_set", request=MapIn, responses=MapOut)
    def put(self, request: Request, customer_id: str) -> Response:
        """Say who a customer is at Stripe, or make the customer there; usage that waited goes on."""
        row = self.customer(customer_id)
        given = MapIn(data=request.data)
        given.is_valid(raise_exception=True)
        values, connection = given.validated_data, self.connection
        with noting(connection):
            if values["new"]:
                change = actions.create_buyer(
                    connection=connection, customer=row, actor=self.actor, email=values["email"]
                )
            else:
                change = actions.map_customer(
                    connection=connection, customer=row, actor=self.actor,
                    stripe_customer_id=values["stripe_customer_id"],
                )  # fmt: skip
        return Response(shape_map(row, change.row))

    @extend_schema(operation_id="billing_customer_maps_delete", responses={200: MapOut})
    def delete(self, request: Request, customer_id: str) -> Response:
        """Take a mapping away; the customer's usage waits from now on."""
        row = self.mapping(customer_id)
        return Response(shape_map(row.customer, actions.unmap_customer(mapping=row, actor=self.actor).row))


class MapRefreshView(MapsBase):
    """One mapping, read again."""

    @extend_schema(operation_id="billing_customer_maps_refresh", request=None, responses=MapOut)
    def post(self, request: Request, customer_id: str) -> Response:
        """Read the customer and its subscriptions at Stripe again."""
        row = self.mapping(customer_id)
        with noting(row.connection):
            fresh = actions.refresh_mapping(row)
        return Response(shape_map(row.customer, fresh))


class MapSubscribeView(MapsBase):
    """One customer put on a price."""

    @extend_schema(operation_id="billing_customer_maps_subscribe", request=SubscribeIn, responses=MapOut)
    def post(self, request: Request, customer_id: str) -> Response:
        """Put a mapped customer on a meter's price: on a subscription it has, or on one of its own."""
        row = self.mapping(customer_id)
        given = SubscribeIn(data=request.data)
        given.is_valid(raise_exception=True)
        values = given.validated_data
        meters = StripeMeter.objects.for_scope(self.tenant, self.mode).filter(
            status=StripeMeter.Status.ACTIVE
        )
        meter = get_object_or_404(
            meters.select_related("tenant"), currency=values["currency"], line=values["line"]
        )
        with noting(row.connection):
            change = subscribe(
                mapping=row, meter=meter, actor=self.actor, subscription_id=values["subscription_id"]
            )
        return Response(shape_map(row.customer, change.row))


class MapsMatchView(MapsBase):
    """Customers found by themselves."""

    @extend_schema(operation_id="billing_customer_maps_match", request=None, responses=MatchedOut)
    def post(self, request: Request) -> Response:
        """Map every unmapped customer whose external id a Stripe customer carries as ``farebox_external_id``."""
        connection = self.connection
        with noting(connection):
            made = actions.match_by_metadata(connection=connection, actor=self.actor)
        shaped = [shape_map(row.customer, row) for row in made]
        return Response({"matched": len(shaped), "maps": shaped})


class MapsImportView(MapsBase):
    """Mappings from a CSV file."""

    parser_classes = [CsvParser, MultiPartParser, JSONParser]

    @extend_schema(
        operation_id="billing_customer_maps_import",
        request={
            "text/csv": OpenApiTypes.STR,
            "multipart/form-data": {
                "type": "object",
                "properties": {"file": {"type": "string", "format": "binary"}},
            },
            "application/json": {"type": "object", "properties": {"csv": {"type": "string"}}},
        },
        responses=MapImportOut,
    )
    def post(self, request: Request) -> Response:
        """Map a customer per line: external_id, stripe_customer_id. Each is checked at Stripe."""
        connection = self.connection
        with noting(connection):
            lines = import_mappings_csv(connection=connection, actor=self.actor, text=csv_text(request))
        counts: Counter[str] = Counter(line.outcome for line in lines)
        told: dict[str, Any] = {outcome: counts[outcome] for outcome in ("mapped", "unchanged", "failed")}
        return Response(MapImportOut({**told, "lines": lines}).data)


class MapsExportView(MapsBase):
    """Mappings as a CSV file."""

    @extend_schema(
        operation_id="billing_customer_maps_export", responses={(200, "text/csv"): OpenApiTypes.STR}
    )
    def get(self, request: Request) -> HttpResponse:
        """All customers with who they are at Stripe, in the columns that the import takes and a few more."""
        text = export_mappings_csv(self.tenant, self.mode)
        named = {"Content-Disposition": 'attachment; filename="farebox-stripe-customers.csv"'}
        return HttpResponse(text, content_type="text/csv; charset=utf-8", headers=named)
