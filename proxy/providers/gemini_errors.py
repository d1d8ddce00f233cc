"""Errors in Google's shape, which its official clients raise as ``ClientError`` and ``ServerError``."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from proxy.asgi import Headers
from proxy.errors import CODES, Refusal

_encode = msgspec.json.Encoder().encode

# Source: Google's "API errors" (google.rpc.Code by HTTP status), read 2026-11-21. It has no code for 402: what a
# project without billing is told is the nearest, and no client tries that again.
STATUSES: Mapping[int, str] = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    402: "FAILED_PRECONDITION",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ALREADY_EXISTS",
    413: "INVALID_ARGUMENT",
    422: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_INFO = "type.googleapis.com/google.rpc.ErrorInfo"
_RETRY = "type.googleapis.com/google.rpc.RetryInfo"
_HELP = "type.googleapis.com/google.rpc.Help"
_DOMAIN = "farebox"


class GeminiErrors:
    """``{"error": {"code", "message", "status", "details"}}``: our code is the reason, our numbers its metadata."""

    def body(self, refusal: Refusal, *, request_id: str, docs_url: str) -> bytes:
        """Write a refusal as a document."""
        code = CODES[refusal.code]
        metadata = {**refusal.numbers, "param": refusal.param, "request_id": request_id}
        info: dict[str, object] = {
            "@type": _INFO,
            "reason": refusal.code,
            "domain": _DOMAIN,
            "metadata": {name: str(value) for name, value in metadata.items() if value is not None},
        }
        details = [info]
        if code.may_retry and refusal.retry_after_ms:
            details.append({"@type": _RETRY, "retryDelay": f"{-(-refusal.retry_after_ms // 1000)}s"})
        details.append({"@type": _HELP, "links": [{"description": refusal.code, "url": docs_url}]})
        status = STATUSES.get(code.status, "UNKNOWN")
        error = {"code": code.status, "message": refusal.message, "status": status, "details": details}
        return _encode({"error": error})

    def event(self, body: bytes) -> bytes:
        """Write an error's document as the last event of a stream that has begun."""
        return b"data: " + body + b"\r\n\r\n"

    def id_headers(self, request_id: str) -> Headers:
        """Google's clients look for no id; ours stands in the metadata."""
        return []


class ArrayErrors(GeminiErrors):
    """The same for a stream that is one JSON array: an error is its last element, and ends it."""

    def __init__(self) -> None:
        """Begin with an array of which nothing was sent."""
        self.began = False  # whether an element has gone to the caller

    def event(self, body: bytes) -> bytes:
        """Write an error's document as the last element of the array."""
        return (b",\r\n" if self.began else b"[") + body + b"]"
