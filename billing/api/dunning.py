"""Dunning by API: what follows while a customer does not pay, and who does not."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from billing.dunning.policies import MEASURES, REASONS, policy_of, set_policy
from billing.models import DunningCase, DunningPolicy
from tenants.api.fields import UsdField
from tenants.api.scoped import ScopedView
from tenants.api.serializers import Plain


class DunningPolicyOut(serializers.Serializer[DunningPolicy]):
    """What follows from each reason; `nothing` is what follows where nothing was set."""

    past_due = serializers.ChoiceField(choices=MEASURES)
    unpaid = serializers.ChoiceField(choices=MEASURES)
    canceled = serializers.ChoiceField(choices=MEASURES)
    disputed = serializers.ChoiceField(choices=MEASURES)
    throttle_requests_per_minute = serializers.IntegerField()
    cap_usd = UsdField(source="cap_nanousd", help_text="a further budget per month, from when it is made")


class DunningPolicyPatch(Plain):
    """Changes to what follows."""

    past_due = serializers.ChoiceField(choices=MEASURES, required=False)
    unpaid = serializers.ChoiceField(choices=MEASURES, required=False)
    canceled = serializers.ChoiceField(choices=MEASURES, required=False)
    disputed = serializers.ChoiceField(choices=MEASURES, required=False)
    throttle_requests_per_minute = serializers.IntegerField(required=False, min_value=1)
    cap_usd = UsdField(source="cap_nanousd", required=False)


class DunningCaseOut(serializers.Serializer[DunningCase]):
    """A subscription or dispute that is not as it should be."""

    id = serializers.CharField()
    customer = serializers.CharField(source="customer_id")
    reason = serializers.ChoiceField(choices=REASONS)
    stripe_object = serializers.CharField(source="source_id")
    opened_at = serializers.DateTimeField()
    closed_at = serializers.DateTimeField(allow_null=True)


class DunningView(ScopedView):
    """The policy of the key's mode."""

    scope_noun = "billing"

    @extend_schema(operation_id="billing_dunning_get", responses=DunningPolicyOut)
    def get(self, request: Request) -> Response:
        """Read what follows while a customer does not pay."""
        return Response(DunningPolicyOut(policy_of(self.tenant, self.mode)).data)

    @extend_schema(
        operation_id="billing_dunning_change", request=DunningPolicyPatch, responses=DunningPolicyOut
    )
    def patch(self, request: Request) -> Response:
        """Change what follows; in force at once for customers who do not pay now."""
        given = DunningPolicyPatch(data=request.data)
        given.is_valid(raise_exception=True)
        values: dict[str, Any] = dict(given.validated_data)
        row = set_policy(tenant=self.tenant, mode=self.mode, actor=self.actor, values=values)
        return Response(DunningPolicyOut(row).data)


class DunningCasesView(ScopedView):
    """Who does not pay."""

    scope_noun = "billing"

    @extend_schema(
        operation_id="billing_dunning_cases",
        parameters=[OpenApiParameter("customer", str, description="a customer's id")],
        responses=DunningCaseOut(many=True),
    )
    def get(self, request: Request) -> Response:
        """List cases, open and closed, newest first."""
        rows = DunningCase.objects.for_scope(self.tenant, self.mode)
        wanted = request.query_params.get("customer")
        if wanted is not None:
            rows = rows.filter(customer_id=wanted)
        return self.page(
            rows, lambda found: [dict(DunningCaseOut(each).data) for each in found], by=("-opened_at", "-id")
        )
