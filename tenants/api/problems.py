"""Every refusal of the control API as a problem document (RFC 9457), with a stable ``code``."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.db import InterfaceError, OperationalError
from django.http import Http404
from rest_framework import exceptions
from rest_framework.response import Response

from enforcement.errors import EnforcementError
from metering.errors import MeteringError
from tenants.errors import AlreadyExists, InvalidInput, TenantsError, WrongState

CONTENT_TYPE = "application/problem+json"
_TITLES = {
    400: "The request cannot be accepted",
    401: "The key was not accepted",
    403: "The key may not do this",
    404: "Not found",
    405: "The method is not allowed here",
    409: "The state does not allow it",
    413: "The request is too large",
    415: "The media type is not supported",
    422: "The request contradicts an earlier one",
    500: "Something went wrong on our side",
    503: "Not available right now",
}


class Problem(exceptions.APIException):
    """A refusal with a status, a code, a sentence and whatever numbers help."""

    def __init__(self, status: int, code: str, detail: str, **numbers: Any) -> None:
        super().__init__(detail, code)
        self.status_code = status
        self.code = code
        self.numbers = numbers


class Unauthorized(exceptions.AuthenticationFailed):
    """401 with a code of its own."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail, code)
        self.code = code


class Forbidden(exceptions.PermissionDenied):
    """403 with a code of its own."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail, code)
        self.code = code


def docs_link(code: str) -> str:
    """Where a code is explained."""
    return f"{settings.FAREBOX_BASE_URL}/docs/errors#{code}"


def problem_document(status: int, code: str, detail: str, **more: Any) -> dict[str, Any]:
    """Make a problem document's members."""
    link = docs_link(code)
    return {
        "type": link,
        "title": _TITLES.get(status, "The request was refused"),
        "status": status,
        "code": code,
        "detail": detail,
        "docs": link,
        **more,
    }


def problem_response(status: int, code: str, detail: str, **more: Any) -> Response:
    """Answer with a problem document."""
    return Response(problem_document(status, code, detail, **more), status=status, content_type=CONTENT_TYPE)


def problem_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """Turn what a view raised into a problem document; None = a fault of ours, which Django logs and answers."""
    if isinstance(error, exceptions.APIException):
        return _from_api_exception(error)
    if isinstance(error, TenantsError | MeteringError | EnforcementError):
        return _from_domain(error)
    if isinstance(error, Http404):
        return problem_response(404, "not_found", "there is no such thing, or it is not yours")
    if isinstance(error, PermissionDenied):
        return problem_response(403, "forbidden", str(error) or "not allowed")
    if isinstance(error, RequestDataTooBig):
        return problem_response(413, "body_too_large", str(error))
    if isinstance(error, OperationalError | InterfaceError):
        response = problem_response(
            503, "database_unavailable", "the database does not answer; try again shortly"
        )
        response["Retry-After"] = "5"
        return response
    return None


def _from_api_exception(error: exceptions.APIException) -> Response:
    if isinstance(error, exceptions.ValidationError):
        errors = list(_flat(error.detail, ""))
        detail = "; ".join(
            f"{row['field']}: {row['message']}" if row["field"] else row["message"] for row in errors
        )
        return problem_response(400, "invalid_request", detail, errors=errors)
    code = getattr(error, "code", None) or str(error.default_code)
    response = problem_response(error.status_code, code, str(error.detail), **getattr(error, "numbers", {}))
    header = getattr(error, "auth_header", None)
    if header:
        response["WWW-Authenticate"] = header
    return response


def _from_domain(error: TenantsError | MeteringError | EnforcementError) -> Response:
    detail = str(error)
    if isinstance(error, InvalidInput):
        return problem_response(400, error.code, detail, errors=[{"field": error.field, "message": detail}])
    if isinstance(error, AlreadyExists | WrongState):
        return problem_response(409, error.code, detail)
    if isinstance(error, MeteringError):
        return problem_response(400, error.code, detail)
    if isinstance(error, EnforcementError):
        response = problem_response(503, error.code, detail)
        response["Retry-After"] = "1"
        return response
    return problem_response(500, error.code, detail)


def _flat(detail: Any, field: str) -> Any:
    """Walk DRF's nested details and yield one row per message, the field as a dotted path."""
    if isinstance(detail, dict):
        for name, inner in detail.items():
            place = "" if name == "non_field_errors" else str(name)
            yield from _flat(inner, f"{field}.{place}".strip("."))
    elif isinstance(detail, list):
        for number, inner in enumerate(detail):
            nested = isinstance(inner, dict)
            yield from _flat(inner, f"{field}.{number}".strip(".") if nested else field)
    else:
        yield {"field": field, "message": str(detail)}
