"""The tools of a Responses request: what their declarations cost, and which of them run at the provider."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from metering.allowances import Allowances
from metering.chat_request import is_given, parse_unique
from metering.count_cache import CountCache
from metering.empirical import constant
from metering.errors import RequestShapeError, Uncountable
from metering.responses_items import refuse_served
from metering.responses_tool_texts import compact, format_text, namespace_text
from metering.tokens import Encoding, count

_HEAD_TOKENS = 4  # of the message that a format may stand in alone: three marks and its role
_CACHED_BYTES_MIN = 512  # below, counting is quicker than remembering
_TOOLS_TOKENS = constant("responses", "tools_tokens")
_TOOL_TOKENS = constant("responses", "tool_tokens")
_UNPUBLISHED_TOKENS = constant("responses", "unpublished_passage_tokens")
# Tools that run at the provider: the allowance for what one call of each adds to the prompt, and the fee it is billed.
_SERVED = {
    "web_search": ("web_search", "web_search"),
    "file_search": ("file_search", "file_search"),
    "code_interpreter": ("code_execution", "code_interpreter"),
    "mcp": ("mcp", ""),
    "tool_search": ("server_tool", ""),
}
# Tools that the caller runs, but whose declarations OpenAI writes itself and does not publish.
_UNSHOWN = frozenset({"computer", "computer_use_preview", "local_shell", "shell", "apply_patch"})
_SHOWN = frozenset({"function", "custom", "namespace", "tool_search"})
_FORMATS = frozenset({"", "text", "json_object"})


class Served(NamedTuple):
    """A tool that runs at the provider."""

    part: str  # as the request names it
    kind: str  # of the allowance that may stand for one call's tokens
    tokens: int | None  # that allowance, where the tenant set it
    fee: str  # the counted extra that a call is billed as; empty where there is none


class ToolsCount(NamedTuple):
    """A request's tools: the tokens of their declarations, and those that run at the provider."""

    tokens: int = 0
    allowed_tokens: int = 0  # of these, what rests on an allowance
    served: tuple[Served, ...] = ()


_counts: CountCache[int] = CountCache(8192)


def read_tools(raw: msgspec.Raw) -> list[dict[str, Any]]:
    """Parse the tools. Raises: RequestShapeError unless they are a list of objects with a type."""
    tools = parse_unique(raw, "tools") if is_given(raw) else []
    if not isinstance(tools, list):
        raise RequestShapeError("tools must be a list", "tools")
    for place, tool in enumerate(tools):
        if not isinstance(tool, dict) or not isinstance(tool.get("type"), str):
            raise RequestShapeError(f"tools[{place}] must have a type", f"tools[{place}]")
    return tools


def count_tools(raw: msgspec.Raw, allowances: Allowances, encoding: Encoding) -> ToolsCount:
    """Count a request's tools.

    Raises: Uncountable for one whose price or size nobody knows; RequestShapeError.
    """
    tools = read_tools(raw)
    if not tools:
        return ToolsCount()
    allowed, served = 0, []
    for place, tool in enumerate(tools):
        kind, part = tool["type"], f"tools[{place}].{tool['type']}"
        known = _served_as(tool)
        if known:
            served.append(_serve(known, part, allowances))
        elif kind in _UNSHOWN:
            why = "how it is shown to the model is not published"
            allowed += allowances.tokens_for("server_tool", part=part, why=why)
        elif kind not in _SHOWN:
            raise Uncountable(part, "what it adds to the prompt or the bill is not known")
        refuse_served(tool.get("tools"), f"{part}.tools")
    return ToolsCount(_declared(raw, tools, encoding) + allowed, allowed, tuple(served))


def count_format(wanted: dict[str, Any], encoding: Encoding) -> int:
    """Count the format that an answer must have, which is explained in the prompt; nothing for plain text."""
    if wanted.get("type", "") in _FORMATS:
        return 0
    return count(format_text(wanted), encoding) + _HEAD_TOKENS


def runs_tools(raw: msgspec.Raw) -> bool:
    """Tell whether any of a request's tools runs at the provider. Raises: RequestShapeError."""
    return any(_served_as(tool) for tool in read_tools(raw))


def _served_as(tool: dict[str, Any]) -> str:
    kind = tool["type"]
    if tool.get("execution") == "client":
        return ""
    return next((name for name in _SERVED if kind == name or kind.startswith(f"{name}_")), "")


def _serve(name: str, part: str, allowances: Allowances) -> Served:
    kind, fee = _SERVED[name]
    return Served(part, kind, allowances.find(kind), fee)  # without one the model's context may stand for it


def _declared(raw: msgspec.Raw, tools: list[dict[str, Any]], encoding: Encoding) -> int:
    content = bytes(raw)
    if len(content) < _CACHED_BYTES_MIN:
        return _count_declared(tools, encoding)
    key = _counts.key_of(content, encoding.encode())
    tokens = _counts.get(key)
    if tokens is None:
        tokens = _count_declared(tools, encoding)
        _counts.put(key, tokens)
    return tokens


def _count_declared(tools: list[dict[str, Any]], encoding: Encoding) -> int:
    functions = [tool for tool in tools if tool["type"] == "function"]
    texts = [namespace_text(functions)] if functions else []
    for tool in tools:
        if tool["type"] == "namespace" and isinstance(tool.get("tools"), list):
            inner = [one for one in tool["tools"] if isinstance(one, dict)]
            texts.append(namespace_text(inner, str(tool.get("name")), str(tool.get("description") or "")))
        elif tool["type"] != "function":
            texts.append(compact(tool))
    introduced = len(tools) - len(functions)
    tokens = sum(count(text, encoding) for text in texts) + _TOOLS_TOKENS + _TOOL_TOKENS * len(tools)
    return tokens + _UNPUBLISHED_TOKENS * introduced
