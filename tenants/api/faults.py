"""What Django answers where no view does: problem documents under ``/api/``, pages everywhere else.

The functions are the URLconf's ``handler400`` to ``handler500``.
"""

from __future__ import annotations

import logging
import sys
from typing import Any

from django.http import HttpRequest, HttpResponseBase, HttpResponseNotAllowed, JsonResponse
from django.views import defaults

from tenants.api.problems import CONTENT_TYPE, problem_document
from tenants.ids import new_request_id

log = logging.getLogger(__name__)

REQUEST_ID_HEADER = "Farebox-Request-Id"


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """Answer a request that Django itself refuses to read."""
    if not _is_api(request):
        return defaults.bad_request(request, exception)
    return _problem(
        400, "invalid_request", "the request cannot be read: its host, size or encoding is not accepted"
    )


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """Answer what is forbidden outside of a view of the API."""
    if not _is_api(request):
        return defaults.permission_denied(request, exception)
    return _problem(403, "forbidden", "not allowed")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """Answer an address that leads nowhere."""
    if not _is_api(request):
        return defaults.page_not_found(request, exception)
    return _problem(
        404, "not_found", f"{request.method} {request.path} is no address of this API; see /api/docs"
    )


def server_error(request: HttpRequest) -> HttpResponseBase:
    """Answer a fault of ours under an id that the log has too."""
    if not _is_api(request):
        return defaults.server_error(request)
    request_id = new_request_id()
    # Called while the exception is being handled, so the log has its traceback.
    log.error(
        "api.failed",
        extra={"request_id": request_id, "method": request.method, "path": request.path},
        exc_info=sys.exc_info()[1],
    )
    response = _problem(
        500, "internal_error", "Farebox failed; its log has the request", request_id=request_id
    )
    response[REQUEST_ID_HEADER] = request_id
    response._has_been_logged = True  # type: ignore[attr-defined]  # Django's own mark: one line a fault
    return response


def method_not_allowed(request: HttpRequest, *allowed: str) -> HttpResponseBase:
    """Answer a method that a page of the API does not take."""
    response = _problem(405, "method_not_allowed", f"{request.method} is not allowed at {request.path}")
    response["Allow"] = HttpResponseNotAllowed(allowed)["Allow"]
    return response


def _is_api(request: HttpRequest) -> bool:
    return request.path.startswith("/api/")


def _problem(status: int, code: str, detail: str, **more: Any) -> JsonResponse:
    body = problem_document(status, code, detail, **more)
    return JsonResponse(body, status=status, content_type=CONTENT_TYPE)
