"""Errors in Google's shape: those the request earned and those the script asks for."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

from simulators.provider.refusals import Refusal, scripted_error

_TYPE: Final = b"content-type: application/json; charset=UTF-8\r\n"
_STREAM_TYPE: Final = b"content-type: text/event-stream\r\n"
_INFO: Final = "type.googleapis.com/google.rpc.ErrorInfo"
# Source: Google's "Troubleshooting guide" of the Gemini API, read 2026-11-21. Others get the nearest of 400 and 500.
_SCRIPTED: Final[dict[int, tuple[str, str]]] = {
    400: ("INVALID_ARGUMENT", "The simulator was told to refuse this request."),
    401: ("UNAUTHENTICATED", "Request had invalid authentication credentials."),
    403: ("PERMISSION_DENIED", "Permission denied on resource project."),
    404: ("NOT_FOUND", "The requested resource was not found."),
    413: ("INVALID_ARGUMENT", "Request payload size exceeds the limit."),
    429: ("RESOURCE_EXHAUSTED", "You exceeded your current quota. Please retry in 1s."),
    500: ("INTERNAL", "An internal error has occurred."),
    503: ("UNAVAILABLE", "The model is overloaded. Please try again later."),
    504: ("DEADLINE_EXCEEDED", "Deadline expired before operation could complete."),
}


@dataclass(frozen=True, slots=True)
class GeminiFault:
    """What is wrong with a request."""

    status: int
    message: str
    reason: str = ""


def write_gemini_fault(fault: GeminiFault, *, stream: str = "") -> Refusal:
    """Write a fault as Google answers it: of a stream of events under their type, of an array as its element."""
    kind = _STREAM_TYPE if stream == "events" else _TYPE
    body = gemini_error(fault)
    return Refusal(fault.status, kind, b"[" + body + b"]\n" if stream == "array" else body)


def scripted_gemini_fault(status: int, *, stream: str = "") -> Refusal:
    """Make the provider error that a script asks for; a gateway's is no JSON in any dialect."""
    if status == 502:
        return scripted_error(status)
    _, message = _SCRIPTED.get(status) or _SCRIPTED[400 if status < 500 else 500]
    return write_gemini_fault(GeminiFault(status, message), stream=stream)


def gemini_error(fault: GeminiFault) -> bytes:
    """Write an error object as Google does."""
    status, _ = _SCRIPTED.get(fault.status) or _SCRIPTED[400 if fault.status < 500 else 500]
    error: dict[str, object] = {"code": fault.status, "message": fault.message, "status": status}
    details: list[dict[str, object]] = []
    if fault.reason:
        details.append({"@type": _INFO, "reason": fault.reason, "domain": "googleapis.com"})
    if fault.status == 429:
        details.append({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "1s"})
    return json.dumps({"error": error | ({"details": details} if details else {})}, indent=2).encode()
