"""What a recorded call used and cost, worked out without a line of our metering: the recording and genai-prices.

The recording's normalised usage was written by somebody else's reader; the cost is genai-prices' own arithmetic over
the provider's raw report. Models that it does not know have the price ``OVERRIDE`` in the tenant's book.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_CEILING, Decimal
from typing import Any

from genai_prices import calc_price
from genai_prices.data import providers
from genai_prices.types import Provider

from simulators.replay.rows import Row, request_of, wire_of

NANO = 10**9
MTOK = 10**6
AT = datetime.now(UTC)
OVERRIDE_USD_PER_MTOK = {"input": 1, "output": 4}
# The recordings' names of providers by the price book's.
BOOK = {"gemini": "google", "bedrock-mantle": "aws"}
# Whose reading of genai-prices fits a wire's reports, where the provider has none of its own.
_READERS = {
    **dict.fromkeys(("chat", "completions"), ("openai", "chat")),
    **dict.fromkeys(("responses", "compact"), ("openai", "responses")),
    **dict.fromkeys(("generate", "generate_stream", "embed", "embed_batch"), ("google", "default")),
    "embeddings": ("openai", "embeddings"),
    "messages": ("anthropic", "default"),
}
# Retired 2024-06 (OpenAI's "Deprecations"): it took one token more a message than what its alias has named since.
RETIRED = frozenset({"gpt-3.5-turbo-0301"})
MEDIA = frozenset({"images", "documents", "audio_in", "audio_out", "video"})
_SOURCES = {one.id: one for one in providers}
_EVENT_END = re.compile(rb"\r\n\r\n|\n\n|\n\r\n")


@dataclass(frozen=True, slots=True)
class Cost:
    """A cost in whole nano-dollars, and the part of it that output is."""

    nanousd: int
    output_nanousd: int
    by_override: bool


def book_of(row: Row) -> str:
    """The price book's name of a row's provider."""
    return BOOK.get(row["provider"]) or re.sub("[^a-z0-9-]", "-", row["provider"])


def account_of(row: Row) -> str:
    """The name of the provider account that a row goes to: a provider has one for each dialect it speaks."""
    name = re.sub("[^a-z0-9-]", "-", row["provider"])
    dialect = wire_of(row).dialect
    usual = {"anthropic": "anthropic", "gemini": "gemini", "vertex": "gemini"}.get(name, "openai")
    return name if dialect == usual else f"{name}-{dialect}"


def tokens_of(row: Row) -> dict[str, int]:
    """What the recording says was used, in sums that no decomposition changes."""
    told = row["usage"]
    given = {name: int(told.get(name) or 0) for name in told if name.endswith("_tokens")}
    prompt, made = given.get("input_tokens", 0), given.get("output_tokens", 0)
    return {
        "prompt": prompt,
        "made": made,
        "cache_read": min(given.get("cached_input_tokens", 0), prompt),
        "cache_write": given.get("cache_creation_tokens", 0),
        "reasoning": min(given.get("reasoning_tokens", 0), made),
    }


def booked_tokens(ledger: dict[str, Any]) -> dict[str, int]:
    """The same sums of a ledger row's disjoint buckets."""
    drawn = (ledger["extras"] or {}).get("image_output_token", 0)
    written = ledger["cache_write_5m_tokens"] + ledger["cache_write_1h_tokens"]
    fresh = ledger["input_tokens"] + ledger["audio_input_tokens"] + ledger["image_input_tokens"]
    return {
        "prompt": fresh + ledger["cache_read_tokens"] + written,
        "made": ledger["output_tokens"] + ledger["reasoning_tokens"] + ledger["audio_output_tokens"] + drawn,
        "cache_read": ledger["cache_read_tokens"],
        "cache_write": written,
        "reasoning": ledger["reasoning_tokens"],
    }


def report_of(row: Row) -> dict[str, Any]:
    """The provider's raw report; of a stream with two, the last figure of each."""
    raw: dict[str, Any] = row["usage_raw"]
    if "message_start" not in raw:
        return raw
    last = {name: value for name, value in (raw["message_delta"] or {}).items() if value is not None}
    return {**(raw["message_start"] or {}), **last}


def context_of(row: Row) -> dict[str, str]:
    """The service tier, or Anthropic's speed, that the answer says was billed."""
    body = row["response_body"]
    if row["wire"] == "messages":
        speed = report_of(row).get("speed")
        return {"speed": speed} if speed else {}
    found = re.findall(r'"service_tier":\s*"(\w+)"', body if isinstance(body, str) else json.dumps(body))
    return {"service_tier": found[-1]} if found else {}


def contradicts(row: Row) -> bool:
    """Whether a report's own figures do not add up, so that no reading of it is the right one."""
    told = row["usage"]
    parts = [int(told.get(name) or 0) for name in ("cached_input_tokens", "cache_creation_tokens")]
    made = [int(told.get(name) or 0) for name in ("reasoning_tokens", "audio_output_tokens")]
    beyond = sum(parts) > told.get("input_tokens", 0) or sum(made) > told.get("output_tokens", 0)
    return bool(beyond or told.get("total_mismatch") or told.get("derived"))


def why_costs_differ(row: Row) -> str:
    """Why genai-prices' cost of a row is known not to be ours; empty where both should agree."""
    if contradicts(row):
        return "the report contradicts itself"
    report = report_of(row)
    if report.get("num_cached_tokens"):
        return "genai-prices does not read Mistral's num_cached_tokens"
    if len(report.get("iterations") or ()) > 1:
        return "genai-prices does not read iterations, which bill a compaction apart"
    if set(report) == {"total_tokens"}:
        return "genai-prices does not read a total alone"
    return ""


def is_known(row: Row, model: str = "") -> bool:
    """Whether genai-prices has a price for a model, by default the one a row asks for, at the row's provider."""
    source = _SOURCES.get(book_of(row))
    return (
        source is not None and source.find_model(model or row["model"], all_providers=providers) is not None
    )


def billed_model(row: Row) -> str:
    """The model that answered, where genai-prices knows it; else the one that was asked for."""
    answered = row["response_model"] or ""
    return answered if answered and is_known(row, answered) else row["model"]


def cost_of_row(row: Row) -> Cost | None:
    """What genai-prices makes of the raw report, None where it finds it impossible; else the override's arithmetic."""
    if not is_known(row):
        used = tokens_of(row)
        output = used["made"] * OVERRIDE_USD_PER_MTOK["output"] * NANO
        total = used["prompt"] * OVERRIDE_USD_PER_MTOK["input"] * NANO + output
        return Cost(-(-total // MTOK), -(-output // MTOK), by_override=True)
    source = _SOURCES[book_of(row)]
    usual, flavor = _READERS[row["wire"]]
    reader = source if flavor in {one.api_flavor for one in source.extractors or ()} else _SOURCES[usual]
    model = billed_model(row)
    document = {"model": model, reader_root(reader, flavor): report_of(row)}
    try:
        _, usage = reader.extract_usage(document, api_flavor=flavor)
        found = calc_price(
            usage,
            model,
            provider_id=source.id,
            genai_request_timestamp=AT,
            price_context=context_of(row),
        )
    except ValueError:
        return None
    return Cost(_up(found.total_price), _up(found.output_price), by_override=False)


def reader_root(reader: Provider, flavor: str) -> str:
    """The member of an answer that a reader of genai-prices looks for the report in."""
    return next(str(one.root) for one in reader.extractors or () if one.api_flavor == flavor)


def _up(usd: Decimal) -> int:
    # Floats in the data's history left noise far below any price.
    exact = (usd * NANO).quantize(Decimal("1e-6"))
    return int(exact.to_integral_value(ROUND_CEILING))


def kind_of(row: Row) -> str:
    """The dearest feature of a row's request, for the table."""
    features = set(row["features"])
    for name, members in (("media", MEDIA), ("schema", {"json_schema"}), ("tools", {"tools"})):
        if features & members:
            return name
    return "text"


def why_not_counted(row: Row) -> str:
    """Why a row's prompt says nothing about a bound; empty where it does."""
    if row["suspect_synthetic"] or "edited-usage" in row["features"]:
        return "written or edited by hand"
    if any("rq" in str(tag) for tag in row["redacted"] or ()):
        return "request redacted"
    if row["request_body_trimmed"]:
        return "request trimmed"
    if "tool_calls" in str(row["response_body"]) and not {"tools", "functions"} & set(request_of(row)):
        return "the answer calls tools that the request does not have: it is another request's"
    if (row["response_model"] or "") in RETIRED:
        return "answered by a snapshot that is no longer served under this name"
    return "" if row["usage"].get("input_tokens") else "no prompt tokens reported"


def without_usage_chunk(stream: bytes) -> bytes:
    """A chat stream without the chunk that only tells its usage."""
    kept, start = [], 0
    ends = [match.end() for match in _EVENT_END.finditer(stream)]
    for end in [*ends, len(stream)]:
        event = stream[start:end]
        start = end
        data = event.strip().removeprefix(b"data:").strip()
        try:
            document = json.loads(data) if data.startswith(b"{") else {}
        except ValueError:
            document = {}
        if not (document.get("choices") == [] and document.get("usage")):
            kept.append(event)
    return b"".join(kept)


def choices_of(row: Row) -> int:
    """How many answers a request asks for."""
    return int(request_of(row).get("n") or 1)
