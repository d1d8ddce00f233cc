"""What the proxy answers instead of serving, as one table of codes and one small tree.

ProxyError
├── Refusal            a request is answered with one of ``CODES``; the caller sees it
├── UpstreamError      a provider could not be had or did not finish
│   ├── NotSent        no byte of the request was written: nothing can have been billed
│   ├── Unfinished     something was written and no whole answer came: it may have been billed
│   └── ForbiddenAddress  the base URL leads where this installation does not allow (is a NotSent)
├── SettingsError      a variable of the environment is missing or malformed
└── GateOpen           the start-up self-test reached a provider without a hold: refuse to serve
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Code:
    """How a code looks from outside: its HTTP status, OpenAI's error type, and whether trying again can help."""

    status: int
    kind: str
    may_retry: bool = False


_AUTH = "authentication_error"
_PERMISSION = "permission_error"
_INVALID = "invalid_request_error"
_LIMIT = "rate_limit_error"
_SERVER = "server_error"

CODES: Mapping[str, Code] = {
    "invalid_key": Code(401, _AUTH),
    "key_revoked": Code(401, _AUTH),
    "key_expired": Code(401, _AUTH),
    "wrong_mode": Code(403, _PERMISSION),
    "tenant_suspended": Code(403, _PERMISSION),
    "customer_required": Code(400, _INVALID),
    "customer_unknown": Code(403, _PERMISSION),
    "customer_suspended": Code(403, _PERMISSION),
    "model_not_allowed": Code(403, _PERMISSION),
    "model_stopped": Code(403, _PERMISSION),
    "negative_margin": Code(403, _PERMISSION),
    "run_stopped": Code(403, _PERMISSION),
    "unsupported_route": Code(404, _INVALID),
    "no_provider_account": Code(404, _INVALID),
    "model_not_found": Code(404, _INVALID),
    "unpriced_model": Code(400, _INVALID),
    "uncountable": Code(400, _INVALID),
    "invalid_request": Code(400, _INVALID),
    "body_too_large": Code(413, _INVALID),
    "request_in_progress": Code(409, _INVALID),
    "already_done": Code(409, _INVALID),
    "idempotency_mismatch": Code(422, _INVALID),
    "budget_exceeded": Code(402, "budget_error"),
    "budget_in_flight": Code(429, _LIMIT, may_retry=True),
    "rate_limited": Code(429, _LIMIT, may_retry=True),
    "provider_rate_limited": Code(429, _LIMIT, may_retry=True),
    "provider_auth_failed": Code(502, _SERVER),
    "provider_error": Code(502, _SERVER, may_retry=True),
    # It may have been billed: a client that tries again by itself would pay again.
    "provider_timeout": Code(504, _SERVER),
    "enforcement_unavailable": Code(503, _SERVER, may_retry=True),
    "internal_error": Code(500, _SERVER),
}


class ProxyError(Exception):
    """Root of what the proxy cannot do."""

    code = "internal_error"


class Refusal(ProxyError):
    """A request is answered with a code of ``CODES``, a message and the numbers behind it.

    ``retry_after_ms`` None says that coming again by itself is no use, or dear, even where the code would allow it.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        param: str | None = None,
        numbers: Mapping[str, str | int | None] | None = None,
        retry_after_ms: int | None = 0,
    ) -> None:
        assert code in CODES
        self.code = code
        self.message = message
        self.param = param
        self.numbers = numbers or {}
        self.retry_after_ms = retry_after_ms
        super().__init__(message)


class UpstreamError(ProxyError):
    """A provider could not be had or did not finish."""

    code = "provider_error"

    def __init__(self, message: str, *, timed_out: bool = False) -> None:
        self.timed_out = timed_out
        super().__init__(message)


class NotSent(UpstreamError):
    """No byte of the request was written: nothing can have been billed."""


class ForbiddenAddress(NotSent):
    """The base URL leads where this installation does not allow."""


class Unfinished(UpstreamError):
    """Something was written and no whole answer came: it may have been billed."""


class SettingsError(ProxyError):
    """A variable of the environment is missing or malformed; the message names it."""

    code = "invalid_settings"


class GateOpen(ProxyError):
    """The start-up self-test got past the gate."""

    code = "gate_open"
