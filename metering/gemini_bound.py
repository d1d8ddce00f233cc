"""The most prompt tokens a Gemini request can be billed for, and how far that can be trusted."""

from __future__ import annotations

from typing import Any

from metering.allowances import NONE, Allowances
from metering.count_cache import CountCache
from metering.errors import RequestShapeError, Uncountable
from metering.gemini_content import ContentCounter, Piece, compact
from metering.gemini_media import bare_level, counts_tiles
from metering.gemini_models import REQUEST_TOKENS, makes_films, rule_of
from metering.gemini_request import GeminiRequest, listed, named
from metering.gemini_text import text_tokens
from metering.gemini_tools import Room, Tools, count_tools, schema_tokens
from metering.gemini_words import count_embed_words, count_gemini_words
from metering.model_families import CountRule
from metering.quote import BoundClass, InputBound
from metering.tokens import grown_bytes

# Google writes to its cache unasked and for nothing; caches made by name are billed by the hour, elsewhere.
TEXT_BUCKETS = ("input", "cache_read")

_CACHED_BYTES_MIN = 512  # below, counting is quicker than remembering
# A template's own preamble where the model is not known to us; with tools some write a page of instructions.
_TEMPLATE_TOKENS = 512
_TEMPLATE_TOOLS_TOKENS = 1024

# Fields whose price or size nobody knows before the call.
UNBOUNDED = {
    "routingConfig": "the call may be routed to a model that was not priced",
    "modelConfig": "the call may be routed to a model that was not priced",
    "modelSelectionConfig": "the call may be routed to a model that was not priced",
}
_pieces: CountCache[Piece] = CountCache()


def bound_gemini(
    request: GeminiRequest, *, provider: str = "google", allowances: Allowances = NONE
) -> InputBound:
    """Bound a generateContent request's prompt tokens from above.

    Raises: Uncountable for a part without a known bound; RequestShapeError for a part of no known shape.
    """
    for name, why in UNBOUNDED.items():
        if request.config.get(name):
            raise Uncountable(f"generationConfig.{name}", why)
    if makes_films(request.model):
        raise Uncountable("model", "how much output a film takes is not known")
    try:
        return _bound_prompt(request, provider, allowances)
    except RecursionError as error:
        raise RequestShapeError("the request is nested too deeply") from error


def _bound_prompt(request: GeminiRequest, provider: str, allowances: Allowances) -> InputBound:
    kept = _kept(request, allowances)
    rule = rule_of(request.model, provider)
    if rule is CountRule.WORDS and not kept:
        return InputBound(count_gemini_words(request), BoundClass.EXACT, text_buckets=TEXT_BUCKETS)
    counted = _contents(request, allowances)
    room = Room()
    tools = count_tools(request.read("tools"), request.model, allowances, room)
    kept += tools.allowed_tokens
    if rule is CountRule.RECIPE:
        text = REQUEST_TOKENS + counted.text + tools.tokens + _schemas(request, room)
    else:
        # Every token covers at least one byte of the body, whose own syntax covers the framing, or of the template.
        template = _TEMPLATE_TOKENS + (_TEMPLATE_TOOLS_TOKENS if tools.tokens else 0)
        text = max(request.body_bytes, counted.text) + tools.grown_bytes + template
        text += grown_bytes(*request.fields.values())
    known = not (kept or counted.allowed or counted.audio or counted.picture) and tools.rounds == 1
    is_hard = rule is CountRule.BYTES and known
    return _bound(counted, tools, text + kept, BoundClass.HARD if is_hard else BoundClass.EMPIRICAL)


def bound_embed(
    request: GeminiRequest, *, provider: str = "google", allowances: Allowances = NONE
) -> InputBound:
    """Bound an embedContent or batchEmbedContents request's tokens from above; it makes no output.

    Raises: Uncountable for a part without a known bound; RequestShapeError.
    """
    rule = rule_of(request.model, provider)
    contents = list(embedded_contents(request))
    if rule is CountRule.WORDS:
        return InputBound(count_embed_words(contents), BoundClass.EXACT, text_buckets=TEXT_BUCKETS)
    counter = ContentCounter(request.model, allowances)
    counted = Piece()
    for param, content, title in contents:
        counted = counted.plus(counter.count(content, param))
        counted = counted.plus(Piece(text=REQUEST_TOKENS + (text_tokens(title) if title else 0)))
    if rule is CountRule.RECIPE:
        return _bound(counted, Tools(), counted.text, BoundClass.EMPIRICAL)
    media = counted.allowed or counted.audio or counted.picture
    text = max(request.body_bytes, counted.text) + _TEMPLATE_TOKENS * len(contents)
    text += grown_bytes(*request.fields.values())
    return _bound(counted, Tools(), text, BoundClass.EMPIRICAL if media else BoundClass.HARD)


def embedded_contents(request: GeminiRequest) -> list[tuple[str, Any, str]]:
    """What is to be embedded: where it stands, the content, and its title. Raises: RequestShapeError."""
    if "requests" not in request.fields:
        return [("content", request.read("content"), str(request.read("title") or ""))]
    found = []
    for place, one in enumerate(listed(request.read("requests"))):
        fields = named(one, f"requests[{place}]")
        found.append((f"requests[{place}].content", fields.get("content"), str(fields.get("title") or "")))
    if not found:
        raise RequestShapeError("requests must not be empty", "requests")
    return found


def _bound(counted: Piece, tools: Tools, text: int, bound_class: BoundClass) -> InputBound:
    return InputBound(
        text + counted.audio + counted.picture,
        bound_class,
        audio_tokens=counted.audio,
        image_tokens=counted.picture,
        text_buckets=TEXT_BUCKETS,
        rounds=tools.rounds,
        extras=tools.extras,
    )


def _kept(request: GeminiRequest, allowances: Allowances) -> int:
    """Tokens that stand for what is kept at Google and not in the request."""
    tokens = 0
    if request.read("cachedContent"):
        why = "what was cached elsewhere is not in the request"
        tokens += allowances.tokens_for("cached_content", part="cachedContent", why=why)
    if request.config.get("continuationToken"):
        why = "what is continued is not in the request"
        tokens += allowances.tokens_for("conversation", part="generationConfig.continuationToken", why=why)
    return tokens


def _contents(request: GeminiRequest, allowances: Allowances) -> Piece:
    level = str(request.config.get("mediaResolution") or "")
    counter = ContentCounter(request.model, allowances, level=level)
    rule = f"{counts_tiles(request.model):d}{bare_level(level)}"[:16].encode()
    counted = Piece()
    system = request.read("systemInstruction")
    if system is not None:
        counted = counter.count(system, "systemInstruction")
    contents = listed(request.read("contents"))
    if not contents:
        raise RequestShapeError("contents must not be empty", "contents")
    for place, content in enumerate(contents):
        counted = counted.plus(_turn(content, f"contents[{place}]", counter, rule))
    return counted


def _turn(content: Any, param: str, counter: ContentCounter, rule: bytes) -> Piece:
    """Count a turn, or recall it: a conversation repeats itself. What rests on an allowance is not remembered."""
    text = compact(content).encode("utf-8", "surrogatepass")
    if len(text) < _CACHED_BYTES_MIN:
        return counter.count(content, param)
    key = _pieces.key_of(text, rule)
    known = _pieces.get(key)
    if known is None:
        known = counter.count(content, param)
        if not known.allowed:
            _pieces.put(key, known)
    return known


def _schemas(request: GeminiRequest, room: Room) -> int:
    """Most models are not shown the format that an answer must follow; 2.0 was, in one of 22 recorded calls."""
    return sum(schema_tokens(schema, "generationConfig.responseSchema", room) for schema in request.schema)
