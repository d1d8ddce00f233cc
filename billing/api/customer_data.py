"""A customer's data by API: taken out whole, and erased."""

from __future__ import annotations

from django.http import StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from billing.erasing.erasing import erase_customer
from billing.erasing.exporting import export_customer
from billing.errors import ErasurePending
from enforcement.keys import Scope
from tenants.actions.recording import Trail
from tenants.api.problems import problem_response
from tenants.api.scoped import ScopedView
from tenants.models import Customer
from tenants.publishing import publish_now


class EraseIn(serializers.Serializer[Customer]):
    """How to erase a customer."""

    force = serializers.BooleanField(
        default=False, help_text="give up what waits for somebody: unresolved rows, usage and pushes not sent"
    )


class ErasedOut(serializers.Serializer[Customer]):
    """An erased customer."""

    id = serializers.CharField()
    erased_at = serializers.DateTimeField()
    pending = serializers.BooleanField(help_text="true while enforcement could not be told yet")


class CustomerExportView(ScopedView):
    """Everything held about a customer."""

    scope_noun = "customers"

    @extend_schema(
        operation_id="customers_export", responses={(200, "application/json"): OpenApiTypes.OBJECT}
    )
    def get(self, request: Request, customer_id: str) -> HttpResponseBase:
        """Download all that is held about a customer as one JSON document; it is an audit entry."""
        row = get_object_or_404(Customer.objects.for_scope(self.tenant, self.mode), pk=customer_id)
        Trail(self.tenant, self.mode, self.actor).audit("customer.export", row)
        scope = Scope(self.tenant.pk, self.mode)
        response = StreamingHttpResponse(export_customer(row, scope), content_type="application/json")
        response["Content-Disposition"] = f'attachment; filename="{row.pk}.json"'
        return response


class CustomerEraseView(ScopedView):
    """The end of a customer's data."""

    scope_noun = "customers"

    @extend_schema(operation_id="customers_erase", request=EraseIn, responses=ErasedOut)
    def post(self, request: Request, customer_id: str) -> Response:
        """Erase a customer: who it was goes, amounts and rows stay. 409 names what has to end first."""
        given = EraseIn(data=request.data)
        given.is_valid(raise_exception=True)
        row = get_object_or_404(
            Customer.objects.for_scope(self.tenant, self.mode).select_related("tenant"), pk=customer_id
        )
        try:
            change = erase_customer(customer=row, actor=self.actor, force=given.validated_data["force"])
        except ErasurePending as error:
            open_things = [{"what": each.what, "ids": list(each.ids)} for each in error.pending]
            return problem_response(409, error.code, str(error), pending=open_things)
        in_force = publish_now(change.entries)
        body = {"id": row.pk, "erased_at": change.row.erased_at, "pending": not in_force}
        return Response(body, status=200 if in_force else 202)
