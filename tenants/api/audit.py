"""The audit log by API: pages by cursor, and a CSV that streams."""

from __future__ import annotations

from django.http import StreamingHttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from tenants.actions.recording import note_export
from tenants.api.scoped import ScopedView
from tenants.api.serializers import AuditOut
from tenants.auditing import FILTERS, csv_lines, entries_of

_PARAMETERS = [
    *(OpenApiParameter(name) for name in FILTERS),
    OpenApiParameter("from", OpenApiTypes.DATETIME, description="at or after"),
    OpenApiParameter("to", OpenApiTypes.DATETIME, description="before"),
]


class AuditLogView(ScopedView):
    """Who did what in the key's mode and in what concerns both modes."""

    scope_noun = "audit_log"

    @extend_schema(operation_id="audit_log_list", parameters=_PARAMETERS, responses=AuditOut(many=True))
    def get(self, request: Request) -> Response:
        """List audit entries, newest first. ``action=key.`` takes every action on keys."""
        rows = entries_of(self.tenant, self.mode, request.query_params)
        return self.page(rows, lambda found: [dict(AuditOut(row).data) for row in found], by=("-at", "-id"))


class AuditExportView(ScopedView):
    """The audit log as a file."""

    scope_noun = "audit_log"

    @extend_schema(
        operation_id="audit_log_export",
        parameters=_PARAMETERS,
        responses={(200, "text/csv"): OpenApiTypes.STR},
    )
    def get(self, request: Request) -> HttpResponseBase:
        """Download audit entries as CSV, newest first; the download is an entry itself."""
        rows = entries_of(self.tenant, self.mode, request.query_params)
        note_export(self.tenant, self.mode, self.actor, "audit_log")
        response = StreamingHttpResponse(csv_lines(rows), content_type="text/csv; charset=utf-8")
        response["Content-Disposition"] = 'attachment; filename="farebox-audit-log.csv"'
        return response
