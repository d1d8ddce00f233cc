"""The base price book: genai-prices, turned into exact integers, by instant and service tier.

Source: the data that ships inside the installed genai-prices package, never its online update, so that the same
release prices the same call the same way on every machine.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, time, timedelta
from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Decimal
from functools import cache, lru_cache
from importlib import metadata
from typing import TYPE_CHECKING, NamedTuple

from metering.free_models import free_price
from metering.money import NANOUSD_PER_USD, TOKENS_PER_MTOK, ceil_div
from metering.providers import price_source
from metering.rates import DEARER_TIERS, IMAGE_OUTPUT, REGION_PERCENT, STANDARD_TIERS, Price, Rate

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice, Provider, StartDateConstraint, TimeOfDateConstraint

_REGIONAL_TIERS = {
    f"{tier}-{region}" if tier else region for tier in ("", "fast") for region in REGION_PERCENT
}
KNOWN_TIERS = ((STANDARD_TIERS | DEARER_TIERS) - {"", "auto", "unspecified"}) | _REGIONAL_TIERS

# Price keys of genai-prices by our bucket. Where several feed one bucket the dearest counts: the buckets know no
# video output, and a film must not be billed as text.
_BUCKETS = {
    "input": ("input_mtok",),
    "cache_read": ("cache_read_mtok",),
    "cache_write_5m": ("cache_write_mtok", "cache_write_5m_mtok"),
    "cache_write_1h": ("cache_write_1h_mtok",),
    "output": ("output_mtok", "output_video_mtok"),
    "reasoning": ("output_reasoning_mtok",),
    "audio_input": ("input_audio_mtok",),
    "audio_output": ("output_audio_mtok",),
    "image_input": ("input_image_mtok", "input_video_mtok"),
}
_EXTRAS = {
    "web_searches_kcount": ("web_search", 1000),
    "storage_searches_kcount": ("file_search", 1000),
    "audio_hours": ("audio_second", 3600),
    "input_audio_hours": ("audio_second", 3600),
}
_PER_REQUEST = "requests_kcount"
_PICTURES = "output_image_mtok"
# Not carried because without it the call is billed at a dearer rate (a cached picture as a fresh one), or because
# the endpoints that have it are not served from token prices.
_PASSED_OVER = frozenset(
    {
        "cache_audio_read_mtok",
        "cache_image_read_mtok",
        "input_document_kpages",
        "input_annotated_document_kpages",
        "input_mchars",
        "input_text_messages_kcount",
    }
)
_CARRIED = (
    frozenset(_EXTRAS) | {_PER_REQUEST, _PICTURES} | {key for keys in _BUCKETS.values() for key in keys}
)

# Names that mean the latest release, and what in a model's name tells its version or how finished it is.
_MOVES = re.compile(r"(^|[-/:@])latest$")
_BREAKS = re.compile(r"[-/:@~]+")
_VERSION = re.compile(r"v?\d+(\.\d+)*[a-z]?")
_NUMBERS = re.compile(r"\d+")
_RELEASES = 5
_STAGES = frozenset({"latest", "preview", "exp", "experimental", "beta"})

_DAY_MS = 86_400_000
_MS = timedelta(milliseconds=1)
_FOREVER_MS = 2**53
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FLOAT_NOISE = Decimal("1e-12")


class _Span(NamedTuple):
    from_ms: int
    until_ms: int
    price: Price | None


# The span last asked for per (provider, model, tier): models are named by callers, so it is bounded.
_spans: dict[tuple[str, str, str], _Span] = {}
_SPANS_MAX = 8192


def find_base(provider: str, model: str, at_ms: int, service_tier: str = "") -> Price | None:
    """Return what the base book asks for a model at an instant, or None where it knows no price."""
    key = (provider, model, service_tier)
    span = _spans.get(key)
    if span is None or not span.from_ms <= at_ms < span.until_ms:
        if len(_spans) >= _SPANS_MAX:
            _spans.clear()
        span = _spans[key] = _look_up(provider, model, at_ms, service_tier)
    return span.price


def _look_up(provider: str, model: str, at_ms: int, service_tier: str) -> _Span:
    free = free_price(provider, model)
    if free is not None:
        return _Span(-_FOREVER_MS, _FOREVER_MS, free)
    found = _find_model(provider, model)
    if found is None or service_tier not in STANDARD_TIERS | DEARER_TIERS:
        return _Span(-_FOREVER_MS, _FOREVER_MS, None)
    from_ms, until_ms = _validity(found[1], at_ms)
    return _Span(from_ms, until_ms, price_at(found, (provider, model), at_ms, service_tier, book=book_name()))


def price_at(
    found: tuple[Provider, ModelInfo], name: tuple[str, str], at_ms: int, service_tier: str, *, book: str
) -> Price | None:
    """Return what a model of some book's data costs at an instant, or None where a tier or a unit has no price.

    ``name`` is the provider and model as they were asked for, ``book`` the first part of the price's id.
    """
    source, info = found
    moment = _EPOCH + timedelta(milliseconds=at_ms)
    standard, since = _standard_at(info, moment)
    keys = _keys_of(standard)
    if service_tier not in ("", "auto"):
        variant = _variant_keys(info, moment, service_tier)
        if variant is None and service_tier in DEARER_TIERS:
            return None
        keys |= variant or {}
        since += f"+{service_tier}" if variant else ""
    return _price(f"{book}/{source.id}/{info.id}/{since}", name, keys, info, source)


@lru_cache(maxsize=_SPANS_MAX)
def base_name(provider: str, model: str) -> str | None:
    """Return the base book's own name of a model, the same for all spellings and dates of it; None if unknown."""
    found = _find_model(provider, model)
    return found[1].id if found else None


@lru_cache(maxsize=256)
def base_ids(provider: str) -> frozenset[str]:
    """Return the base book's own names of all models that a provider serves, in lower case."""
    from genai_prices.data_snapshot import find_provider_by_id

    by_id = {source.id: source for source in installed_providers()}
    source = find_provider_by_id(installed_providers(), price_source(provider))
    if source is None:
        return frozenset()
    served = (source, *(by_id[name] for name in source.fallback_model_providers or () if name in by_id))
    return frozenset(info.id.lower() for each in served for info in each.models)


def meant_by(name: str, models: Iterable[str]) -> list[str]:
    """Pick the models that may answer to a name that moves with the releases (``gemini-flash-latest``).

    They are called the same but for their versions, begin with the versions that the name tells if it tells any, and
    are of the newest few: such a name moves forward.
    """
    words, versions = _words_of(name.lower())
    found: dict[tuple[int, ...], list[str]] = {}
    for model in models:
        known_words, known = _words_of(model.lower())
        if known_words == words and known[: len(versions)] == versions:
            rest = known[len(versions) :]
            found.setdefault(tuple(map(int, _NUMBERS.findall(rest[0]))) if rest else (), []).append(model)
    return [model for version in sorted(found, reverse=True)[:_RELEASES] for model in found[version]]


def moves(model: str) -> bool:
    """Tell whether a name is answered by whichever model is the latest, by its provider's choice."""
    return _MOVES.search(model.lower()) is not None


def _words_of(name: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The words of a model's name and its versions, apart."""
    words = [word for word in _BREAKS.split(name) if word and word not in _STAGES]
    versions = tuple(word for word in words if _VERSION.fullmatch(word))
    return tuple(word for word in words if not _VERSION.fullmatch(word)), versions


def _find_model(provider: str, model: str) -> tuple[Provider, ModelInfo] | None:
    from genai_prices.data_snapshot import find_provider_by_id

    providers = installed_providers()
    source = find_provider_by_id(providers, price_source(provider))
    info = source.find_model(model, all_providers=providers) if source else None
    return None if source is None or info is None else (source, info)


@cache
def installed_providers() -> list[Provider]:
    """Return the data of the installed book."""
    from genai_prices.data import providers  # slow to import, and only the quote needs it

    return providers


@lru_cache(maxsize=1)
def book_name() -> str:
    """The installed book's name: the first part of its prices' ids."""
    return f"genai-prices/{metadata.version('genai-prices')}"


def _standard_at(info: ModelInfo, moment: datetime) -> tuple[ModelPrice, str]:
    """The standard price at an instant, and the date or hour it holds from; the last that applies rules."""
    from genai_prices.types import ModelPrice

    if isinstance(info.prices, ModelPrice):
        return info.prices, "base"
    for dated in reversed(info.prices):
        if dated.constraint is not None and dated.constraint.active(moment):
            return dated.prices, _name(dated.constraint)
    return info.prices[0].prices, "base"


def _variant_keys(info: ModelInfo, moment: datetime, tier: str) -> dict[str, object] | None:
    """What a service tier (or Anthropic's speed, its name for the same) changes; None where it has no price."""
    for variant in info.price_variants or ():
        if variant.when not in ({"service_tier": tier}, {"speed": tier}):
            continue
        if variant.constraint is None or variant.constraint.active(moment):
            return _keys_of(variant.prices)
    return None


def _keys_of(prices: ModelPrice) -> dict[str, object]:
    return {key: value for key, value in vars(prices).items() if value is not None}


def _price(
    price_id: str, name: tuple[str, str], keys: Mapping[str, object], info: ModelInfo, source: Provider
) -> Price | None:
    if not keys and source.id == "openrouter" and info.id.endswith(":free") and name[1].endswith(":free"):
        free = {"input": Rate(0), "output": Rate(0)}
        return Price(price_id, *name, free, source="genai-prices: a free variant by OpenRouter's own naming")
    if keys.keys() - _CARRIED - _PASSED_OVER:
        return None  # billed by something that no bucket counts
    rates = {bucket: rate for bucket in _BUCKETS if (rate := _rate(bucket, keys)) is not None}
    if "input" not in rates:
        return None
    pictures = _rate_of([keys[_PICTURES]]) if _PICTURES in keys else None
    if pictures is not None:
        rates.setdefault("output", pictures)
    if source.id == "google":
        # Its "Pricing" names a price of sound only where it is not that of text, read 2026-11-21.
        rates = {f"audio_{side}": rates[side] for side in ("input", "output") if side in rates} | rates
    extras = {name: _per_unit(keys[key], units) for key, (name, units) in _EXTRAS.items() if key in keys}
    if pictures is not None:
        # By the token, and in one tier: the dearest.
        extras[IMAGE_OUTPUT] = ceil_div(pictures.dearest(_FOREVER_MS), TOKENS_PER_MTOK)
    per_request_nanousd = _per_unit(keys[_PER_REQUEST], 1000) if _PER_REQUEST in keys else 0
    return Price(price_id, *name, rates, extras, per_request_nanousd, "genai-prices")


def _rate(bucket: str, keys: Mapping[str, object]) -> Rate | None:
    """A bucket's rate; a rate of zero is a gap in the data, not a gift, so the bucket falls back or is refused."""
    found = [keys[key] for key in _BUCKETS[bucket] if key in keys]
    return _rate_of(found) if found else None


def _rate_of(values: list[object]) -> Rate | None:
    """The dearest of some prices as one rate; None where it is zero."""
    found = [_as_rate(value) for value in values]
    starts = sorted({above for rate in found for above, _ in rate.tiers})
    base = max(rate.nanousd_per_mtok for rate in found)
    tiers = tuple((above, max(rate.at(above + 1) for rate in found)) for above in starts)
    return Rate(base, tiers) if min(base, *(dear for _, dear in tiers), base) > 0 else None


def _as_rate(value: object) -> Rate:
    if isinstance(value, Decimal):
        return Rate(_nanousd(value, 1))
    tiers = tuple((tier.start, _nanousd(tier.price, 1)) for tier in value.tiers)  # type: ignore[attr-defined]
    return Rate(_nanousd(value.base, 1), tiers)  # type: ignore[attr-defined]


def _per_unit(value: object, units: int) -> int:
    assert isinstance(value, Decimal)
    return _nanousd(value, units)


def _nanousd(usd: Decimal, units: int) -> int:
    """Dollars per so many units as whole nano-dollars, up; floats in the data's history left noise to drop first."""
    exact = usd.quantize(_FLOAT_NOISE, ROUND_HALF_EVEN) * NANOUSD_PER_USD / units
    return int(exact.to_integral_value(ROUND_CEILING))


def _name(constraint: StartDateConstraint | TimeOfDateConstraint) -> str:
    from genai_prices.types import StartDateConstraint

    return str(
        constraint.start_date if isinstance(constraint, StartDateConstraint) else constraint.start_time
    )


def _validity(info: ModelInfo, at_ms: int) -> tuple[int, int]:
    """The widest span around an instant in which none of a model's prices starts or ends."""
    edges = sorted(edges_ms(info, at_ms))
    from_ms = max((edge for edge in edges if edge <= at_ms), default=-_FOREVER_MS)
    return from_ms, min((edge for edge in edges if edge > at_ms), default=_FOREVER_MS)


def edges_ms(info: ModelInfo, at_ms: int) -> Iterator[int]:
    """Instants near another at which one of a model's prices starts or ends."""
    from genai_prices.types import StartDateConstraint

    dated = info.prices if isinstance(info.prices, list) else []
    for constraint in [one.constraint for one in (*dated, *(info.price_variants or ()))]:
        if isinstance(constraint, StartDateConstraint):
            yield (datetime.combine(constraint.start_date, time(), UTC) - _EPOCH) // _MS
        elif constraint is not None:
            midnight_ms = at_ms - at_ms % _DAY_MS
            for of_day_ms in (_of_day_ms(constraint.start_time), _of_day_ms(constraint.end_time)):
                yield from (midnight_ms + day * _DAY_MS + of_day_ms for day in (-1, 0, 1))


def _of_day_ms(moment: time) -> int:
    """Milliseconds from midnight in UTC to a time of day, which is UTC where it names no zone."""
    return (datetime.combine(_EPOCH, moment, moment.tzinfo or UTC) - _EPOCH) // _MS % _DAY_MS
