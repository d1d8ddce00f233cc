"""What a value must be before an action takes it. Each rule returns the value, or raises InvalidInput."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any
from zoneinfo import available_timezones

from metering.allowances import ALLOWANCE_TOKENS_MAX, KINDS
from metering.ids import EXTERNAL_ID_CHARS_MAX, is_external_id
from metering.money import BASIS_POINTS, LIMIT_NANOUSD_MAX, format_usd
from tenants.errors import InvalidInput

Rule = Callable[[Any], Any]

NAME_CHARS_MAX = 200
METADATA_PAIRS_MAX = 50
MODEL_GLOBS_MAX = 200
MARKUP_BP_MAX = 1_000_000
RATE_MAX = 1_000_000
WINDOW_KINDS = ("day", "week", "month", "anniversary", "total")
MEASURES = ("cost", "charge")
# ``grow`` acts as ``clamp`` until streams can be topped up.
ON_EXHAUSTION = ("refuse", "clamp", "grow")

_GLOB = re.compile(r"[\w.:/@+*?\[\]-]{1,200}")


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def external_id(value: str) -> str:
    """The tenant's own id of a customer: any printable text, kept letter by letter."""
    if not is_external_id(value):
        raise InvalidInput(
            "external_id",
            f"external_id must be 1 to {EXTERNAL_ID_CHARS_MAX} printable characters without spaces around them",
        )
    return value


def name(value: str, *, field: str = "name") -> str:
    """A name that people read."""
    if len(value) > NAME_CHARS_MAX or "\x00" in value:
        raise InvalidInput(field, f"{field} has {len(value)} characters, more than {NAME_CHARS_MAX}")
    return value.strip()


def zone(value: str) -> str:
    """An IANA time zone such as ``Europe/Madrid``."""
    if value not in _zones():
        raise InvalidInput("zone", f"{value!r} is no IANA time zone such as Europe/Madrid")
    return value


def one_of(field: str, value: str, allowed: Sequence[str]) -> str:
    """One of a few words."""
    if value not in allowed:
        raise InvalidInput(field, f"{value!r} is none of {', '.join(allowed)}")
    return value


def between(field: str, value: int, *, least: int, most: int) -> int:
    """A whole number within bounds."""
    if not least <= value <= most:
        raise InvalidInput(field, f"{field} is {value}, not within {least} to {most}")
    return value


def limit_nanousd(value: int) -> int:
    """A budget's limit: not negative, and small enough for Redis to add exactly."""
    if not 0 <= value <= LIMIT_NANOUSD_MAX:
        raise InvalidInput(
            "limit_usd",
            f"a limit must be within $0 and ${format_usd(LIMIT_NANOUSD_MAX)}, not ${format_usd(value)}",
        )
    return value


def models_allowed(value: Iterable[str]) -> list[str]:
    """Globs of model names; none = all models."""
    globs = list(dict.fromkeys(value))
    bad = [glob for glob in globs if not _GLOB.fullmatch(glob)]
    if bad or len(globs) > MODEL_GLOBS_MAX:
        raise InvalidInput(
            "models_allowed", f"{bad[:3] or len(globs)}: give up to {MODEL_GLOBS_MAX} globs like gpt-4o*"
        )
    return globs


def metadata(value: Mapping[str, str]) -> dict[str, str]:
    """A tenant's own notes on a row: a few short strings by name."""
    fits = all(len(key) <= 40 and len(text) <= 500 for key, text in value.items())
    if not fits or len(value) > METADATA_PAIRS_MAX:
        raise InvalidInput(
            "metadata", f"metadata takes up to {METADATA_PAIRS_MAX} names of 40 characters with texts of 500"
        )
    return dict(value)


def markup_bp(value: int, *, field: str = "markup_bp") -> int:
    """A markup in basis points; a discount may go down to free, never below."""
    return between(field, value, least=-BASIS_POINTS, most=MARKUP_BP_MAX)


def markup_models(value: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Markups by model glob, the first match ruling."""
    rows = []
    for row in value:
        models_allowed([str(row.get("model", ""))])
        fixed_nanousd = limit_nanousd(int(row.get("markup_fixed_nanousd", 0)))
        rows.append(
            {
                "model": str(row["model"]),
                "markup_bp": markup_bp(int(row.get("markup_bp", 0))),
                "markup_fixed_nanousd": fixed_nanousd,
            }
        )
    return rows


def allowances(value: Mapping[str, int | None]) -> dict[str, int | None]:
    """Tokens that stand for a part nobody can bound, by its kind; None takes one away."""
    unknown = sorted(value.keys() - KINDS)
    if unknown:
        kinds = ", ".join(sorted(KINDS))
        raise InvalidInput(
            "allowances", f"{unknown[0][:80]!r} is no kind of part that has an allowance: {kinds}"
        )
    for kind, tokens in value.items():
        if tokens is not None:
            between(f"allowances.{kind}", tokens, least=1, most=ALLOWANCE_TOKENS_MAX)
    return dict(value)


def bounded(field: str, *, least: int, most: int) -> Rule:
    """Make the rule of a whole number within bounds."""
    return lambda value: between(field, value, least=least, most=most)


def word(field: str, allowed: Sequence[str]) -> Rule:
    """Make the rule of one of a few words."""
    return lambda value: one_of(field, value, allowed)


def or_none(rule: Rule) -> Rule:
    """Make a rule that lets None pass."""
    return lambda value: None if value is None else rule(value)


def checked(table: Mapping[str, Rule], values: Mapping[str, Any], *, noun: str) -> dict[str, Any]:
    """Check each value by its rule. Raises: InvalidInput for one without a rule: it cannot be set."""
    for field in values:
        if field not in table:
            raise InvalidInput(field, f"{field} of {noun} cannot be set")
    return {field: table[field](value) for field, value in values.items()}


# Requests per minute, their burst, and calls in flight; 0 = no such limit.
RATES: dict[str, Rule] = {
    field: bounded(field, least=0, most=RATE_MAX)
    for field in ("requests_per_minute", "burst", "in_flight_max")
}
