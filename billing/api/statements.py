"""Statements over HTTP: what a customer is billed for a period, itemised, without what it cost."""

from __future__ import annotations

from typing import Any

from django.db.models import Q
from django.http import Http404
from django.http.response import HttpResponseBase
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, PolymorphicProxySerializer, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from billing.api.serializers import SignedUsdField
from billing.statements.export import csv_answer
from billing.statements.lines import (
    CorrectionLine,
    Statement,
    UsageLine,
    corrections_of,
    statement_of,
    total_of,
)
from billing.statements.periods import Period, find_period
from metering.money import format_usd
from tenants.api.scoped import ScopedView
from tenants.errors import InvalidInput
from tenants.models import Customer
from tenants.percent import format_percent

CORRECTIONS_MAX = 1_000
_PERIOD = OpenApiParameter(
    "period",
    description="``2026-11`` in the tenant's zone, a subscription period's first instant, or ``current`` (the default)",
)


class PeriodOut(serializers.Serializer[Any]):
    """The span a statement covers; ``preview`` while it is running."""

    key = serializers.CharField()
    start = serializers.DateTimeField()
    end = serializers.DateTimeField()
    is_subscription = serializers.BooleanField()
    preview = serializers.BooleanField()


class UnitPriceOut(serializers.Serializer[Any]):
    """What a million tokens of a bucket are charged at; with tiers, long prompts at another rate."""

    bucket = serializers.CharField()
    usd_per_mtok = serializers.CharField()
    has_tiers = serializers.BooleanField()


class UsageLineOut(serializers.Serializer[Any]):
    """All calls of one model and account at one price and markup."""

    model = serializers.CharField()
    provider = serializers.CharField()
    account = serializers.CharField()
    account_name = serializers.CharField()
    price_id = serializers.CharField()
    markup_percent = serializers.CharField()
    usd_per_call = SignedUsdField(help_text="the fixed part of each call's charge")
    calls = serializers.IntegerField()
    tokens = serializers.DictField(child=serializers.IntegerField())
    extras = serializers.DictField(child=serializers.IntegerField())
    unit_prices = UnitPriceOut(many=True)
    charge_usd = SignedUsdField()


class CorrectionLineOut(serializers.Serializer[Any]):
    """A later truth about a call, billed at its own instant; with the call itself where that was unresolved."""

    at = serializers.DateTimeField()
    event_id = serializers.CharField()
    corrects = serializers.CharField()
    request_id = serializers.CharField()
    model = serializers.CharField()
    charge_usd = SignedUsdField()


class UnresolvedOut(serializers.Serializer[Any]):
    """Calls of the period whose charge nobody knows yet: not in the total."""

    calls = serializers.IntegerField()
    held_usd = SignedUsdField()


class StatementOut(serializers.Serializer[Any]):
    """What one customer is billed for one period; the total is the sum of lines and corrections."""

    customer = serializers.CharField()
    external_id = serializers.CharField()
    period = PeriodOut()
    usage = UsageLineOut(many=True)
    corrections = CorrectionLineOut(many=True, help_text=f"the first {CORRECTIONS_MAX}; the file has all")
    correction_count = serializers.IntegerField()
    usage_usd = SignedUsdField()
    corrections_usd = SignedUsdField()
    total_usd = SignedUsdField()
    unresolved = UnresolvedOut()


class StatementTotalOut(serializers.Serializer[Any]):
    """One customer's statement in a line."""

    customer = serializers.CharField()
    external_id = serializers.CharField()
    period = PeriodOut()
    total_usd = SignedUsdField()


class StatementsView(ScopedView):
    """What customers are billed."""

    scope_noun = "billing"

    @extend_schema(
        operation_id="billing_statements_read",
        parameters=[
            OpenApiParameter("customer", description="id or external id; without it, all, in a line each"),
            _PERIOD,
        ],
        responses=PolymorphicProxySerializer(
            component_name="StatementOrTotals",
            serializers=[StatementOut, StatementTotalOut],
            resource_type_field_name=None,
            many=False,
        ),
    )
    def get(self, request: Request) -> Response:
        """Read one customer's statement of a period, or the totals of all customers, newest customer first."""
        wanted = request.query_params.get("customer")
        if wanted is not None:
            customer = customer_named(self, wanted)
            return Response(statement_shape(_statement(customer, request)))
        rows = Customer.objects.for_scope(self.tenant, self.mode).select_related("tenant")
        return self.page(rows, lambda found: [_total_shape(row, request) for row in found])


class StatementExportView(ScopedView):
    """One statement as a file."""

    scope_noun = "billing"

    @extend_schema(
        operation_id="billing_statements_export",
        parameters=[_PERIOD],
        responses={(200, "text/csv"): OpenApiTypes.STR},
    )
    def get(self, request: Request, customer_id: str) -> HttpResponseBase:
        """Download a customer's statement as CSV, with every correction."""
        return csv_answer(_statement(customer_named(self, customer_id), request), request._request)


def customer_named(view: ScopedView, name: str) -> Customer:
    """Find a customer by either of its ids. Raises: InvalidInput, Http404."""
    if "\0" in name:
        raise InvalidInput("customer", "an id holds a NUL character")
    rows = Customer.objects.for_scope(view.tenant, view.mode).select_related("tenant")
    found = rows.filter(Q(pk=name) | Q(external_id=name)).order_by("pk").first()
    if found is None:
        raise Http404
    return found


def statement_shape(statement: Statement) -> dict[str, Any]:
    """A statement as JSON."""
    corrections = corrections_of(statement.customer, statement.period, most=CORRECTIONS_MAX)
    return {
        "customer": statement.customer.pk,
        "external_id": statement.customer.external_id,
        "period": _period_shape(statement.period, is_preview=statement.is_preview),
        "usage": [_usage_shape(line) for line in statement.usage],
        "corrections": [_correction_shape(line) for line in corrections],
        "correction_count": statement.corrections,
        "usage_usd": format_usd(statement.usage_nanousd),
        "corrections_usd": format_usd(statement.corrections_nanousd),
        "total_usd": format_usd(statement.total_nanousd),
        "unresolved": {
            "calls": statement.unresolved,
            "held_usd": format_usd(statement.unresolved_nanousd),
        },
    }


def _statement(customer: Customer, request: Request) -> Statement:
    now = timezone.now()
    period = find_period(customer, request.query_params.get("period", ""), now)
    return statement_of(customer, period, now=now)


def _total_shape(customer: Customer, request: Request) -> dict[str, Any]:
    now = timezone.now()
    period = find_period(customer, request.query_params.get("period", ""), now)
    return {
        "customer": customer.pk,
        "external_id": customer.external_id,
        "period": _period_shape(period, is_preview=period.is_running(now)),
        "total_usd": format_usd(total_of(customer, period)),
    }


def _period_shape(period: Period, *, is_preview: bool) -> dict[str, Any]:
    names = ("key", "start", "end", "is_subscription")
    return {**{name: getattr(period, name) for name in names}, "preview": is_preview}


def _usage_shape(line: UsageLine) -> dict[str, Any]:
    return {
        "model": line.model,
        "provider": line.provider,
        "account": line.account_id,
        "account_name": line.account,
        "price_id": line.price_id,
        "markup_percent": format_percent(line.markup_bp),
        "usd_per_call": format_usd(line.markup_fixed_nanousd),
        "calls": line.calls,
        "tokens": line.tokens,
        "extras": line.extras,
        "unit_prices": [
            {"bucket": price.bucket, "usd_per_mtok": price.usd_per_mtok, "has_tiers": price.has_tiers}
            for price in line.prices
        ],
        "charge_usd": format_usd(line.charge_nanousd),
    }


def _correction_shape(line: CorrectionLine) -> dict[str, Any]:
    names = ("at", "event_id", "corrects", "request_id", "model")
    return {**{name: getattr(line, name) for name in names}, "charge_usd": format_usd(line.charge_nanousd)}
