"""What can go wrong, as one tree. Every answer of the API that is no success is an ``ApiError`` with its code.

FareboxError
├── ConnectionFailed   no answer came; what was asked may or may not have happened
├── UnreadableAnswer   an answer came that is none of the API's
└── ApiError           the API refused: ``status``, ``code``, ``detail`` and the numbers behind it
    ├── BadRequest     400, 405, 413, 415, 422
    ├── Unauthorized   401
    ├── BudgetExceeded 402: final for this window; do not try again by yourself
    ├── Forbidden      403
    ├── NotFound       404
    ├── Conflict       409
    ├── RateLimited    429: passes by itself, see ``retry_after_seconds``
    └── Unavailable    5xx
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

_MEMBERS = frozenset(("type", "title", "status", "code", "detail", "docs", "errors"))


class FareboxError(Exception):
    """Root of what this client cannot do."""


class ConnectionFailed(FareboxError):
    """No answer came."""


class UnreadableAnswer(FareboxError):
    """An answer came that is none of the API's."""


class ApiError(FareboxError):
    """The API refused, and says why."""

    def __init__(
        self, status: int, document: Mapping[str, Any], *, retry_after_seconds: float | None = None
    ) -> None:
        self.status = status
        self.code = str(document.get("code", ""))
        self.detail = str(document.get("detail", ""))
        self.docs = str(document.get("docs", ""))
        # Each refused field with its message, where fields were refused.
        self.errors: tuple[Mapping[str, str], ...] = tuple(document.get("errors", ()))
        self.numbers = {
            name: _number(name, value) for name, value in document.items() if name not in _MEMBERS
        }
        self.retry_after_seconds = retry_after_seconds
        super().__init__(f"{status} {self.code}: {self.detail}")


class BadRequest(ApiError):
    """What was sent cannot be accepted as it is."""


class Unauthorized(ApiError):
    """The API key was not accepted."""


class BudgetExceeded(ApiError):
    """What is spent leaves no room in a budget, final for its window."""


class Forbidden(ApiError):
    """The key, customer or tenant may not do this."""


class NotFound(ApiError):
    """There is no such thing, or it is not yours."""


class Conflict(ApiError):
    """The state does not allow it."""


class RateLimited(ApiError):
    """Too much at once; it passes by itself."""


class Unavailable(ApiError):
    """Farebox, its database or its Redis cannot answer now."""


_BY_STATUS: Mapping[int, type[ApiError]] = {
    401: Unauthorized,
    402: BudgetExceeded,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    429: RateLimited,
}


def error_for(
    status: int, document: Mapping[str, Any], *, retry_after_seconds: float | None = None
) -> ApiError:
    """Make the error of a status from its problem document."""
    kind = _BY_STATUS.get(status, Unavailable if status >= 500 else BadRequest)
    return kind(status, document, retry_after_seconds=retry_after_seconds)


def _number(name: str, value: Any) -> Any:
    if name.endswith("_usd") and isinstance(value, str):
        try:
            return Decimal(value)
        except InvalidOperation:
            return value
    return value
