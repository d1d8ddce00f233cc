"""How good quotes were, and the models that were stopped because theirs were not."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from billing.api.views import LedgerView
from billing.ledger.calibration import Calibration, Measure, calibration, day_of_model
from billing.ledger.calibration_sql import EDGES_PERMILLE
from metering.money import format_usd
from tenants.actions.stopped_models import resume_model
from tenants.errors import InvalidInput
from tenants.models import StoppedModel

DAYS_MAX, DAYS = 400, 7
# Of how many percent of the calls the share of their bound is told.
PERCENTILES = (50, 90, 99)


class MeasureOut(serializers.Serializer[Any]):
    """A bound against what was reported; amounts are tokens, or dollars for ``cost``."""

    bound = serializers.CharField()
    actual = serializers.CharField()
    above_count = serializers.IntegerField(help_text="calls that came to more than their bound")
    unneeded_percent = serializers.IntegerField(
        allow_null=True, help_text="how much of the bound was not needed"
    )
    share_permille = serializers.DictField(
        child=serializers.IntegerField(allow_null=True),
        help_text="by percentile of calls, actual per mille of the bound, rounded up to a class; null = above it",
    )
    shares = serializers.ListField(
        child=serializers.IntegerField(), help_text="calls by class of their share, see edges_permille"
    )


class CalibrationOut(serializers.Serializer[Any]):
    """One model's quotes against what was reported, by the class of its bounds."""

    provider = serializers.CharField()
    model = serializers.CharField()
    bound_class = serializers.CharField()
    calls = serializers.IntegerField()
    input_tokens = MeasureOut()
    output_tokens = MeasureOut()
    cost_usd = MeasureOut()


class CalibrationPageOut(serializers.Serializer[Any]):
    """Calibration since a UTC day. ``shares`` has one class per edge, and a last one for what lay above its bound."""

    since = serializers.DateField()
    edges_permille = serializers.ListField(child=serializers.IntegerField())
    models = CalibrationOut(many=True)


class CalibrationView(LedgerView):
    """Quotes against what was reported."""

    @extend_schema(
        operation_id="calibration_read",
        parameters=[
            OpenApiParameter(
                "days", OpenApiTypes.INT, description=f"UTC days up to today, {DAYS} unless given"
            ),
            OpenApiParameter("provider"),
            OpenApiParameter("model"),
        ],
        responses=CalibrationPageOut,
    )
    def get(self, request: Request) -> Response:
        """Compare bounds and holds with what providers reported, by model."""
        wanted = request.query_params
        given, names = wanted.get("days", str(DAYS)), [wanted.get(name, "") for name in ("provider", "model")]
        if not (given.isdecimal() and given.isascii() and 1 <= int(given[:4]) <= DAYS_MAX):
            raise InvalidInput("days", f"days is a number from 1 to {DAYS_MAX}, not {given[:20]!r}")
        if any("\0" in name for name in names):
            raise InvalidInput("filter", "a filter holds a NUL character")
        since = timezone.now().date() - timedelta(days=int(given) - 1)
        found = calibration(since, scope=self.ledger_scope, provider=names[0], model=names[1])
        page = {"since": since, "edges_permille": EDGES_PERMILLE, "models": [_shape(each) for each in found]}
        return Response(CalibrationPageOut(page).data)


class StoppedModelOut(serializers.Serializer[StoppedModel]):
    """One stop of a model, with the day's figures it rests on."""

    id = serializers.CharField()
    provider = serializers.CharField()
    model = serializers.CharField()
    day = serializers.DateField()
    calls = serializers.IntegerField()
    overruns = serializers.IntegerField()
    created_at = serializers.DateTimeField()
    resumed_at = serializers.DateTimeField(allow_null=True)


class StoppedModelsView(LedgerView):
    """Every stop there was."""

    scope_noun = "settings"

    @extend_schema(
        operation_id="stopped_models_list",
        parameters=[OpenApiParameter("model"), OpenApiParameter("provider")],
        responses=StoppedModelOut(many=True),
    )
    def get(self, request: Request) -> Response:
        """List models stopped for costing more than their quotes, newest first; ``resumed_at`` says since when not."""
        rows = StoppedModel.objects.for_scope(self.tenant, self.mode)
        for name in ("model", "provider"):
            if name in request.query_params:
                rows = rows.filter(**{name: request.query_params[name]})
        return self.page(rows, lambda found: [shape_stop(row) for row in found])


class StoppedModelResumeView(LedgerView):
    """One stop, lifted."""

    scope_noun = "settings"

    @extend_schema(operation_id="stopped_models_resume", request=None, responses=StoppedModelOut)
    def post(self, request: Request, stop_id: str) -> Response:
        """Admit a stopped model again, in force for the next request; overruns so far count no more."""
        stops = StoppedModel.objects.for_scope(self.tenant, self.mode).select_related("tenant")
        stop = get_object_or_404(stops, pk=stop_id)
        found = day_of_model(self.ledger_scope, stop.provider, stop.model, stop.day)
        return self.carry_out(lambda: resume_model(stop=stop, found=found, actor=self.actor), shape_stop)


def shape_stop(stop: StoppedModel) -> dict[str, Any]:
    """A stop as JSON."""
    return dict(StoppedModelOut(stop).data)


def _shape(each: Calibration) -> dict[str, Any]:
    return {
        "provider": each.provider,
        "model": each.model,
        "bound_class": each.bound_class,
        "calls": each.calls,
        "input_tokens": _shape_measure(each.input),
        "output_tokens": _shape_measure(each.output),
        "cost_usd": {
            **_shape_measure(each.cost),
            "bound": format_usd(each.cost.bound),
            "actual": format_usd(each.cost.actual),
        },
    }


def _shape_measure(measure: Measure) -> dict[str, Any]:
    return {
        "bound": str(measure.bound),
        "actual": str(measure.actual),
        "above_count": measure.above_count,
        "unneeded_percent": measure.unneeded_percent,
        "share_permille": {f"p{percent}": measure.permille_at(percent) for percent in PERCENTILES},
        "shares": list(measure.shares),
    }
