"""What tools add to a Gemini prompt: declarations written out for the model, and tools that run at Google."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from metering.allowances import Allowances
from metering.errors import Uncountable
from metering.gemini_content import compact
from metering.gemini_models import (
    DECLARATION_TOKENS,
    SCHEMA_LEVELS,
    SCHEMA_NODE_TOKENS,
    SEARCHES,
    TOOL_ROUNDS,
    searches_billed,
)
from metering.gemini_request import listed, named
from metering.gemini_text import text_tokens
from metering.tokens import byte_bound

# How much may be written out for one request: from few bytes schemas that refer to themselves grow without end.
NODES_MAX = 20_000
_SCHEMAS = ("parameters", "parametersJsonSchema", "response", "responseJsonSchema")
_DEFINITIONS = frozenset({"$defs", "definitions", "defs"})
_MARKS = ("type", "properties", "anyOf", "any_of", "oneOf", "allOf", "enum", "items", "prefixItems")
_DECLARATIONS = "functionDeclarations"

# Tools that run at Google, by the allowance that stands for what they add to the prompt.
_SERVER_TOOLS = {
    "googleSearch": "web_search",
    "googleSearchRetrieval": "web_search",
    "googleMaps": "web_search",
    "urlContext": "web_fetch",
    "codeExecution": "code_execution",
    "fileSearch": "file_search",
    "retrieval": "file_search",
    "computerUse": "server_tool",
    "mcpServers": "mcp",
}


class Tools(NamedTuple):
    """What tools add: tokens, the bytes that schemas gain when written out, and what those at Google may cost."""

    tokens: int = 0
    grown_bytes: int = 0
    allowed_tokens: int = 0
    rounds: int = 1
    extras: tuple[tuple[str, int], ...] = ()


class Room:
    """How many nodes may still be written out for a request."""

    def __init__(self) -> None:
        """Begin with all of them."""
        self.nodes = NODES_MAX


def count_tools(value: Any, model: str, allowances: Allowances, room: Room) -> Tools:
    """Count a request's tools. Raises: Uncountable for one without a known bound; RequestShapeError."""
    tokens = grown_bytes = allowed_tokens = 0
    rounds = 1
    extras: dict[str, int] = {}
    for place, tool in enumerate(listed(value)):
        for name, given in named(tool, f"tools[{place}]").items():
            param = f"tools[{place}].{name}"
            if name == _DECLARATIONS:
                declared = [
                    _declaration(one, f"{param}[{number}]", room) for number, one in enumerate(listed(given))
                ]
                tokens += sum(one.tokens for one in declared)
                grown_bytes += sum(one.grown_bytes for one in declared)
            elif given is not None:
                allowed_tokens += _allowed(name, param, allowances)
                tokens += text_tokens(compact(given))
                rounds = TOOL_ROUNDS
                extras.update(_fees(name, model))
    return Tools(tokens, grown_bytes, allowed_tokens, rounds, tuple(extras.items()))


def schema_tokens(schema: Any, param: str, room: Room) -> int:
    """Bound the tokens of a schema that the answer must follow. Raises: Uncountable where it is too large."""
    shown = expanded(schema, param, room)
    return _longer(compact(schema), compact(shown)) + SCHEMA_NODE_TOKENS * _nodes(shown)


def expanded(schema: Any, param: str, room: Room) -> Any:
    """Write out a schema's references in place, as Google does; one that holds itself to ``SCHEMA_LEVELS`` levels.

    Raises: Uncountable where there is no room for it.
    """
    return _Expander(schema, param, room).write_out(schema, ()) if _refers(schema) else schema


def _declaration(value: Any, param: str, room: Room) -> Tools:
    declared = named(value, param)
    before = compact(declared)
    for name in _SCHEMAS:
        if declared.get(name) is not None:
            declared[name] = expanded(declared[name], f"{param}.{name}", room)
    after = compact(declared)
    nodes = sum(_nodes(declared.get(name)) for name in _SCHEMAS)
    tokens = _longer(before, after) + DECLARATION_TOKENS + SCHEMA_NODE_TOKENS * nodes
    return Tools(tokens, max(0, byte_bound(after) - byte_bound(before)))


def _longer(before: str, after: str) -> int:
    """Tokens of a schema as it was sent or written out, whichever are more: what it does not use may be left in."""
    tokens = text_tokens(before)
    return tokens if before == after else max(tokens, text_tokens(after))


def _allowed(name: str, param: str, allowances: Allowances) -> int:
    kind = _SERVER_TOOLS.get(name)
    if kind is None:
        raise Uncountable(param, "what tools of this kind add to the prompt or the bill is not known")
    why = "tools that run at the provider add what they find to the prompt"
    return allowances.tokens_for(kind, part=param, why=why)


def _fees(name: str, model: str) -> dict[str, int]:
    """The most of each fee that a tool may come to; one that the price does not know is refused as unpriced."""
    if name == "googleMaps":
        return {"map_search": searches_billed(model, SEARCHES)}
    if _SERVER_TOOLS[name] == "web_search":
        return {"web_search": searches_billed(model, SEARCHES)}
    return {}


class _Expander:
    def __init__(self, root: Any, param: str, room: Room) -> None:
        self._root = root
        self._param = param
        self._room = room

    def write_out(self, value: Any, within: tuple[str, ...]) -> Any:
        """Return a value with its references written out; ``within`` are those that lead here."""
        self._room.nodes -= 1
        if self._room.nodes < 0:
            raise Uncountable(self._param, "a schema that refers to itself so often has no bound")
        if isinstance(value, list):
            return [self.write_out(one, within) for one in value]
        if not isinstance(value, dict):
            return value
        target = value.get("$ref", value.get("ref"))
        if isinstance(target, str) and target.startswith("#"):
            beside = {name: given for name, given in value.items() if name not in ("$ref", "ref")}
            if within.count(target) >= SCHEMA_LEVELS:
                return beside
            found = self._find(target)
            merged = {**found, **beside} if isinstance(found, dict) else beside
            return self.write_out(merged, (*within, target))
        return {name: self.write_out(given, within) for name, given in self._shown(value)}

    @staticmethod
    def _shown(value: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        return ((name, given) for name, given in value.items() if name not in _DEFINITIONS)

    def _find(self, target: str) -> Any:
        found = self._root
        for step in target.removeprefix("#").strip("/").split("/"):
            if step:
                found = (
                    found.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(found, dict) else None
                )
        return found


def _refers(value: Any) -> bool:
    if isinstance(value, dict):
        return any(name in ("$ref", "ref") or _refers(given) for name, given in value.items())
    return isinstance(value, list) and any(map(_refers, value))


def _nodes(value: Any) -> int:
    """How many parameters and parts of them a schema describes."""
    if isinstance(value, dict):
        return any(name in value for name in _MARKS) + sum(map(_nodes, value.values()))
    return sum(map(_nodes, value)) if isinstance(value, list) else 0
