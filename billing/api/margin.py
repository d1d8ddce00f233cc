"""Margin over HTTP: charge less cost by customer, model or any other dimension of usage."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from billing.api.serializers import SignedUsdField
from billing.api.views import UsageView
from billing.ledger.margins import DEFAULT_GROUPS, Margin, margins
from billing.ledger.usage import DIMENSIONS, INTERVALS, UsageQuestion, UsageQuestionError
from metering.money import format_usd
from tenants.errors import InvalidInput
from tenants.percent import format_percent


class MarginGroupOut(serializers.Serializer[Any]):
    """One group; the dimensions asked for stand beside these fields under their own names."""

    start = serializers.DateTimeField(allow_null=True)
    attempts = serializers.IntegerField()
    cost_usd = SignedUsdField()
    charge_usd = SignedUsdField()
    margin_usd = SignedUsdField(help_text="charge less cost; below zero it is a loss")
    margin_percent = serializers.CharField(
        allow_null=True, help_text="of the charge, rounded down; null where nothing is charged"
    )


class MarginOut(serializers.Serializer[Any]):
    """Margins of a span, the greatest loss first."""

    to = serializers.DateTimeField()
    margin_guard = serializers.ChoiceField(choices=("off", "warn", "refuse"))

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """Add the fields whose names are taken in Python or by the serializer."""
        own = {"from": serializers.DateTimeField(), "data": MarginGroupOut(many=True)}
        return {**super().get_fields(), **own}


class MarginView(UsageView):
    """What is earned on calls."""

    @extend_schema(
        operation_id="margin_read",
        parameters=[
            OpenApiParameter(
                "group_by",
                description=f"comma-separated: {', '.join(DIMENSIONS)}, tag:NAME; customer,model unless given",
            ),
            OpenApiParameter("interval", enum=INTERVALS),
            OpenApiParameter("from", OpenApiTypes.DATETIME, description="thirty days ago unless given"),
            OpenApiParameter("to", OpenApiTypes.DATETIME, description="now unless given"),
            OpenApiParameter(
                "zone", description="IANA zone in which hours, days and months begin; UTC unless given"
            ),
            *(OpenApiParameter(name) for name in DIMENSIONS),
        ],
        responses=MarginOut,
    )
    def get(self, request: Request) -> Response:
        """Read charge less cost by groups, the greatest loss first."""
        question = self.question(",".join(DEFAULT_GROUPS))
        try:
            found = margins(question)
        except UsageQuestionError as error:
            raise InvalidInput(error.param, str(error)) from error
        return Response(
            {
                "from": question.start,
                "to": question.end,
                "margin_guard": self.tenant.settings_for(self.mode).margin_guard,
                "data": [_shape(question, each) for each in found],
            }
        )


def _shape(question: UsageQuestion, each: Margin) -> dict[str, Any]:
    return {
        "start": each.starts_at,
        **dict(zip(question.group_by, each.names, strict=True)),
        "attempts": each.attempts,
        "cost_usd": format_usd(each.cost_nanousd),
        "charge_usd": format_usd(each.charge_nanousd),
        "margin_usd": format_usd(each.margin_nanousd),
        "margin_percent": None if each.margin_bp is None else format_percent(each.margin_bp),
    }
