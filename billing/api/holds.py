"""Holds by a program: asked for, looked at, settled, released, extended."""

from __future__ import annotations

import time
from typing import Any

from django.http import Http404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from billing.api.hold_serializers import (
    HoldEndedOut,
    HoldExtendIn,
    HoldGrantedOut,
    HoldIn,
    HoldOut,
    HoldPageOut,
    HoldReleaseIn,
    HoldSettleIn,
)
from billing.holding import ending, reading
from billing.holding.asking import HoldRefused
from billing.holding.granting import Desk, grant_hold
from enforcement.hold_facts import HoldFacts
from enforcement.keys import Scope
from tenants.api.problems import problem_response
from tenants.api.scoped import ScopedView
from tenants.errors import InvalidInput

PAGE, PAGE_MAX = 50, 200
_ENDED = {
    200: HoldEndedOut,
    409: OpenApiResponse(description="it has ended before, or is not of this kind"),
}


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


class HoldViewBase(ScopedView):
    """What the views of holds share."""

    scope_noun = "holds"

    @property
    def ledger_scope(self) -> Scope:
        """Whose holds may be seen: the key says, nothing else."""
        return Scope(self.tenant.pk, self.mode)

    def facts(self, hold_id: str) -> HoldFacts:
        """Read a hold. Raises: Http404 for another's."""
        found = reading.find(self.ledger_scope, hold_id)
        if found is None:
            raise Http404
        return found

    def ended(self, hold_id: str, outcome: str) -> Response:
        """Answer with a hold as it is after its end."""
        shape = reading.hold_shape(self.facts(hold_id), now_ms=_now_ms())
        return Response(HoldEndedOut({**shape, "outcome": outcome}).data)


class HoldsView(HoldViewBase):
    """All open holds of the key's mode, the proxy's as well."""

    @extend_schema(
        operation_id="holds_list",
        parameters=[
            OpenApiParameter("cursor", description="from `next_cursor` of the page before"),
            OpenApiParameter(
                "limit", OpenApiTypes.INT, description="holds a page, 50 unless said, at most 200"
            ),
        ],
        responses=HoldPageOut,
    )
    def get(self, request: Request) -> Response:
        """List open holds, newest first, with their age and whose they are."""
        asked = request.query_params.get("limit", str(PAGE))
        if not asked.isdecimal() or not int(asked):
            raise InvalidInput("limit", f"limit is a whole number of holds, not {asked!r}")
        count = min(int(asked), PAGE_MAX)
        before = request.query_params.get("cursor", "")
        page, following = reading.page_of_open(self.ledger_scope, before=before, count=count)
        now_ms = _now_ms()
        shapes = [HoldOut(reading.hold_shape(facts, now_ms=now_ms)).data for facts in page]
        return Response({"data": shapes, "next_cursor": following})

    @extend_schema(
        operation_id="holds_create",
        request=HoldIn,
        responses={
            201: HoldGrantedOut,
            402: OpenApiResponse(description="`budget_exceeded`, with the budget's numbers"),
            429: OpenApiResponse(description="`budget_in_flight` or `rate_limited`, with Retry-After"),
        },
    )
    def post(self, request: Request) -> Response:
        """Claim the most a call can cost before it is sent. It counts as sent at once: settle it or release it."""
        given = HoldIn(data=request.data)
        given.is_valid(raise_exception=True)
        desk = Desk(self.tenant, self.mode, self.caller.key.pk)
        outcome = grant_hold(desk, given.validated_data)
        if isinstance(outcome, HoldRefused):
            return _refusal(outcome)
        return Response(HoldGrantedOut(reading.grant_shape(outcome, now_ms=_now_ms())).data, status=201)


class HoldView(HoldViewBase):
    """One hold."""

    @extend_schema(operation_id="holds_get", responses=HoldOut)
    def get(self, request: Request, hold_id: str) -> Response:
        """Read a hold: open, or ended up to 15 minutes ago (48 hours for an expired one)."""
        return Response(HoldOut(reading.hold_shape(self.facts(hold_id), now_ms=_now_ms())).data)


class HoldSettleView(HoldViewBase):
    """The end of a call that was sent."""

    @extend_schema(operation_id="holds_settle", request=HoldSettleIn, responses=_ENDED)
    def post(self, request: Request, hold_id: str) -> Response:
        """Book what the call cost; never refused for want of money. After an expiry the books are corrected."""
        facts = self.facts(hold_id)
        given = HoldSettleIn(data=request.data)
        given.is_valid(raise_exception=True)
        values: dict[str, Any] = dict(given.validated_data)
        told = ending.Told(_now_ms(), cost_nanousd=values.pop("cost_usd", None), **values)
        return self.ended(hold_id, ending.settle_hold(self.tenant, facts, told))


class HoldReleaseView(HoldViewBase):
    """The end of a call that was not sent, or of any hold by hand."""

    @extend_schema(operation_id="holds_release", request=HoldReleaseIn, responses=_ENDED)
    def post(self, request: Request, hold_id: str) -> Response:
        """Give a claim back: one's own that was never sent, or with a `reason` any open one by hand, audited."""
        facts = self.facts(hold_id)
        given = HoldReleaseIn(data=request.data)
        given.is_valid(raise_exception=True)
        reason = given.validated_data.get("reason")
        if reason is None:
            return self.ended(hold_id, ending.release_hold(facts))
        outcome = ending.release_by_hand(tenant=self.tenant, facts=facts, actor=self.actor, reason=reason)
        return self.ended(hold_id, outcome)


class HoldExtendView(HoldViewBase):
    """A later deadline."""

    @extend_schema(
        operation_id="holds_extend",
        request=HoldExtendIn,
        responses={200: HoldOut, 409: OpenApiResponse(description="it has ended, or is a proxy's")},
    )
    def post(self, request: Request, hold_id: str) -> Response:
        """Keep an open hold for longer: a new deadline, counted from now."""
        facts = self.facts(hold_id)
        given = HoldExtendIn(data=request.data)
        given.is_valid(raise_exception=True)
        ending.extend_hold(facts, given.validated_data["ttl_seconds"] * 1000, now_ms=_now_ms())
        return Response(HoldOut(reading.hold_shape(self.facts(hold_id), now_ms=_now_ms())).data)


def _refusal(refused: HoldRefused) -> Response:
    response = problem_response(refused.status, refused.code, refused.message, **refused.numbers)
    if refused.retry_after_ms:
        response["Retry-After"] = str(-(-refused.retry_after_ms // 1000))
    return response
