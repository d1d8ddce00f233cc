"""Typed client of Farebox's control API."""

from __future__ import annotations

from farebox.client import AsyncFarebox, Farebox
from farebox.errors import (
    ApiError,
    BadRequest,
    BudgetExceeded,
    Conflict,
    ConnectionFailed,
    FareboxError,
    Forbidden,
    NotFound,
    RateLimited,
    Unauthorized,
    Unavailable,
    UnreadableAnswer,
)
from farebox.shapes import UNSET, Unset

__all__ = [
    "UNSET",
    "ApiError",
    "AsyncFarebox",
    "BadRequest",
    "BudgetExceeded",
    "Conflict",
    "ConnectionFailed",
    "Farebox",
    "FareboxError",
    "Forbidden",
    "NotFound",
    "RateLimited",
    "Unauthorized",
    "Unavailable",
    "UnreadableAnswer",
    "Unset",
]
