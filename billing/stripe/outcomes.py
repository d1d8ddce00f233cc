"""What Stripe said, in words of our own: pure, so that every answer can be judged without asking Stripe.

Source: Stripe's API description 2026-05-27 and stripe-python 16.1, exercised against a loopback server, 2026-11.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

DETAIL_CHARS_MAX = 300
# Stripe's way of naming a permission that a restricted key lacks.
_SCOPE = re.compile(r"rak_[a-z_]+")
# An API key must not travel in a message, masked or not.
_KEY = re.compile(r"\b(?:[rs]k_(?:live|test)_|whsec_)[\w*]+")
CLASHED = "idempotency_error"
_DUPLICATE = "An event already exists with identifier"
# v1 refuses meter events in prose only; these are the codes that v2 and the later reports use for the same.
_PROSE_CODES = (
    ("No active meter found for event name", "no_meter"),
    ("The event timestamp cannot be more than 35", "timestamp_too_far_in_past"),
    ("The event timestamp cannot be more than 5", "timestamp_in_future"),
)


class Verdict(StrEnum):
    """What to do about an answer."""

    ACCEPTED = "accepted"
    # The event was there already: as good as accepted.
    DUPLICATE = "duplicate"
    # Nothing happened; the same request may be sent again later.
    RETRY = "retry"
    # It may have happened: the same request, under the same identifier, or a look at the sums.
    AMBIGUOUS = "ambiguous"
    # The key opens nothing any more.
    AUTH = "auth"
    # The key may not do this; ``scopes`` names what it lacks.
    PERMISSION = "permission"
    # What was asked for is not there.
    MISSING = "missing"
    # It will be refused for ever as it stands; ``code`` says why.
    INVALID = "invalid"
    # One idempotency key, two bodies: must be impossible.
    CLASH = "clash"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One answer of Stripe. ``reason`` says what a RETRY waits for; ``status`` is None when nothing came back."""

    verdict: Verdict
    code: str = ""
    reason: str = ""
    detail: str = ""
    scopes: tuple[str, ...] = ()
    status: int | None = None
    request_id: str = ""

    @property
    def is_delivered(self) -> bool:
        """Whether Stripe has the event, by this request or an earlier one."""
        return self.verdict in {Verdict.ACCEPTED, Verdict.DUPLICATE}

    @property
    def closes_connection(self) -> bool:
        """Whether nothing more can be asked with this key."""
        return self.verdict in {Verdict.AUTH, Verdict.PERMISSION}


ACCEPTED = Outcome(Verdict.ACCEPTED, status=200)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An error as it came off the wire; ``status`` None = no answer came."""

    status: int | None
    kind: str = ""
    code: str = ""
    message: str = ""
    headers: Mapping[str, str] | None = None
    request_id: str = ""

    def header(self, name: str) -> str:
        """One header, whatever the case of its name."""
        return next((value for key, value in (self.headers or {}).items() if key.lower() == name), "")


def outcome_of(refusal: Refusal) -> Outcome:
    """Judge an error."""
    verdict = _verdict_of(refusal)
    return Outcome(
        verdict,
        code=refusal.code or _code_in(refusal.message),
        reason=_reason_of(refusal) if verdict == Verdict.RETRY else "",
        detail=without_keys(refusal.message)[:DETAIL_CHARS_MAX],
        scopes=tuple(sorted(set(_SCOPE.findall(refusal.message)))) if verdict == Verdict.PERMISSION else (),
        status=refusal.status,
        request_id=refusal.request_id,
    )


def without_keys(text: str) -> str:
    """A message without the keys that stand in it."""
    return _KEY.sub("the key", text)


def _verdict_of(refusal: Refusal) -> Verdict:
    match refusal.status:
        case None:
            return Verdict.AMBIGUOUS
        case 401:
            return Verdict.AUTH
        case 403:
            # An account that withdrew its consent names no scope.
            return Verdict.AUTH if refusal.code == "account_invalid" else Verdict.PERMISSION
        case 404:
            return Verdict.MISSING
        case 409 | 429:
            return Verdict.RETRY
        # A 2xx that nobody can read may have done its work as well.
        case status if status >= 500 or status < 400:
            return Verdict.AMBIGUOUS
        case _:
            return _verdict_of_invalid(refusal)


def _verdict_of_invalid(refusal: Refusal) -> Verdict:
    if refusal.kind == CLASHED:
        return Verdict.CLASH
    if refusal.code == "duplicate_meter_event" or refusal.message.startswith(_DUPLICATE):
        return Verdict.DUPLICATE
    if refusal.code in {"too_many_concurrent_requests", "rate_limit", "lock_timeout"}:
        return Verdict.RETRY
    # A parameter that names what is not there comes as a 400.
    return Verdict.MISSING if refusal.code == "resource_missing" else Verdict.INVALID


def _reason_of(refusal: Refusal) -> str:
    """``resource-specific``, ``global-rate`` … as Stripe's header says; without it, a lock that timed out."""
    said = refusal.header("stripe-rate-limited-reason")
    if said:
        return said
    if refusal.status == 409:
        return "conflict"
    return "resource-specific" if refusal.code == "too_many_concurrent_requests" else "lock_timeout"


def _code_in(message: str) -> str:
    return next((code for start, code in _PROSE_CODES if message.startswith(start)), "")
