"""Errors in OpenAI's shape: those the request earned and those the script asks for."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

JSON_TYPE: Final = b"content-type: application/json\r\n"
HTML_TYPE: Final = b"content-type: text/html\r\n"
_INVALID = "invalid_request_error"
_BAD_GATEWAY_HTML = (
    b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n"
    b"<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n</body>\r\n</html>\r\n"
)
# Per status: type, code, message. Other statuses get the nearest of 400 and 500.
_SCRIPTED: Final[dict[int, tuple[str, str | None, str]]] = {
    400: (_INVALID, None, "The simulator was told to refuse this request."),
    401: (_INVALID, "invalid_api_key", "Incorrect API key provided."),
    403: ("permission_error", "permission_denied", "The project has no access to this model."),
    404: (_INVALID, "model_not_found", "The model does not exist or you do not have access to it."),
    429: ("requests", "rate_limit_exceeded", "Rate limit reached. Please try again in 1s."),
    500: ("server_error", None, "The server had an error while processing your request."),
    503: ("server_error", None, "The engine is currently overloaded, please try again later."),
    529: ("overloaded_error", "overloaded", "Overloaded"),
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer that is an error: its status, extra header lines and body."""

    status: int
    headers: bytes
    body: bytes


def refuse(status: int, message: str, *, code: str | None = None, param: str | None = None) -> Refusal:
    """Refuse a request for what it is."""
    return Refusal(status, JSON_TYPE, error_body(message, kind=_INVALID, code=code, param=param))


def scripted_error(status: int) -> Refusal:
    """Make the provider error that a script asks for."""
    if status == 502:
        return Refusal(status, HTML_TYPE, _BAD_GATEWAY_HTML)
    kind, code, message = _SCRIPTED.get(status) or _SCRIPTED[400 if status < 500 else 500]
    retry = b"retry-after: 1\r\nretry-after-ms: 1000\r\n" if status == 429 else b""
    return Refusal(status, JSON_TYPE + retry, error_body(message, kind=kind, code=code))


def error_body(message: str, *, kind: str, code: str | None = None, param: str | None = None) -> bytes:
    """Write an error object as OpenAI does."""
    return json.dumps({"error": {"message": message, "type": kind, "param": param, "code": code}}).encode()
