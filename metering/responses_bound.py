"""The most prompt tokens a Responses request can be billed for, and how far that can be trusted."""

from __future__ import annotations

import re

import msgspec

from metering.allowances import NONE, Allowances
from metering.chat_request import is_given, parse_unique
from metering.empirical import constant
from metering.errors import RequestShapeError, Uncountable
from metering.hidden_prompts import hidden_prompt_tokens
from metering.limits import limits_for
from metering.model_families import CountRule, Family, base_name, family_of
from metering.providers import canonical_provider, find_provider, leaves_thinking_out
from metering.quote import BoundClass, InputBound
from metering.responses_items import (
    ItemCount,
    ItemRule,
    allow_kept,
    count_item,
    count_text,
    may_be_kept,
    texts_of,
)
from metering.responses_request import ResponsesRequest
from metering.responses_tool_texts import compact
from metering.responses_tools import ToolsCount, count_format, count_tools
from metering.tokens import byte_bound, encoding_for, grown_bytes

# OpenAI writes to its cache unasked (gpt-5.6 on) and has one lifetime; no request of its dialect causes the other.
_TEXT_BUCKETS = ("input", "cache_read", "cache_write_5m")
# What primes the reply: two marks where a model reasons, three tokens elsewhere. Sources: see responses_items.
_PRIMING_TOKENS = {True: 2, False: 3}
_SIM_ITEM_TOKENS = 4
_SIM_REQUEST_TOKENS = 2
# A template's own preamble where the model is not known to us; with tools some write a page of instructions.
_TEMPLATE_TOKENS = 512
_TEMPLATE_TOOLS_TOKENS = 1024
_MARGIN_TOKENS = 4
_MARGIN_DIVISOR = 100

_COMPACT_TOKENS = constant("responses", "compact_tokens")
_EARLY_INSTRUCTIONS_TOKENS = constant("responses", "gpt4o_instructions_tokens")
_EARLY_TOOLS_TOKENS = constant("responses", "gpt4o_tools_tokens")
_O_SERIES_TOKENS = constant("responses", "o_series_tokens")
_PLAIN_TOKENS = constant("responses", "plain_tokens")
_EARLY = re.compile(r"gpt-4o(-2024|$)")
_O_SERIES = re.compile(r"o\d")

# How often tools of the provider's may be called where the request does not say, and allowances stand for them: it is
# sent along.
CALLS_DEFAULT = 10

# Fields whose price or size nobody knows before the call.
UNBOUNDED = {
    "modalities": "what is not text has prices of its own",
    "audio": "sound has prices of its own",
    "prediction": "rejected prediction tokens are billed as output beyond the cap",
    "models": "the call may be routed to a model that was not priced",
    "plugins": "what a plugin adds to the prompt or the bill is not known",
    "preset": "the call may be routed to a model that was not priced",
    "extra_body": "it may name a prompt that was cached elsewhere",
    "search_parameters": "searches and what they add to the prompt are billed on top",
}
_STATE = {
    "previous_response_id": ("conversation", "the turns before this one are kept at the provider"),
    "conversation": ("conversation", "the turns before this one are kept at the provider"),
    "prompt": ("hosted_prompt", "the prompt is kept at the provider"),
}
# Models that search or work on their own account, whatever is asked.
_ROUNDS = re.compile(r"gpt-.*search|(^|/)compound|deep-research|:online$")
# Who serves OpenAI's models alone, with OpenAI's tokenizers and framing.
_OPENAI_HOSTS = frozenset({"openai", "azure", "azure-deployments"})
# Who serves them beside other vendors' models, and what then stands before their names.
_VENDORS = {"bedrock": "openai.", "aws": "openai.", "openrouter": "openai/"}


def bound_responses(
    request: ResponsesRequest, *, provider: str = "openai", allowances: Allowances = NONE
) -> InputBound:
    """Bound a Responses request's prompt tokens from above.

    A name such as ``gpt-5`` says how tokens are counted only where the provider serves the real one.

    Raises: Uncountable for a part without a known bound; RequestShapeError for an item of no known shape.
    """
    _refuse_unbounded(request, provider)
    state = _state_tokens(request, allowances)
    name = _openai_name(request.model, provider)
    family = family_of(name or request.model)
    if family.rule is CountRule.BYTES or (not name and family.rule is not CountRule.WORDS):
        return _finish(request, _bytes(request, allowances), provider, state)
    name = name or request.model
    tools = count_tools(request.tools, allowances, encoding_for(name))
    if family.rule is CountRule.WORDS:
        bound = InputBound(_words(request), BoundClass.EXACT, text_buckets=_TEXT_BUCKETS)
    else:
        bound = _tokens(request, _rule_of(name, family, allowances), tools)
    return _finish(request, (bound, tools), provider, state)


def _openai_name(model: str, provider: str) -> str:
    """The name by which OpenAI knows a model, where a provider serves that very one; empty where nobody can tell."""
    vendor = _VENDORS.get(provider)
    if vendor is not None:
        return model.removeprefix(vendor) if model.startswith(vendor) else ""
    return model if provider in _OPENAI_HOSTS else ""


def _rule_of(name: str, family: Family, allowances: Allowances) -> ItemRule:
    return ItemRule(base_name(name), encoding_for(name), family.name == "reasoning", allowances)


def _tokens(request: ResponsesRequest, rule: ItemRule, tools: ToolsCount) -> InputBound:
    exact = _PRIMING_TOKENS[rule.harmony]
    surcharge = pictures = 0
    plain = family_of(rule.model).rule is CountRule.FRAMING
    for counted in _items(request, rule):
        exact += counted.tokens
        surcharge += counted.surcharge_tokens
        pictures += counted.image_tokens
        plain = plain and counted.plain
    beside = tools.tokens + count_format(request.answer_format, rule.encoding)
    early = _EARLY.match(rule.model) is not None
    if early and is_given(request.instructions):
        beside += _EARLY_INSTRUCTIONS_TOKENS
    if early and tools.tokens:
        beside += _EARLY_TOOLS_TOKENS
    if _O_SERIES.match(rule.model):
        beside += _O_SERIES_TOKENS
    if request.compacts:
        beside += _COMPACT_TOKENS
    known = exact + surcharge + beside
    # Text alone is as chat's published framing has it, which nobody published for this interface.
    is_text = rule.harmony or (plain and rule.model == request.model)
    least = _PLAIN_TOKENS if is_text and not surcharge and not beside else _MARGIN_TOKENS
    tokens = known + max(least, known // _MARGIN_DIVISOR)
    return InputBound(tokens, BoundClass.EMPIRICAL, image_tokens=pictures, text_buckets=_TEXT_BUCKETS)


def _items(request: ResponsesRequest, rule: ItemRule) -> list[ItemCount]:
    """Count the items of the input, and the instructions as the message of the developer's that they are."""
    counted = []
    for name, role in (("instructions", "developer"), ("input", "user")):
        raw = getattr(request, name)
        if not is_given(raw):
            continue
        if bytes(raw)[:1] == b'"':
            text = parse_unique(raw, name)
            counted += [count_text(text, role, rule)] if text else []
        else:
            counted += [count_item(item, place, rule) for place, item in enumerate(_listed(raw, name))]
    return counted


def _words(request: ResponsesRequest) -> int:
    """The simulator's published rule: words of the items' text, bytes of what stands beside them."""
    tokens = _SIM_REQUEST_TOKENS
    for name in ("instructions", "input"):
        raw = getattr(request, name)
        if not is_given(raw):
            continue
        if bytes(raw)[:1] == b'"':
            tokens += _SIM_ITEM_TOKENS + len(parse_unique(raw, name).split())
            continue
        for place, item in enumerate(_listed(raw, name)):
            texts = texts_of(parse_unique(item, f"input[{place}]"), f"input[{place}]")
            tokens += _SIM_ITEM_TOKENS + sum(len(text.split()) for text in texts)
    for name in ("tools", "text"):
        raw = getattr(request, name)
        if is_given(raw):
            tokens += byte_bound(compact(parse_unique(raw, name)))
    return tokens


def _bytes(request: ResponsesRequest, allowances: Allowances) -> tuple[InputBound, ToolsCount]:
    """Every token covers at least one byte of the body, whose own syntax covers the framing, or of the template."""
    allowed, is_kept = 0, False
    for name in ("instructions", "input"):
        raw = getattr(request, name)
        if is_given(raw) and bytes(raw)[:1] != b'"':
            for place, item in enumerate(_listed(raw, name)):
                parsed = parse_unique(item, f"{name}[{place}]")
                allowed += allow_kept(parsed, f"{name}[{place}]", allowances)
                is_kept = is_kept or may_be_kept(parsed)
    tools = count_tools(request.tools, allowances, encoding_for(request.model))
    tokens = request.body_bytes + _TEMPLATE_TOKENS + allowed + tools.allowed_tokens
    tokens += grown_bytes(request.instructions, request.input, request.tools, request.text)
    tokens += _TEMPLATE_TOOLS_TOKENS * (tools != ToolsCount())
    tokens += _TEMPLATE_TOKENS * request.compacts
    hidden = hidden_prompt_tokens(request.model)
    loose = allowed or tools.allowed_tokens or hidden or is_kept
    tokens += hidden
    bound_class = BoundClass.EMPIRICAL if loose else BoundClass.HARD
    return InputBound(tokens, bound_class, text_buckets=_TEXT_BUCKETS), tools


def _finish(
    request: ResponsesRequest, counted: tuple[InputBound, ToolsCount], provider: str, state_tokens: int
) -> InputBound:
    """Add what is kept elsewhere, and bill the whole again for every round that the provider's own tools take."""
    bound, tools = counted
    tokens = bound.tokens + state_tokens
    bound_class = BoundClass.EMPIRICAL if state_tokens else bound.bound_class
    rounds = 1
    if is_given(request.context_management):
        # Once more for the compaction, which reads all of it and writes a summary.
        rounds, tokens = 2, 2 * tokens + _COMPACT_TOKENS
        bound_class = BoundClass.EMPIRICAL
    if tools.served:
        calls = _calls_of(request, tools, provider)
        ceiling = _ceiling_of(request, tools, provider)
        most = tokens + calls * sum(one.tokens or 0 for one in tools.served) if ceiling is None else ceiling
        rounds, tokens = rounds * (calls + 1), (calls + 1) * max(tokens, most)
        bound_class = BoundClass.EMPIRICAL if ceiling is None else BoundClass.HARD
        extras = tuple((one.fee, calls) for one in tools.served if one.fee)
        bound = msgspec.structs.replace(bound, extras=extras)
    return msgspec.structs.replace(bound, tokens=tokens, bound_class=bound_class, rounds=rounds)


def _calls_of(request: ResponsesRequest, tools: ToolsCount, provider: str) -> int:
    first = tools.served[0]
    if provider not in _OPENAI_HOSTS and family_of(request.model).rule is not CountRule.WORDS:
        raise Uncountable(first.part, f"{provider!r} is not known to keep to 'max_tool_calls'")
    if request.max_tool_calls is not None:
        return request.max_tool_calls
    if all(one.tokens is not None for one in tools.served):
        return CALLS_DEFAULT
    raise Uncountable(
        first.part,
        "tools that run at the provider re-bill the prompt every round, and cost fees: state 'max_tool_calls'",
        kind=first.kind,
    )


def _ceiling_of(request: ResponsesRequest, tools: ToolsCount, provider: str) -> int | None:
    """A round's prompt where an allowance is missing: all that the model can take. None where allowances stand."""
    missing = [one for one in tools.served if one.tokens is None]
    if not missing:
        return None
    limits = limits_for(request.model, provider)
    if limits is None or limits.input_tokens_max is None:
        why = "what its calls add to the prompt is not known, and neither is how much this model can read"
        raise Uncountable(missing[0].part, why, kind=missing[0].kind)
    return limits.input_tokens_max


def _refuse_unbounded(request: ResponsesRequest, provider: str) -> None:
    for name, why in UNBOUNDED.items():
        if is_given(getattr(request, name)):
            raise Uncountable(name, why)
    if request.thinks_in_parallel:
        raise Uncountable("reasoning.mode", "several runs are made, each of which re-bills the prompt")
    known = find_provider(canonical_provider(provider))
    if known and leaves_thinking_out(known.cap_leaves_out, request.model):
        raise Uncountable(
            "model", "what it thinks is not under the output cap: use POST /v1/chat/completions"
        )
    if _ROUNDS.search(request.model):
        raise Uncountable(
            "model", "a model that searches or runs tools by itself re-bills the prompt every round"
        )


def _state_tokens(request: ResponsesRequest, allowances: Allowances) -> int:
    tokens = 0
    for name, (kind, why) in _STATE.items():
        value = getattr(request, name)
        if is_given(value) if isinstance(value, msgspec.Raw) else value is not None:
            tokens += allowances.tokens_for(kind, part=name, why=why)
    return tokens


_lists = msgspec.json.Decoder(list[msgspec.Raw])


def _listed(raw: msgspec.Raw, name: str) -> list[msgspec.Raw]:
    try:
        return _lists.decode(raw)
    except msgspec.DecodeError as error:
        raise RequestShapeError(f"{name} must be a string or a list of items", name) from error
