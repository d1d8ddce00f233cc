"""The audit log in the portal: who did what, narrowed, and as a file."""

from __future__ import annotations

import json

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.views.decorators.http import require_safe

from tenants.actions.recording import note_export
from tenants.auditing import FILTERS, csv_lines, entries_of
from tenants.models import AuditEntry
from tenants.portal.access import Desk, Right, at_desk
from tenants.portal.pages import page

PAGE_ROWS = 50


@at_desk(Right.AUDIT)
@require_safe
def audit(request: HttpRequest, desk: Desk) -> HttpResponse:
    """Show audit entries, newest first."""
    wanted = _wanted(request)
    shown = Paginator(entries_of(desk.tenant, desk.mode, wanted), PAGE_ROWS).get_page(request.GET.get("page"))
    context = {"shown": shown, "lines": [(row, _told(row)) for row in shown.object_list], "wanted": wanted}
    return page(request, desk, "portal/audit.html", context)


@at_desk(Right.AUDIT)  # type: ignore[arg-type]  # a file that streams is an answer too
@require_safe
def audit_file(request: HttpRequest, desk: Desk) -> StreamingHttpResponse:
    """Download audit entries as CSV; the download is an entry itself."""
    rows = entries_of(desk.tenant, desk.mode, _wanted(request))
    note_export(desk.tenant, desk.mode, desk.actor, "audit_log")
    response = StreamingHttpResponse(csv_lines(rows), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = 'attachment; filename="farebox-audit-log.csv"'
    return response


def _wanted(request: HttpRequest) -> dict[str, str]:
    return {name: request.GET[name] for name in FILTERS if request.GET.get(name)}


def _told(row: AuditEntry) -> list[tuple[str, str, str]]:
    """Each thing that an entry tells: its name, before and after."""
    before, after = row.before or {}, row.after or {}
    names = [*after, *(name for name in before if name not in after)]
    return [(name, _text(before.get(name)), _text(after.get(name))) for name in names]


def _text(value: object) -> str:
    return "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
