"""How OpenAI's models are shown their tools: as declarations in TypeScript, which is what is billed for them.

Source: OpenAI's cookbook, "OpenAI harmony response format", its sections on functions and structured output, read to
2026-11. On top of what that page writes, everything else in a schema is written as a comment: a title is shown by some
models and a keyword that is not may be shown by the next, so that a text is never shorter than the real one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from metering.errors import Uncountable

# A schema whose references, written out, come to more places than this is not read further.
PLACES_MAX = 4_000
_DEPTH_MAX = 40
# What stands in the declaration itself, and what no recorded prompt had: the dialect's name and a closed object.
_WRITTEN = frozenset({"type", "properties", "required", "items", "enum", "const", "anyOf", "oneOf", "allOf"})
_UNSEEN = frozenset({"$schema", "$defs", "definitions", "$ref", "description", "title", "default"})
_UNIONS = (("anyOf", " | "), ("oneOf", " | "), ("allOf", " & "))
_NAMES = {"integer": "number", "number": "number", "string": "string", "boolean": "boolean", "null": "null"}


def namespace_text(functions: list[dict[str, Any]], name: str = "functions", about: str = "") -> str:
    """Write functions as the section of the prompt that declares them. Raises: Uncountable."""
    lines = [f"# Tools\n\n## {name}\n\n", *_comments(about), f"namespace {name} {{\n\n"]
    for function in functions:
        lines += _declaration(function)
    return "".join((*lines, f"}} // namespace {name}"))


def format_text(wanted: dict[str, Any]) -> str:
    """Write the format that an answer must have as the section of the prompt that explains it."""
    head = f"# Response Formats\n\n## {wanted.get('name') or 'format'}\n\n"
    schema = wanted.get("schema")
    if isinstance(schema, dict):
        schema = {word: value for word, value in schema.items() if word != "$schema"}  # the name of a dialect
    return "".join((head, *_comments(wanted.get("description")), compact(schema)))


def compact(value: Any) -> str:
    """Write a value as JSON without spaces."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _declaration(function: dict[str, Any]) -> Iterator[str]:
    yield from _comments(function.get("description"))
    schema = function.get("parameters")
    if not isinstance(schema, dict) or not schema.get("properties"):
        # The rest of a schema without properties is not shown; of one that is something else altogether all may be.
        odd = (
            schema.keys() - _WRITTEN - _UNSEEN - {"additionalProperties"} if isinstance(schema, dict) else ()
        )
        yield from _comments(compact(schema) if odd else "")
        yield f"type {function.get('name')} = () => any;\n\n"
        return
    writer = _Writer(schema)
    yield from writer.notes(schema)
    yield f"type {function.get('name')} = (_: {writer.shape(schema)}) => any;\n\n"


def _comments(text: Any) -> list[str]:
    """A text as comments, each of its lines one; nothing for none."""
    if not text:
        return []
    return [f"// {line}\n" for line in (text if isinstance(text, str) else compact(text)).split("\n")]


class _Writer:
    """Writes one schema; what it refers to is written where it is referred to, but never inside itself."""

    def __init__(self, root: dict[str, Any]) -> None:
        self._root = root
        self._places = 0
        self._open: list[str] = []

    def shape(self, schema: Any) -> str:
        """Write a schema as a type. Raises: Uncountable for one that grows without end."""
        self._places += 1
        if self._places > PLACES_MAX or len(self._open) > _DEPTH_MAX:
            raise Uncountable("tools", f"a schema with its references comes to more than {PLACES_MAX} places")
        if not isinstance(schema, dict):
            return "any"
        if isinstance(schema.get("$ref"), str):
            return self._referred(schema["$ref"])
        for word, joint in _UNIONS:
            if isinstance(schema.get(word), list):
                return joint.join(self._inside(one) for one in schema[word])
        if isinstance(schema.get("enum"), list):
            return " | ".join(compact(one) for one in schema["enum"])
        return compact(schema["const"]) if "const" in schema else self._of_type(schema, schema.get("type"))

    def notes(self, schema: Any) -> Iterator[str]:
        """Write as comments what stands in a schema beside its type."""
        if not isinstance(schema, dict):
            return
        yield from _comments(schema.get("title"))
        if schema.get("title") and schema.get("description"):
            yield "//\n"
        yield from _comments(schema.get("description"))
        for word, value in schema.items():
            closed = word == "additionalProperties" and value is False
            if word not in _WRITTEN and word not in _UNSEEN and not closed:
                yield from _comments(f"{word}: {compact(value)}")

    def _of_type(self, schema: dict[str, Any], kind: Any) -> str:
        if isinstance(kind, list):
            return " | ".join(self._of_type(schema, one) for one in kind)
        if kind == "array" or "items" in schema:
            return self._inside(schema.get("items")) + "[]"
        if kind == "object" or isinstance(schema.get("properties"), dict):
            return self._object(schema)
        return _NAMES.get(kind, "any") if isinstance(kind, str) else "any"

    def _object(self, schema: dict[str, Any]) -> str:
        properties, required = schema.get("properties"), schema.get("required")
        lines = ["{\n"]
        for name, part in (properties if isinstance(properties, dict) else {}).items():
            lines += self.notes(part)
            must = isinstance(required, list) and name in required
            default = f" // default: {compact(part['default'])}" if _has_default(part) else ""
            lines.append(f"{name}{'' if must else '?'}: {self.shape(part)},{default}\n")
        return "".join((*lines, "}"))

    def _inside(self, schema: Any) -> str:
        """A schema within another: its comments stand before it, as before a property."""
        return "".join((*self.notes(schema), self.shape(schema)))

    def _referred(self, reference: str) -> str:
        if reference in self._open:
            return reference.rpartition("/")[2] or "any"
        found: Any = self._root
        for step in reference.removeprefix("#").split("/")[1:]:
            found = found.get(step) if isinstance(found, dict) else None
        self._open.append(reference)
        try:
            return self._inside(found)
        finally:
            self._open.pop()


def _has_default(part: Any) -> bool:
    return isinstance(part, dict) and "default" in part
