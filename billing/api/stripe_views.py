"""The connection to Stripe and the meters there, by API."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from billing.api.stripe_serializers import ChecksOut, ConnectionOut, MeterIn, MeterOut, StripeKeyIn
from billing.errors import NotConnected, StripeFailed
from billing.models import StripeConnection, StripeMeter
from billing.stripe import catalog, connecting
from billing.stripe.doctor import examine
from billing.stripe.hooks import register_hooks
from billing.stripe.keys import connection_of
from billing.stripe.outcomes import Verdict
from tenants.api.problems import Problem
from tenants.api.scoped import ScopedView

_AGAIN = {Verdict.RETRY, Verdict.AMBIGUOUS}


class StripeView(ScopedView):
    """A view that may ask Stripe. It holds no transaction meanwhile."""

    scope_noun = "billing"

    @property
    def connection(self) -> StripeConnection:
        """The caller's connection. Raises: NotConnected."""
        return connection_of(self.tenant, self.mode)

    def handle_exception(self, exc: Exception) -> Response:
        """Tell Stripe's refusals as problems of their own."""
        if isinstance(exc, NotConnected):
            exc = Problem(409, exc.code, str(exc))
        elif isinstance(exc, StripeFailed):
            exc = _problem_of(exc)
        return super().handle_exception(exc)


def _problem_of(error: StripeFailed) -> Problem:
    said = error.outcome
    if said is None:
        return Problem(502, error.code, str(error))
    numbers = {"verdict": said.verdict.value, "stripe_code": said.code, "scopes_missing": list(said.scopes)}
    return Problem(503 if said.verdict in _AGAIN else 502, error.code, str(error), **numbers)


def _shape(row: StripeConnection) -> dict[str, Any]:
    return dict(ConnectionOut(row).data)


class ConnectionView(StripeView):
    """The connection of the key's mode."""

    @extend_schema(operation_id="billing_connection_get", responses=ConnectionOut)
    def get(self, request: Request) -> Response:
        """Read the connection; 409 where there is none."""
        return Response(_shape(self.connection))

    @extend_schema(
        operation_id="billing_connection_create", request=StripeKeyIn, responses={201: ConnectionOut}
    )
    def post(self, request: Request) -> Response:
        """Connect a Stripe account with a restricted key; every permission is tried before anything is kept."""
        given = StripeKeyIn(data=request.data)
        given.is_valid(raise_exception=True)
        change = connecting.connect(
            tenant=self.tenant, mode=self.mode, actor=self.actor, api_key=given.validated_data["api_key"]
        )
        return Response(_shape(change.row), status=201)

    @extend_schema(operation_id="billing_connection_delete", responses={200: ConnectionOut})
    def delete(self, request: Request) -> Response:
        """End the connection and forget its key; meters and mappings stay for when the account comes back."""
        return Response(_shape(connecting.disconnect(connection=self.connection, actor=self.actor).row))


class ConnectionRotateView(StripeView):
    """The connection's key."""

    @extend_schema(operation_id="billing_connection_rotate", request=StripeKeyIn, responses=ConnectionOut)
    def post(self, request: Request) -> Response:
        """Give the connection another key of the same Stripe account; what waited for one goes on."""
        given = StripeKeyIn(data=request.data)
        given.is_valid(raise_exception=True)
        change = connecting.rotate_key(
            connection=self.connection, actor=self.actor, api_key=given.validated_data["api_key"]
        )
        return Response(_shape(change.row))


class ConnectionCheckView(StripeView):
    """The connection, looked over."""

    @extend_schema(operation_id="billing_connection_check", request=None, responses=ChecksOut)
    def post(self, request: Request) -> Response:
        """Try everything again and say, check by check, what is wrong and what to do. Nothing at Stripe is changed."""
        change = connecting.recheck(connection=self.connection, actor=self.actor)
        checks = [asdict(check) for check in examine(change.row)]
        return Response(ChecksOut({"status": change.row.status, "checks": checks}).data)


class ConnectionHooksView(StripeView):
    """How events arrive."""

    @extend_schema(operation_id="billing_connection_register_webhook", request=None, responses=ConnectionOut)
    def post(self, request: Request) -> Response:
        """Have Stripe send its events here; again to rotate the signing secrets. 409 where Stripe cannot reach us."""
        connection = self.connection
        with connecting.noting(connection):
            change = register_hooks(connection=connection, actor=self.actor)
        return Response(_shape(change.row))


class MetersView(StripeView):
    """The meters of the key's mode."""

    @extend_schema(operation_id="billing_meters_list", responses=MeterOut(many=True))
    def get(self, request: Request) -> Response:
        """List meters, newest first."""
        rows = StripeMeter.objects.for_scope(self.tenant, self.mode)
        return self.page(rows, lambda found: [dict(MeterOut(row).data) for row in found])

    @extend_schema(operation_id="billing_meters_create", request=MeterIn, responses={201: MeterOut})
    def post(self, request: Request) -> Response:
        """Make or adopt a meter with its product and price for a currency; what is there already is used."""
        given = MeterIn(data=request.data)
        given.is_valid(raise_exception=True)
        terms = catalog.MeterTerms(**given.validated_data)
        connection = self.connection
        with connecting.noting(connection):
            change = catalog.set_up_meter(connection=connection, actor=self.actor, terms=terms)
        return Response(MeterOut(change.row).data, status=201)


class MeterView(StripeView):
    """One meter."""

    def _row(self, meter_id: str) -> StripeMeter:
        rows = StripeMeter.objects.for_scope(self.tenant, self.mode).select_related("tenant")
        return get_object_or_404(rows, pk=meter_id)

    @extend_schema(operation_id="billing_meters_get", responses=MeterOut)
    def get(self, request: Request, meter_id: str) -> Response:
        """Read a meter."""
        return Response(MeterOut(self._row(meter_id)).data)

    @extend_schema(operation_id="billing_meters_archive", responses={200: MeterOut})
    def delete(self, request: Request, meter_id: str) -> Response:
        """Send no more usage to a meter; at Stripe it stays as it is."""
        return Response(MeterOut(catalog.archive_meter(meter=self._row(meter_id), actor=self.actor).row).data)
