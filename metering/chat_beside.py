"""What stands in a chat prompt beside its messages: tools, the schema of the answer, what a server looks up."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import msgspec

from metering.chat_messages import refuse_long_cache
from metering.chat_parts import Parts
from metering.chat_request import ChatRequest, is_given, parse_unique
from metering.count_cache import CountCache
from metering.errors import RequestShapeError, Uncountable
from metering.tokens import Encoding, count

# Fields whose price nobody knows before the call: no number of tokens could stand for them.
UNBOUNDED = {
    "prediction": "rejected prediction tokens are billed as output beyond the cap",
    "plugins": "what a plugin adds to the prompt or the bill is not known",
    "models": "the call may be routed to a model that was not priced",
    "chat_template": "a template may repeat the prompt any number of times",
    "best_of": "answers that are generated and thrown away are billed",
    "extra_body": "it may name a prompt that was cached elsewhere",
    "preset": "the call may be routed to a model that was not priced",
    "deferred": "the answer is fetched later, when nobody here sees what it cost",
}
_ANSWERS = frozenset({"text", "audio"})
# Fields that let the server look things up: what that adds to the prompt is found out on the way.
_LOOKED_UP = {
    "web_search_options": ("web_search", "searches and what they add to the prompt are billed on top"),
    "search_parameters": ("web_search", "searches and what they add to the prompt are billed on top"),
    "enable_search": ("web_search", "searches and what they add to the prompt are billed on top"),
    "data_sources": ("file_search", "what is looked up and added to the prompt is not in the request"),
}
ALLOWABLE = frozenset(_LOOKED_UP)
# Tools that run at the provider, by the kind of allowance that may stand for what they add.
_SERVER_TOOLS = {
    "web_search": "web_search",
    "web_search_preview": "web_search",
    "browser_search": "web_search",
    "openrouter:web_search": "web_search",
    "code_interpreter": "code_execution",
    "code_execution": "code_execution",
    "mcp": "mcp",
}
_OWN_TOOLS = ("function", "custom")
_recent: CountCache[int] = CountCache(8192)


class Tools(NamedTuple):
    """The tools of a request: their definitions' tokens, and what stands for those that run at the provider."""

    tokens: int = 0
    run_tokens: int = 0
    number: int = 0
    grammars: int = 0


def refuse_unbounded(request: ChatRequest) -> None:
    """Raise Uncountable for a field whose price nobody knows before the call."""
    for name, why in UNBOUNDED.items():
        if is_given(getattr(request, name)):
            raise Uncountable(name, why)
    if any(one.lower() not in _ANSWERS for one in request.modalities or ()):
        raise Uncountable("modalities", "what is neither text nor sound in an answer has prices of its own")


def count_looked_up(request: ChatRequest, parts: Parts) -> int:
    """Return what the tenant lets stand for all that is looked up. Raises: Uncountable."""
    tokens = 0
    for name, (kind, why) in _LOOKED_UP.items():
        raw = getattr(request, name)
        if is_given(raw) and bytes(raw) != b"false":
            tokens += parts.allow(kind, name, why)
    return tokens


def count_tools(request: ChatRequest, encoding: Encoding, parts: Parts) -> Tools:
    """Count the definitions of tools; an allowance stands for what one that runs at the provider adds.

    Raises: Uncountable; RequestShapeError.
    """
    tokens = run_tokens = number = grammars = 0
    for name in ("tools", "functions"):
        raw = getattr(request, name)
        if is_given(raw):
            tools = _read_tools(raw, name)
            tokens += count_json(raw, name, encoding)
            run_tokens += sum(_count_run(tool, f"{name}[{place}]", parts) for place, tool in enumerate(tools))
            number += len(tools)
            grammars += sum(_has_grammar(tool) for tool in tools)
    return Tools(tokens, run_tokens, number, grammars)


def count_json(raw: msgspec.Raw, name: str, encoding: Encoding) -> int:
    """Count a field as compact JSON. Raises: RequestShapeError."""
    content = bytes(raw)
    key = _recent.key_of(content, encoding.encode())
    tokens = _recent.get(key)
    if tokens is None:
        tokens = count(compact(parse_unique(content, name)), encoding)
        _recent.put(key, tokens)
    return tokens


def compact(value: Any) -> str:
    """Write a value as JSON without spaces."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _read_tools(raw: msgspec.Raw, name: str) -> list[Any]:
    tools = parse_unique(raw, name)
    if not isinstance(tools, list):
        raise RequestShapeError(f"{name} must be a list", name)
    return tools


def _count_run(tool: Any, param: str, parts: Parts) -> int:
    kind = tool.get("type", "function") if isinstance(tool, dict) else None
    if kind not in _OWN_TOOLS:
        why = "tools that run at the provider re-bill the prompt every round"
        return parts.allow(_SERVER_TOOLS.get(str(kind), "server_tool"), param, why)
    for marked in (tool, tool.get(kind)):
        if isinstance(marked, dict):
            refuse_long_cache(marked.get("cache_control"), param)
    return 0


def _has_grammar(tool: Any) -> bool:
    custom = tool.get("custom") if isinstance(tool, dict) else None
    return (
        isinstance(custom, dict) and isinstance(custom.get("format"), dict) and "grammar" in custom["format"]
    )
