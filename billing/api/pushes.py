"""Pushes over HTTP: where each stands and what comes next, their export, and trying one again where that is safe."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.http import Http404, HttpResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from billing.api.serializers import SignedUsdField
from billing.models import Push, PushAttempt
from billing.pushing.listing import (
    FILTERS,
    amount_text,
    counts_by_state,
    next_step,
    pushes_of,
    reason_of,
    waiting_lines,
)
from billing.pushing.releasing import is_retryable, retry_by_hand
from billing.pushing.sinks import CSV_PUSHES_MAX, csv_lines
from metering.money import format_usd
from tenants.api.problems import Problem
from tenants.api.scoped import ScopedView
from tenants.errors import InvalidInput


class PushOut(serializers.Serializer[Any]):
    """One value bound for a billing sink. All but its state is frozen."""

    id = serializers.CharField()
    state = serializers.ChoiceField(choices=Push.State.values)
    reason = serializers.CharField(allow_null=True)
    next_step = serializers.CharField()
    can_retry = serializers.BooleanField()
    sink = serializers.CharField()
    identifier = serializers.CharField()
    customer = serializers.CharField()
    stripe_customer = serializers.CharField(allow_null=True)
    line = serializers.CharField()
    currency = serializers.CharField()
    unit_minor = serializers.IntegerField(help_text="what one unit is worth in the currency's minor unit")
    value_units = serializers.IntegerField()
    amount = serializers.CharField()
    charge_usd = SignedUsdField(help_text="of the rows of its bucket; what is below a unit is carried")
    calls = serializers.IntegerField()
    bucket_start = serializers.DateTimeField()
    bucket_end = serializers.DateTimeField()
    stamp_at = serializers.DateTimeField()
    late_from = serializers.DateTimeField(allow_null=True)
    replaces = serializers.CharField(allow_null=True)
    attempts = serializers.IntegerField()
    first_attempt_at = serializers.DateTimeField(allow_null=True)
    due_at = serializers.DateTimeField(allow_null=True)
    accepted_at = serializers.DateTimeField(allow_null=True)
    confirmed_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()


class AttemptOut(serializers.Serializer[Any]):
    """One try to hand a push over."""

    number = serializers.IntegerField()
    started_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)
    verdict = serializers.CharField()
    code = serializers.CharField()
    reason = serializers.CharField()
    detail = serializers.CharField()
    status = serializers.IntegerField(allow_null=True)
    sink_request_id = serializers.CharField()
    key_last4 = serializers.CharField()


class PushDetailOut(PushOut):
    """One push with every try."""

    tries = AttemptOut(many=True)


class WaitingOut(serializers.Serializer[Any]):
    """Usage of hours that are over and in no push."""

    customer = serializers.CharField(allow_null=True)
    since = serializers.DateTimeField()
    charge_usd = SignedUsdField()
    calls = serializers.IntegerField()
    reason = serializers.CharField()


class PushSummaryOut(serializers.Serializer[Any]):
    """How much stands where."""

    states = serializers.DictField(child=serializers.IntegerField())
    unsealed = WaitingOut(many=True)


class PushesView(ScopedView):
    """All pushes."""

    scope_noun = "billing"

    @extend_schema(
        operation_id="billing_pushes_list",
        parameters=[*(OpenApiParameter(name) for name in FILTERS)],
        responses=PushOut(many=True),
    )
    def get(self, request: Request) -> Response:
        """List pushes, newest first."""
        return self.page(
            pushes_of(self.tenant, self.mode, _wanted(request)),
            lambda rows: [push_shape(row) for row in rows],
        )


class PushesExportView(ScopedView):
    """All pushes as CSV."""

    scope_noun = "billing"

    @extend_schema(
        operation_id="billing_pushes_export",
        parameters=[*(OpenApiParameter(name) for name in FILTERS)],
        responses={(200, "text/csv"): OpenApiTypes.STR},
    )
    def get(self, request: Request) -> HttpResponse:
        """Download pushes as CSV, newest first."""
        rows = pushes_of(self.tenant, self.mode, _wanted(request))[:CSV_PUSHES_MAX]
        return HttpResponse("".join(csv_lines(rows.iterator(chunk_size=1000))), content_type="text/csv")


class PushesSummaryView(ScopedView):
    """Pushes in numbers."""

    scope_noun = "billing"

    @extend_schema(operation_id="billing_pushes_summary", responses=PushSummaryOut)
    def get(self, request: Request) -> Response:
        """Count pushes by state, and say what is not sealed and why."""
        lines = waiting_lines(self.tenant, self.mode, until=_this_hour())
        unsealed = [
            {
                "customer": line.customer.pk if line.customer else None,
                "since": line.oldest_at,
                "charge_usd": format_usd(line.charge_nanousd),
                "calls": line.row_count,
                "reason": line.reason,
            }
            for line in lines
        ]
        return Response({"states": counts_by_state(self.tenant, self.mode), "unsealed": unsealed})


class PushView(ScopedView):
    """One push."""

    scope_noun = "billing"

    @extend_schema(operation_id="billing_pushes_get", responses=PushDetailOut)
    def get(self, request: Request, push_id: str) -> Response:
        """Read a push with every try."""
        push = _found(self, push_id)
        tries = [AttemptOut(each).data for each in PushAttempt.objects.filter(push=push)]
        return Response({**push_shape(push), "tries": tries})


class PushRetryView(ScopedView):
    """Trying one push again."""

    scope_noun = "billing"

    @extend_schema(
        operation_id="billing_pushes_retry",
        request=None,
        responses={
            200: PushOut,
            409: OpenApiResponse(description="it may have arrived, or waits for something"),
        },
    )
    def post(self, request: Request, push_id: str) -> Response:
        """Try a push again now, under its own identifier: refused where it could bill twice."""
        push = _found(self, push_id)
        outcome = retry_by_hand(push, actor=self.actor, now=timezone.now())
        if outcome == "not_allowed":
            raise Problem(
                409, "wrong_state", f"a push that is {push.state} is not tried again: {next_step(push)}"
            )
        if outcome == "still_held":
            raise Problem(409, "wrong_state", f"the push still has to wait: {reason_of(push)}")
        return Response(push_shape(_found(self, push_id)))


def push_shape(push: Push) -> dict[str, Any]:
    """A push in JSON."""
    return dict(
        PushOut(
            {
                **{name: getattr(push, name) for name in _PLAIN},
                "reason": reason_of(push) or None,
                "next_step": next_step(push),
                "can_retry": is_retryable(push),
                "customer": push.customer_id,
                "stripe_customer": push.stripe_customer_id or None,
                "amount": amount_text(push),
                "charge_usd": format_usd(push.charge_nanousd),
                "calls": push.row_count,
                "replaces": push.replaces_id,
                "due_at": push.due_at if push.state in Push.SENDABLE else None,
            }
        ).data
    )


def _found(view: ScopedView, push_id: str) -> Push:
    push = pushes_of(view.tenant, view.mode).filter(pk=push_id).first()
    if push is None:
        raise Http404
    return push


def _wanted(request: Request) -> dict[str, str]:
    wanted = {name: request.query_params[name] for name in FILTERS if name in request.query_params}
    if any("\0" in value for value in wanted.values()):
        raise InvalidInput("filter", "a filter holds a NUL character")
    if wanted.get("state", "held") not in Push.State.values:
        raise InvalidInput("state", f"state is one of {', '.join(Push.State.values)}")
    return wanted


def _this_hour() -> datetime:
    return timezone.now().replace(minute=0, second=0, microsecond=0)


_PLAIN = (
    "id", "state", "sink", "identifier", "line", "currency", "unit_minor", "value_units", "bucket_start", "bucket_end",
    "stamp_at", "late_from", "attempts", "first_attempt_at", "accepted_at", "confirmed_at", "created_at",
)  # fmt: skip
