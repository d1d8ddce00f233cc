"""Errors in Anthropic's shape, which its official clients raise as their own typed ones."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from proxy.asgi import Headers
from proxy.errors import CODES, Refusal

_encode = msgspec.json.Encoder().encode

# Source: Anthropic's API reference, "Errors", read to 2026-11.
TYPES: Mapping[int, str] = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    422: "invalid_request_error",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_OTHER = "api_error"


class AnthropicErrors:
    """``{"type": "error", "error": {"type", "message"}, "request_id"}``, our code, numbers and page beside them."""

    def body(self, refusal: Refusal, *, request_id: str, docs_url: str) -> bytes:
        """Write a refusal as a document; clients show ``details.error_code`` as the error's code."""
        error = {
            "type": TYPES.get(CODES[refusal.code].status, _OTHER),
            "message": refusal.message,
            "code": refusal.code,
            "param": refusal.param,
            **refusal.numbers,
            "details": {"error_code": refusal.code},
            "docs": docs_url,
        }
        return _encode({"type": "error", "error": error, "request_id": request_id})

    def event(self, body: bytes) -> bytes:
        """Write an error's document as the last event of a stream that has begun."""
        return b"event: error\ndata: " + body + b"\n\n"

    def id_headers(self, request_id: str) -> Headers:
        """Clients read the id of a failed request from this header."""
        return [(b"request-id", request_id.encode())]
