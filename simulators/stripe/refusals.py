"""Errors in Stripe's two shapes, v1 and v2."""

from __future__ import annotations

import json

_BAD_GATEWAY_HTML = (
    b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n"
    b"<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n</body>\r\n</html>\r\n"
)
INVALID = "invalid_request_error"


class Refused(Exception):
    """A request is answered with an error; `saved` says whether an idempotency key keeps the answer."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = INVALID,
        code: str | None = None,
        param: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.kind = kind
        self.code = code
        self.param = param
        self.headers: dict[str, str] = {}
        self.saved = True
        self.extra: dict[str, object] = {}

    def unsaved(self) -> Refused:
        """Mark an answer given before the endpoint began its work."""
        self.saved = False
        return self

    def with_headers(self, **headers: str) -> Refused:
        """Add headers, underscores standing for hyphens."""
        self.headers |= {name.replace("_", "-"): value for name, value in headers.items()}
        return self

    def body(self, *, v2: bool, request_id: str) -> bytes:
        """Write the error."""
        error: dict[str, object] = {"message": self.message, **self.extra}
        if self.code is not None:
            error["code"] = self.code
        if v2:
            error.setdefault("code", "invalid_request")
            if self.kind != INVALID:
                error["type"] = self.kind
        else:
            error["type"] = self.kind
            error["request_log_url"] = f"https://dashboard.stripe.com/logs/{request_id}"
            if self.param is not None:
                error["param"] = self.param
            if self.code is not None:
                error["doc_url"] = f"https://stripe.com/docs/error-codes/{self.code.replace('_', '-')}"
        return json.dumps({"error": error}).encode()


def invalid(message: str, *, param: str | None = None, code: str | None = None) -> Refused:
    """Refuse what was asked for with a 400."""
    return Refused(400, message, param=param, code=code)


def missing(noun: str, name: object, *, param: str = "id") -> Refused:
    """Refuse a reference to what does not exist."""
    status = 404 if param == "id" else 400
    return Refused(status, f"No such {noun}: '{name}'", param=param, code="resource_missing")


def no_value(param: str) -> Refused:
    """Refuse a request that leaves out what is required."""
    return Refused(400, f"Missing required param: {param}.", param=param, code="parameter_missing").unsaved()


def rate_limited(reason: str | None) -> Refused:
    """Refuse for the caller's pace, with the reason header that Stripe gives."""
    message = "Request rate limit exceeded. Learn more about rate limits https://stripe.com/docs/rate-limits."
    refusal = Refused(429, message, code="rate_limit").unsaved()
    return refusal.with_headers(Stripe_Rate_Limited_Reason=reason) if reason else refusal


def lock_timeout(status: int) -> Refused:
    """Refuse because another request holds the object; the official client may try again."""
    message = (
        "This object cannot be accessed right now because another API request or Stripe process is "
        "currently accessing it. If you see this error intermittently, retry the request."
    )
    refusal = Refused(status, message, code="lock_timeout").unsaved()
    return refusal.with_headers(Stripe_Should_Retry="true")


def server_error(status: int) -> Refused:
    """Fail as a server does."""
    message = "An unknown error occurred on Stripe's side." if status == 500 else "Stripe is unavailable."
    return Refused(status, message, kind="api_error")


def bad_gateway_html() -> bytes:
    """Write what a proxy in front of Stripe answers."""
    return _BAD_GATEWAY_HTML
