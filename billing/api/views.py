"""Calls and usage of the caller's tenant and mode."""

from __future__ import annotations

import zoneinfo
from datetime import datetime, timedelta

from django.db.models import QuerySet
from django.http import Http404
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from billing.api.serializers import RequestOut, UsageGroupOut, request_shape, usage_shape
from billing.ledger.requests import FILTERS, first_rows, rows_of_requests, tags_of
from billing.ledger.usage import DIMENSIONS, INTERVALS, SLOT_SECONDS, UsageQuestion, UsageQuestionError, usage
from billing.models import LedgerRow
from enforcement.keys import Scope
from tenants.api.pagination import NewestFirst
from tenants.api.scoped import ScopedView
from tenants.errors import InvalidInput

DEFAULT_SPAN = timedelta(days=30)


class NewestStarted(NewestFirst):
    """Calls by when they began."""

    ordering = ("-started_at", "-event_id")


class LedgerView(ScopedView):
    """A view of the books in the key's mode."""

    scope_noun = "usage"

    @property
    def ledger_scope(self) -> Scope:
        """Whose rows may be seen: the key says, nothing else."""
        return Scope(self.tenant.pk, self.mode)

    def instant(self, name: str) -> datetime | None:
        """Read an instant of the query; without an offset it is UTC. Raises: InvalidInput."""
        text = self.request.query_params.get(name)
        if text is None:
            return None
        try:
            found = parse_datetime(text if "T" in text or " " in text else f"{text}T00:00:00")
        except ValueError:
            found = None
        if found is None:
            raise InvalidInput(name, f"{text!r} is no instant; write 2026-01-31T00:00:00Z")
        return found if found.tzinfo else found.replace(tzinfo=zoneinfo.ZoneInfo("UTC"))

    def narrowed(self, rows: QuerySet[LedgerRow]) -> QuerySet[LedgerRow]:
        """Keep the rows that the query asks for by column and by instant. Raises: InvalidInput."""
        wanted = self.request.query_params
        named = {column: wanted[name] for name, column in FILTERS.items() if name in wanted}
        if any("\0" in value for value in named.values()):
            raise InvalidInput("filter", "a filter holds a NUL character")
        rows = rows.filter(**named)
        start, end = self.instant("from"), self.instant("to")
        if start is not None:
            rows = rows.filter(started_at__gte=start)
        return rows.filter(started_at__lt=end) if end is not None else rows


class RequestsView(LedgerView):
    """All calls."""

    @extend_schema(
        operation_id="requests_list",
        parameters=[
            *(OpenApiParameter(name) for name in FILTERS),
            OpenApiParameter("from", OpenApiTypes.DATETIME, description="begun at or after"),
            OpenApiParameter("to", OpenApiTypes.DATETIME, description="begun before"),
        ],
        responses=RequestOut(many=True),
    )
    def get(self, request: Request) -> Response:
        """List calls with their ledger rows, newest first."""
        paginator = NewestStarted()
        heads = (
            paginator.paginate_queryset(self.narrowed(first_rows(self.ledger_scope)), request, view=self)
            or []
        )
        grouped = rows_of_requests(self.ledger_scope, [head.request_id for head in heads])
        tags = tags_of(row for rows in grouped.values() for row in rows)
        return paginator.get_paginated_response(
            [request_shape(grouped[head.request_id], tags) for head in heads]
        )


class RequestView(LedgerView):
    """One call."""

    @extend_schema(operation_id="requests_get", responses=RequestOut)
    def get(self, request: Request, request_id: str) -> Response:
        """Read a call with all its rows."""
        rows = rows_of_requests(self.ledger_scope, [request_id]).get(request_id)
        if not rows:
            raise Http404
        return Response(request_shape(rows, tags_of(rows)))


class UsageView(LedgerView):
    """Sums of usage."""

    @extend_schema(
        operation_id="usage_read",
        parameters=[
            OpenApiParameter("group_by", description=f"comma-separated: {', '.join(DIMENSIONS)}, tag:NAME"),
            OpenApiParameter("interval", enum=INTERVALS),
            OpenApiParameter("from", OpenApiTypes.DATETIME, description="thirty days ago unless given"),
            OpenApiParameter("to", OpenApiTypes.DATETIME, description="now unless given"),
            OpenApiParameter(
                "zone", description="IANA zone in which hours, days and months begin; UTC unless given"
            ),
            *(OpenApiParameter(name) for name in DIMENSIONS),
        ],
        responses=UsageGroupOut(many=True),
    )
    def get(self, request: Request) -> Response:
        """Sum usage by dimensions and intervals."""
        question = self.question()
        try:
            groups = usage(question)
        except UsageQuestionError as error:
            raise InvalidInput(error.param, str(error)) from error
        return Response(
            {
                "from": question.start,
                "to": question.end,
                "interval": question.interval or None,
                "zone": question.zone,
                "data": [usage_shape(question, group) for group in groups],
            }
        )

    def question(self, default_groups: str = "") -> UsageQuestion:
        """Read the question that the query asks. Raises: InvalidInput."""
        wanted = self.request.query_params
        end = self.instant("to") or _end_of_slot(timezone.now())
        filters = {name: wanted[name] for name in DIMENSIONS if name in wanted}
        if any("\0" in value for value in (*filters.values(), wanted.get("group_by", ""))):
            raise InvalidInput("filter", "a filter holds a NUL character")
        return UsageQuestion(
            scope=self.ledger_scope,
            start=self.instant("from") or end - DEFAULT_SPAN,
            end=end,
            group_by=tuple(dict.fromkeys(filter(None, wanted.get("group_by", default_groups).split(",")))),
            interval=wanted.get("interval", ""),
            zone=wanted.get("zone", "UTC"),
            filters=filters,
        )


def _end_of_slot(now: datetime) -> datetime:
    return now + timedelta(seconds=SLOT_SECONDS - now.timestamp() % SLOT_SECONDS)
