"""Errors in Anthropic's shape: those the request earned and those the script asks for."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

from simulators.provider.refusals import JSON_TYPE, Refusal, scripted_error

# Source: Anthropic's API reference, "Errors", read to 2026-11. Other statuses get the nearest of 400 and 500.
_TYPES: Final = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    529: "overloaded_error",
}
_SCRIPTED: Final = {
    400: "The simulator was told to refuse this request.",
    401: "invalid x-api-key",
    403: "Your API key does not have permission to use the specified resource.",
    404: "The requested resource could not be found.",
    413: "Request exceeds the maximum size",
    429: "This request would exceed your organization's rate limit of 50 requests per minute.",
    500: "Internal server error",
    529: "Overloaded",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a request."""

    status: int
    message: str


def write_fault(fault: Fault, request_id: str) -> Refusal:
    """Write a fault as Anthropic answers it."""
    retry = b"retry-after: 1\r\n" if fault.status == 429 else b""
    return Refusal(fault.status, JSON_TYPE + retry, message_error(fault, request_id))


def scripted_fault(status: int, request_id: str) -> Refusal:
    """Make the provider error that a script asks for; a gateway's is no JSON in any dialect."""
    if status == 502:
        return scripted_error(status)
    message = _SCRIPTED.get(status) or _SCRIPTED[400 if status < 500 else 500]
    return write_fault(Fault(status, message), request_id)


def message_error(fault: Fault, request_id: str) -> bytes:
    """Write an error object as Anthropic does."""
    kind = _TYPES.get(fault.status) or _TYPES[400 if fault.status < 500 else 500]
    error = {"type": kind, "message": fault.message}
    return json.dumps({"type": "error", "error": error, "request_id": request_id}).encode()
