"""Prices: a tenant's own dated entries over the base book."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from metering.errors import UnpricedModel
from metering.rates import Price
from tenants import providers
from tenants.actions import prices as actions
from tenants.api.money_serializers import BUCKET_FIELDS, PriceIn, PriceOut
from tenants.api.problems import Problem
from tenants.api.scoped import ScopedView
from tenants.errors import InvalidInput
from tenants.models import PriceEntry
from tenants.pricing.books import base_book
from tenants.projection import milliseconds


def shape(entry: PriceEntry) -> dict[str, Any]:
    """A tenant's own price as JSON."""
    rates = {field: entry.rates[bucket] for field, bucket in BUCKET_FIELDS.items() if bucket in entry.rates}
    tiers = {bucket: [_tier(above, rate) for above, rate in steps] for bucket, steps in entry.tiers.items()}
    row = {
        "id": entry.pk, "provider": entry.provider, "model": entry.model, "from": entry.from_at, "source": "tenant",
        **rates, "per_request_usd": entry.per_request_nanousd, "tiers": tiers, "extras_usd": entry.extras_nanousd,
    }  # fmt: skip
    return dict(PriceOut(row).data)


def shape_base(price: Price) -> dict[str, Any]:
    """A price of the base book as JSON."""
    rates = {
        field: price.rates[bucket].nanousd_per_mtok
        for field, bucket in BUCKET_FIELDS.items()
        if bucket in price.rates
    }
    tiers = {
        bucket: [_tier(*step) for step in rate.tiers] for bucket, rate in price.rates.items() if rate.tiers
    }
    row = {
        "id": price.price_id, "provider": price.provider, "model": price.model, "from": None, "source": price.source,
        **rates, "per_request_usd": price.per_request_nanousd, "tiers": tiers,
        "extras_usd": dict(price.extras_nanousd),
    }  # fmt: skip
    return dict(PriceOut(row).data)


def _tier(above_tokens: int, nanousd_per_mtok: int) -> dict[str, int]:
    return {"above_tokens": above_tokens, "usd_per_mtok": nanousd_per_mtok}


class PricesView(ScopedView):
    """All of the tenant's own prices in the key's mode."""

    scope_noun = "prices"

    @extend_schema(
        operation_id="prices_list",
        parameters=[OpenApiParameter("provider"), OpenApiParameter("model")],
        responses=PriceOut(many=True),
    )
    def get(self, request: Request) -> Response:
        """List the tenant's own price entries, newest first, the past ones too."""
        rows = PriceEntry.objects.for_scope(self.tenant, self.mode)
        if "provider" in request.query_params:
            rows = rows.filter(provider=providers.canonical(request.query_params["provider"]))
        if "model" in request.query_params:
            rows = rows.filter(model=request.query_params["model"])
        return self.page(rows, lambda found: [shape(row) for row in found])


class PriceView(ScopedView):
    """The price of one model."""

    scope_noun = "prices"

    @extend_schema(
        operation_id="prices_get",
        parameters=[OpenApiParameter("at", type=datetime, description="now unless said otherwise")],
        responses=PriceOut,
    )
    def get(self, request: Request, provider: str, model: str) -> Response:
        """Read the price in force: the tenant's own, else the base book's."""
        at = _instant(request.query_params.get("at"))
        name = providers.canonical(provider)
        own = PriceEntry.objects.for_scope(self.tenant, self.mode).filter(
            provider=name, model=model, from_at__lte=at
        )
        entry = own.order_by("-from_at").first()
        if entry is not None:
            return Response(shape(entry))
        try:
            return Response(shape_base(base_book().find(name, model, milliseconds(at))))
        except UnpricedModel as error:
            raise Problem(404, error.code, str(error)) from error

    @extend_schema(operation_id="prices_put", request=PriceIn, responses={200: PriceOut, 201: PriceOut})
    def put(self, request: Request, provider: str, model: str) -> Response:
        """Price a model from now, or from a later instant, on; what was before keeps its price."""
        given = PriceIn(data=request.data)
        given.is_valid(raise_exception=True)
        values = given.validated_data
        tiers = {
            bucket: [(step["above_tokens"], step["usd_per_mtok"]) for step in steps]
            for bucket, steps in values.get("tiers", {}).items()
        }
        terms = actions.PriceTerms(
            rates={bucket: values[field] for field, bucket in BUCKET_FIELDS.items() if field in values},
            tiers=tiers,
            extras_nanousd=values.get("extras_usd", {}),
            per_request_nanousd=values["per_request_usd"],
        )
        return self.carry_out(
            lambda: actions.put_price(
                tenant=self.tenant, mode=self.mode, actor=self.actor, name=(provider, model), terms=terms,
                from_at=values.get("from"),
            ),
            shape,
        )  # fmt: skip


def _instant(text: str | None) -> datetime:
    if text is None:
        return timezone.now()
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput("at", f"{text!r} is no instant such as 2026-01-31T00:00:00Z") from error
    return at if at.tzinfo else at.replace(tzinfo=UTC)
