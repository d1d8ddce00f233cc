"""Unresolved rows resolved by a program: one, or many at once, each with an outcome of its own."""

from __future__ import annotations

from collections import Counter
from typing import Any

from django.http import Http404
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from billing.api.serializers import SignedUsdField
from billing.api.views import LedgerView
from billing.ledger.resolving import (
    REASON_CHARS_MAX,
    RESOLVED_NANOUSD_MAX,
    Resolution,
    Resolved,
    resolve_rows,
)
from billing.ledger.unresolved import UNRESOLVED, corrections_of, rows_by_event
from billing.models import LedgerRow
from enforcement.errors import EnforcementUnavailable
from metering.money import NanoUsd, format_usd
from tenants.api.fields import UsdField
from tenants.api.problems import Problem
from tenants.api.serializers import Plain

ITEMS_MAX = 500
COST, NOTHING = "cost", "nothing"
OUTCOMES = ("resolved", "already_resolved", "not_unresolved", "not_found", "unavailable")


class VerdictIn(Plain):
    """What a call really cost: ``as`` says ``cost``, with ``cost_usd``, or ``nothing``."""

    cost_usd = UsdField(
        required=False, help_text="what the provider bills; the charge follows by the row's own markup"
    )

    # ``as`` is a keyword, so the fields are put together here.
    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """A verdict's fields, ``as`` among them."""
        return {"as": serializers.ChoiceField(choices=(COST, NOTHING)), **super().get_fields()}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """A cost goes with ``cost``, and with nothing else."""
        cost_nanousd = attrs.get("cost_usd")
        if (attrs["as"] == COST) != (cost_nanousd is not None):
            raise serializers.ValidationError({"cost_usd": 'goes with "as": "cost", and is needed there'})
        if cost_nanousd is not None and cost_nanousd > RESOLVED_NANOUSD_MAX:
            most = format_usd(RESOLVED_NANOUSD_MAX)
            raise serializers.ValidationError({"cost_usd": f"one call costs at most ${most}"})
        return attrs


class ReasonField(serializers.CharField):
    """Why: kept in the audit log."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            max_length=REASON_CHARS_MAX, help_text="how it is known; kept in the audit log", **options
        )


class ResolveIn(VerdictIn):
    """One row's verdict and how it is known."""

    reason = ReasonField()


class ResolveItemIn(VerdictIn):
    """One of many: the row's event id and its verdict."""

    event = serializers.CharField(max_length=64)


class ResolveManyIn(Plain):
    """Up to 500 rows, and how it is known."""

    reason = ReasonField()
    items = serializers.ListField(child=ResolveItemIn(), min_length=1, max_length=ITEMS_MAX)


class ResolutionOut(serializers.Serializer[Any]):
    """What became of one row. ``correction`` is the event that corrects it, by this request or before it."""

    event = serializers.CharField()
    outcome = serializers.ChoiceField(choices=OUTCOMES)
    correction = serializers.CharField(allow_null=True)
    cost_usd = SignedUsdField(allow_null=True, help_text="what the call is now booked at")
    charge_usd = SignedUsdField(allow_null=True)


class ResolutionsOut(serializers.Serializer[Any]):
    """What became of each row, in the order they were sent."""

    resolved = serializers.IntegerField()
    failed = serializers.IntegerField()
    items = ResolutionOut(many=True)


class Judge(LedgerView):
    """Resolves rows of the caller's tenant and mode."""

    def judge(self, verdicts: list[dict[str, Any]], reason: str) -> list[dict[str, Any]]:
        """Resolve what can be; answer for each verdict in its place."""
        rows = rows_by_event(self.ledger_scope, [verdict["event"] for verdict in verdicts])
        corrections = corrections_of(self.ledger_scope, list(rows.values()))
        open_rows = {
            event_id: row
            for event_id, row in rows.items()
            if row.basis == UNRESOLVED and not row.corrects and event_id not in corrections
        }
        answers = [_not_open(verdict["event"], rows, corrections) for verdict in verdicts]
        # A row named twice is resolved by its first verdict; the second comes too late.
        asked = [
            (place, Resolution(open_rows[verdict["event"]], NanoUsd(verdict.get("cost_usd") or 0)))
            for place, verdict in enumerate(verdicts)
            if verdict["event"] in open_rows
        ]
        done = resolve_rows(
            tenant=self.tenant,
            resolutions=[resolution for _, resolution in asked],
            actor=self.actor,
            reason=reason,
        )
        for (place, resolution), resolved in zip(asked, done, strict=True):
            answers[place] = _told(resolution, resolved)
        return answers


class ResolveView(Judge):
    """One unresolved row."""

    @extend_schema(
        operation_id="ledger_resolve",
        request=ResolveIn,
        responses={
            200: ResolutionOut,
            409: OpenApiResponse(description="already resolved; `correction` names what corrects it"),
        },
    )
    def post(self, request: Request, event_id: str) -> Response:
        """Say what an unresolved call really cost. The row stays; a correction is in the books within seconds."""
        given = ResolveIn(data=request.data)
        given.is_valid(raise_exception=True)
        values = given.validated_data
        [answer] = self.judge([{**values, "event": event_id}], values["reason"])
        if answer["outcome"] == "not_found":
            raise Http404
        if answer["outcome"] == "unavailable":
            raise EnforcementUnavailable("enforcement cannot be reached; the row is as it was, try again")
        if answer["outcome"] == "not_unresolved":
            raise Problem(
                409, "wrong_state", "only an unresolved row can be resolved; this one is no such row"
            )
        if answer["outcome"] == "already_resolved":
            detail = f"{answer['correction']} corrects this row already"
            raise Problem(409, "already_resolved", detail, correction=answer["correction"])
        return Response(answer)


class ResolveManyView(Judge):
    """Many unresolved rows."""

    @extend_schema(operation_id="ledger_resolve_many", request=ResolveManyIn, responses=ResolutionsOut)
    def post(self, request: Request) -> Response:
        """Say what up to 500 unresolved calls really cost. Each row stands alone and has an outcome of its own."""
        given = ResolveManyIn(data=request.data)
        given.is_valid(raise_exception=True)
        answers = self.judge(given.validated_data["items"], given.validated_data["reason"])
        resolved = Counter(answer["outcome"] for answer in answers)["resolved"]
        return Response({"resolved": resolved, "failed": len(answers) - resolved, "items": answers})


def _not_open(event_id: str, rows: dict[str, LedgerRow], corrections: dict[str, list[str]]) -> dict[str, Any]:
    """The answer for a row that cannot be resolved any more, or never could."""
    if event_id not in rows:
        return _answer(event_id, "not_found")
    if event_id in corrections and rows[event_id].basis == UNRESOLVED:
        return _answer(event_id, "already_resolved", correction=corrections[event_id][0])
    return _answer(event_id, "not_unresolved")


def _told(resolution: Resolution, resolved: Resolved) -> dict[str, Any]:
    if resolved.outcome == "unavailable":
        return _answer(resolved.event_id, "unavailable")
    if resolved.outcome == "moved":
        return _answer(resolved.event_id, "already_resolved", correction=resolved.correction_id)
    return _answer(
        resolved.event_id,
        "resolved",
        correction=resolved.correction_id,
        cost_usd=format_usd(resolution.cost_nanousd),
        charge_usd=format_usd(resolution.charge_nanousd),
    )


def _answer(event_id: str, outcome: str, **more: Any) -> dict[str, Any]:
    empty = {"correction": None, "cost_usd": None, "charge_usd": None}
    return {"event": event_id, "outcome": outcome, **empty, **more}
