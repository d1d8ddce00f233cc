"""A ledger row from a stream entry: pure, and never without an answer.

The flat fields come from our own scripts and decide what is booked. The body tells the rest; one that cannot be read
still makes a row from the flat fields, with a fault beside it that becomes a dead letter. Only an entry whose flat
fields make no sense becomes no row at all.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

import msgspec

from enforcement.calls import parse_draws
from metering.events import EventBody, decode_body
from metering.ids import ALPHABET, born_ms_of, month_of
from metering.usage import TOKEN_BUCKETS

Fields = Mapping[bytes, bytes]
Value = str | int | bool | None

KINDS = frozenset({"settled", "expired", "correction", "released"})
BASES = frozenset({"reported", "estimated", "unresolved", "none"})
MODES = frozenset({"test", "live"})
AMOUNT_NANOUSD_MAX = 2**53  # what a Lua double can carry
COUNT_MAX = 10**12  # of tokens or extras in one call: more is no report but noise
INSTANT_MS_MAX = 253_402_300_799_000  # the year 9999
ID_CHARS_MAX = 64
TEXT_CHARS_MAX = 256  # ids and a model name together fit an index entry

# An escaped NUL; behind an escaped backslash the same letters are only text.
_NUL = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")

# What is staged for one row, in this order, with its type; ``billing.ledger.statements`` turns it into columns.
STAGED = (
    ("event_id", "text"), ("month", "text"), ("kind", "text"), ("basis", "text"), ("corrects", "text"),
    ("tenant_id", "text"), ("mode", "text"), ("shard", "bigint"), ("hold_id", "text"),
    ("cost_nanousd", "bigint"), ("charge_nanousd", "bigint"), ("draws", "text"), ("epoch", "bigint"),
    ("seq", "bigint"), ("booked_ms", "bigint"),
    ("customer_id", "text"), ("key_id", "text"), ("account_id", "text"), ("provider", "text"), ("dialect", "text"),
    ("model", "text"), ("response_model", "text"), ("request_id", "text"), ("attempt", "bigint"), ("run_id", "text"),
    ("started_ms", "bigint"), ("ended_ms", "bigint"), ("upstream_status", "bigint"), ("upstream_request_id", "text"),
    ("end", "text"), ("stream", "boolean"), ("bound_class", "text"), ("quoted_input_tokens", "bigint"),
    ("output_cap", "bigint"), ("output_cap_source", "text"), ("quote_cost_nanousd", "bigint"),
    ("quote_charge_nanousd", "bigint"), ("price_id", "text"), ("markup_bp", "bigint"),
    ("markup_fixed_nanousd", "bigint"),
    *((f"{name}_tokens", "bigint") for name in TOKEN_BUCKETS),
    ("extras", "text"), ("tag_set_id", "text"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class TagSet:
    """One combination of tags of a tenant, named by its digest."""

    tenant_id: str
    tag_set_id: str
    tags_json: str


@dataclass(frozen=True, slots=True)
class Fault:
    """Why an entry could not be booked as it stood."""

    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Flat:
    """What our scripts wrote beside the body: enough to book an amount."""

    event_id: str
    month: date
    kind: str
    basis: str
    corrects: str
    tenant_id: str
    mode: str
    hold_id: str
    cost_nanousd: int
    charge_nanousd: int
    draws: tuple[tuple[str, str, str], ...]
    epoch: int
    seq: int
    booked_ms: int


@dataclass(frozen=True, slots=True)
class Reading:
    """What came of an entry: the values to stage (None = no row), its tags, and what was wrong with it."""

    flat: Flat | None
    values: tuple[Value, ...] | None
    tag_set: TagSet | None = None
    fault: Fault | None = None


def read_entry(fields: Fields, shard: int) -> Reading:
    """Turn a stream entry into what is staged for its row."""
    try:
        flat = read_flat(fields)
    except (KeyError, ValueError) as error:
        return Reading(None, None, fault=Fault("unreadable_entry", f"{type(error).__name__}: {error}"))
    raw = fields.get(b"body", b"")
    fault = None
    cleaned = _NUL.sub(rb"\1", raw)  # JSON may hold a NUL, PostgreSQL's text may not
    if cleaned != raw:
        fault = Fault("nul_in_body", "a NUL character was left out of the row")
    try:
        body = decode_body(cleaned)
        check_body(body)
        told, tag_set = values_of_body(body, flat)
    except (msgspec.MsgspecError, ValueError) as error:
        return bare_reading(flat, shard, Fault("unreadable_body", f"{type(error).__name__}: {error}"))
    return Reading(flat, values_of_flat(flat, shard) + told, tag_set, fault)


def bare_reading(flat: Flat, shard: int, fault: Fault) -> Reading:
    """Make the row that needs nothing but the flat fields."""
    body = EventBody(
        request_id=flat.hold_id, attempt=0, key_id="", customer_id=None, account_id="", provider="", dialect="",
        model="", price_id="", bound_class="", quoted_input_tokens=0, started_ms=born_ms_of(flat.event_id),
        output_cap_source="",
    )  # fmt: skip
    told, _ = values_of_body(body, flat)
    return Reading(flat, values_of_flat(flat, shard) + told, None, fault)


def read_flat(fields: Fields) -> Flat:
    """Read the flat fields. Raises: KeyError, ValueError (a field is missing or makes no sense)."""
    event_id = _id(fields[b"event_id"])
    kind = fields[b"kind"].decode()
    basis = fields[b"basis"].decode()
    mode = fields[b"mode"].decode()
    if kind not in KINDS or basis not in BASES or mode not in MODES:
        raise ValueError(f"kind {kind!r}, basis {basis!r} or mode {mode!r} is unknown")
    hold_id, _, rest = event_id.partition(".")
    if not rest or len(hold_id) != 26 or not set(hold_id) <= _LETTERS:
        raise ValueError(f"{event_id!r} is no event id")
    return Flat(
        event_id=event_id,
        month=_month(event_id),
        kind=kind,
        basis=basis,
        corrects=_id(fields.get(b"corrects", b""), may_be_empty=True),
        tenant_id=_id(fields[b"tenant_id"]),
        mode=mode,
        hold_id=hold_id,
        cost_nanousd=_bounded(int(fields[b"cost"]), AMOUNT_NANOUSD_MAX),
        charge_nanousd=_bounded(int(fields[b"charge"]), AMOUNT_NANOUSD_MAX),
        draws=_draws(fields.get(b"draws", b"")),
        epoch=_bounded(int(fields[b"epoch"]), AMOUNT_NANOUSD_MAX),
        seq=_bounded(int(fields[b"seq"]), AMOUNT_NANOUSD_MAX),
        booked_ms=_bounded(int(fields[b"at_ms"]), INSTANT_MS_MAX),
    )


def values_of_flat(flat: Flat, shard: int) -> tuple[Value, ...]:
    """The first part of what is staged."""
    draws = json.dumps(flat.draws, separators=(",", ":")) if flat.draws else "[]"
    return (
        flat.event_id, _isoformat(flat.month), flat.kind, flat.basis, flat.corrects, flat.tenant_id, flat.mode,
        shard, flat.hold_id, flat.cost_nanousd, flat.charge_nanousd, draws, flat.epoch, flat.seq, flat.booked_ms,
    )  # fmt: skip


def values_of_body(body: EventBody, flat: Flat) -> tuple[tuple[Value, ...], TagSet | None]:
    """The second part of what is staged, with the tag set it names."""
    tag_set = tag_set_of(flat.tenant_id, body.tags) if body.tags else None
    usage, extras = body.usage, body.extras
    if not usage.keys() <= _BUCKETS:
        usage = {name.removesuffix("_tokens"): count for name, count in usage.items()}
        # A bucket we do not know is kept where extras are: nothing reported vanishes.
        extras = extras | {name: count for name, count in usage.items() if name not in _BUCKETS}
    buckets = tuple([usage.get(name, 0) for name in TOKEN_BUCKETS])
    told = (
        body.customer_id or "", body.key_id, body.account_id, body.provider, body.dialect, body.model,
        body.response_model, body.request_id or flat.hold_id, body.attempt, body.run_id, body.started_ms,
        body.ended_ms or flat.booked_ms, body.upstream_status or None, body.upstream_request_id, body.end,
        body.stream, body.bound_class, body.quoted_input_tokens, body.output_cap, body.output_cap_source,
        body.quote_cost_nanousd, body.quote_charge_nanousd, body.price_id, body.markup_bp, body.markup_fixed_nanousd,
        *buckets, json.dumps(extras) if extras else "{}", tag_set.tag_set_id if tag_set else "",
    )  # fmt: skip
    return told, tag_set


def check_body(body: EventBody) -> None:
    """Refuse numbers and names no call can have. Raises: ValueError."""
    ids = (body.key_id, body.customer_id or "", body.account_id, body.provider)
    # A price of the base book is named after its model.
    texts = (
        body.model, body.price_id, body.response_model, body.request_id, body.run_id, body.dialect, body.bound_class,
        body.upstream_request_id, body.end, body.output_cap_source,
    )  # fmt: skip
    if max(map(len, ids)) > ID_CHARS_MAX or max(map(len, texts)) > TEXT_CHARS_MAX:
        raise ValueError("an id or a name is longer than any of ours")
    counts = (
        body.attempt, body.quoted_input_tokens, body.output_cap, body.upstream_status, body.markup_bp + 10_000,
        *body.usage.values(), *body.extras.values(),
    )  # fmt: skip
    if min(counts) < 0 or max(counts) > COUNT_MAX or max(body.attempt, body.upstream_status) > 2**31 - 1:
        raise ValueError("a count is negative or out of all reason")
    quotes = (body.quote_cost_nanousd, body.quote_charge_nanousd)
    if min(quotes) < 0 or max(quotes) > AMOUNT_NANOUSD_MAX:
        raise ValueError("a quote is negative or out of all reason")
    _bounded(body.markup_fixed_nanousd, AMOUNT_NANOUSD_MAX)
    if not (0 < body.started_ms <= INSTANT_MS_MAX and 0 <= body.ended_ms <= INSTANT_MS_MAX):
        raise ValueError(f"started_ms {body.started_ms} or ended_ms {body.ended_ms} is no instant")


def tag_set_of(tenant_id: str, tags: Mapping[str, str]) -> TagSet:
    """Name a combination of tags: the same tags always have the same id."""
    return _tag_set(tenant_id, tuple(sorted(tags.items())))


@lru_cache(maxsize=20_000)
def _tag_set(tenant_id: str, tags: tuple[tuple[str, str], ...]) -> TagSet:
    canonical = json.dumps(dict(tags), separators=(",", ":"))
    digest = hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()[:24]
    return TagSet(tenant_id, f"tag_{digest}", canonical)


@lru_cache(maxsize=50_000)
def _draws(text: bytes) -> tuple[tuple[str, str, str], ...]:
    draws = tuple((draw.budget_id, draw.window_id, draw.measure) for draw in parse_draws(text))
    if not all(draw[0] and draw[1] and draw[2] in {"cost", "charge"} for draw in draws) or b"\0" in text:
        raise ValueError(f"{text!r} are no draws")
    return draws


def _id(raw: bytes, *, may_be_empty: bool = False) -> str:
    text = raw.decode("ascii")
    if len(text) > ID_CHARS_MAX or not (text.isprintable() and (text or may_be_empty)):
        raise ValueError(f"{raw[:80]!r} is no id")
    return text


def _bounded(number: int, most: int) -> int:
    if abs(number) > most:
        raise ValueError(f"{number} is out of all reason")
    return number


def _month(event_id: str) -> date:
    try:
        return month_of(event_id)
    except (OverflowError, OSError) as error:
        raise ValueError(f"{event_id!r} was born in no month") from error


@lru_cache(maxsize=1024)
def _isoformat(month: date) -> str:
    return month.isoformat()


_LETTERS = frozenset(ALPHABET)
_BUCKETS = frozenset(TOKEN_BUCKETS)
