"""What a tenant sets for pushing, over HTTP: exchange rates, and a webhook that takes its pushes."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from billing.models import ExchangeRate, PushDestination
from billing.pushing.destinations import add_rate, format_rate, put_destination
from tenants.api.scoped import ScopedView
from tenants.api.serializers import Plain


class RateIn(Plain):
    """What a dollar is in a currency, from a day on."""

    currency = serializers.CharField(max_length=3)
    day = serializers.DateField()
    rate = serializers.CharField(max_length=20, help_text='how much of it a dollar is, such as "0.921"')


class RateOut(serializers.Serializer[Any]):
    """A dated rate; it never changes."""

    currency = serializers.CharField()
    day = serializers.DateField()
    rate = serializers.CharField()


class DestinationIn(Plain):
    """Where pushes go while no Stripe account is connected."""

    url = serializers.CharField(max_length=500)
    currency = serializers.CharField(max_length=3, default="usd")


class DestinationOut(serializers.Serializer[Any]):
    """A webhook that takes pushes. ``secret`` is there once: when it was made."""

    id = serializers.CharField()
    url = serializers.CharField()
    currency = serializers.CharField()
    unit_minor = serializers.IntegerField()
    status = serializers.CharField()
    why = serializers.CharField()
    secret = serializers.CharField(required=False)


class RatesView(ScopedView):
    """Exchange rates."""

    scope_noun = "billing"

    @extend_schema(operation_id="billing_rates_list", responses=RateOut(many=True))
    def get(self, request: Request) -> Response:
        """List exchange rates, newest day first."""
        rows = ExchangeRate.objects.for_scope(self.tenant, self.mode)
        return self.page(rows, lambda found: [_rate_shape(row) for row in found], by=("-day", "-id"))

    @extend_schema(operation_id="billing_rates_create", request=RateIn, responses={201: RateOut})
    def post(self, request: Request) -> Response:
        """Give a rate from a day on; it stays as it is, a later day's follows it."""
        given = RateIn(data=request.data)
        given.is_valid(raise_exception=True)
        row = add_rate(tenant=self.tenant, mode=self.mode, actor=self.actor, **given.validated_data)
        return Response(_rate_shape(row), status=201)


class DestinationsView(ScopedView):
    """The webhook that takes pushes."""

    scope_noun = "billing"

    @extend_schema(operation_id="billing_destinations_list", responses=DestinationOut(many=True))
    def get(self, request: Request) -> Response:
        """List the destination of the key's mode: one or none."""
        rows = PushDestination.objects.for_scope(self.tenant, self.mode)
        return self.page(rows, lambda found: [_destination_shape(row) for row in found])

    @extend_schema(operation_id="billing_destinations_put", request=DestinationIn, responses=DestinationOut)
    def put(self, request: Request) -> Response:
        """Set where pushes go, with a fresh signing secret."""
        given = DestinationIn(data=request.data)
        given.is_valid(raise_exception=True)
        made = put_destination(tenant=self.tenant, mode=self.mode, actor=self.actor, **given.validated_data)
        return Response({**_destination_shape(made.row), "secret": made.secret})


def _rate_shape(row: ExchangeRate) -> dict[str, Any]:
    shown = {"currency": row.currency, "day": row.day, "rate": format_rate(row.rate_nano)}
    return dict(RateOut(shown).data)


def _destination_shape(row: PushDestination) -> dict[str, Any]:
    names = ("id", "url", "currency", "unit_minor", "status", "why")
    return {name: getattr(row, name) for name in names}
