"""What a request asks the simulator to do, read from the model's name and the x-sim-script header."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import Final

COUNT_MAX: Final = 1_000_000
DELAY_MS_MAX: Final = 3_600_000
_NAME = re.compile(r"sim(?:-[a-z0-9]+)+")


@dataclass(frozen=True, slots=True)
class Script:
    """One request's behaviour; the defaults are a well-behaved provider."""

    length: str = "hash"  # hash: 20 to 60 words; cap: exactly the output cap; words: `words`
    words: int = 0
    content: str = "text"  # text, tools, json
    latency_ms: int = 0
    drip_ms: int = 0
    cut_after: int | None = None
    stall_after: int | None = None
    usage: str = "plain"  # plain, none, zero, every, choice, not-last; for texts total-only, -more, -less
    over_percent: int | None = None
    error_status: int | None = None
    fault: str = ""  # hang, reset, midstream
    reasoning: int = 0
    cached: int = 0
    cache_write: int = 0  # of the rest of the prompt, written for 5 minutes; Anthropic's dialect alone
    cache_write_1h: int = 0
    searches: int = (
        0  # made at the provider, where the request lets it; Anthropic's dialect alone, as all up to here
    )
    compacted: int = 0  # tokens of a summary that is billed beside the answer's usage
    advised: int = 0  # tokens of another model's advice
    iterations: bool = False  # lists every sampling even where there is one
    count_over: int = 0  # by so many per cent a count is above what is billed
    count_under: int = 0
    quirk: str = (
        ""  # of Gemini's dialect alone: noprompt, nocandidates, mismatch, lastusage, blocked, grounded
    )
    crlf: bool = False
    comments: bool = False
    gzip: bool = False


# Behaviours without an argument: what they set.
_FLAGS: Final[dict[str, tuple[str, str | bool]]] = {
    "exact": ("length", "cap"),
    "echo": ("length", "hash"),
    "mini": ("length", "hash"),
    "nousage": ("usage", "none"),
    "zerousage": ("usage", "zero"),
    "usage-every": ("usage", "every"),
    "usage-choice": ("usage", "choice"),
    "usage-not-last": ("usage", "not-last"),
    "usage-total-only": ("usage", "total-only"),
    "usage-total-more": ("usage", "total-more"),
    "usage-total-less": ("usage", "total-less"),
    "hang": ("fault", "hang"),
    "reset": ("fault", "reset"),
    "midstream-error": ("fault", "midstream"),
    "tools": ("content", "tools"),
    "json": ("content", "json"),
    "noprompt": ("quirk", "noprompt"),
    "nocandidates": ("quirk", "nocandidates"),
    "mismatch": ("quirk", "mismatch"),
    "lastusage": ("quirk", "lastusage"),
    "blocked": ("quirk", "blocked"),
    "grounded": ("quirk", "grounded"),
    "crlf": ("crlf", True),
    "comments": ("comments", True),
    "gzip": ("gzip", True),
    "iterations": ("iterations", True),
}
# Behaviours with a number: the field it goes to.
_NUMBERS: Final[dict[str, str]] = {
    "words": "words",
    "slow": "latency_ms",
    "drip": "drip_ms",
    "cut": "cut_after",
    "stall": "stall_after",
    "over": "over_percent",
    "error": "error_status",
    "reasoning": "reasoning",
    "cached": "cached",
    "cachewrite": "cache_write",
    "cachewrite1h": "cache_write_1h",
    "searches": "searches",
    "compacted": "compacted",
    "advised": "advised",
    "countover": "count_over",
    "countunder": "count_under",
}
_CHOICES: Final[dict[str, frozenset[str]]] = {
    "length": frozenset({"hash", "cap", "words"}),
    "content": frozenset({"text", "tools", "json"}),
    "usage": frozenset(
        {"plain", "none", "zero", "every", "choice", "not-last", "total-only", "total-more", "total-less"}
    ),
    "fault": frozenset({"", "hang", "reset", "midstream"}),
    "quirk": frozenset({"", "noprompt", "nocandidates", "mismatch", "lastusage", "blocked", "grounded"}),
}
_NUMBER_FIELDS: Final = frozenset(_NUMBERS.values())
_FIELD_NAMES: Final = frozenset(field.name for field in fields(Script))


@lru_cache(maxsize=4096)
def read_model(name: str) -> Script | None:
    """Read the script that a model's name spells, or None when there is no such model."""
    if not _NAME.fullmatch(name):
        return None
    settings: dict[str, object] = {}
    parts = name.split("-")[1:]
    while parts:
        taken = _take_behaviour(parts)
        if taken is None:
            return None
        used, found = taken
        parts = parts[used:]
        settings.update(found)
    return _apply(Script(), settings)


def override(script: Script, header: bytes) -> Script | None:
    """Apply an x-sim-script header, a JSON object of script fields; None when it is not one.

    `chunk_ms` is another name for `drip_ms`, and `words` alone implies the length that it gives.
    """
    try:
        settings = json.loads(header)
    except ValueError:
        return None
    if not isinstance(settings, dict):
        return None
    if "chunk_ms" in settings:
        settings["drip_ms"] = settings.pop("chunk_ms")
    if "words" in settings:
        settings.setdefault("length", "words")
    return _apply(script, settings)


def _take_behaviour(parts: list[str]) -> tuple[int, dict[str, object]] | None:
    for used in (3, 2, 1):
        flag = _FLAGS.get("-".join(parts[:used])) if len(parts) >= used else None
        if flag is not None:
            return used, {flag[0]: flag[1]}
    field = _NUMBERS.get(parts[0])
    if field is None or len(parts) < 2 or not parts[1].isdecimal() or len(parts[1]) > 7:
        return None
    found: dict[str, object] = {field: int(parts[1])}
    if field == "words":
        found["length"] = "words"
    return 2, found


def _apply(script: Script, settings: dict[str, object]) -> Script | None:
    if not all(name in _FIELD_NAMES and _valid(name, value) for name, value in settings.items()):
        return None
    return replace(script, **settings)  # type: ignore[arg-type]  # each value was checked by its field's name


def _valid(name: str, value: object) -> bool:
    if name in _CHOICES:
        return isinstance(value, str) and value in _CHOICES[name]
    if name not in _NUMBER_FIELDS:
        return isinstance(value, bool)
    if not isinstance(value, int) or isinstance(value, bool):
        return False
    if name == "error_status":
        return 400 <= value <= 599
    return 0 <= value <= (DELAY_MS_MAX if name.endswith("_ms") else COUNT_MAX)
