"""The smallest value that a JSON schema accepts, for tool arguments and structured answers."""

from __future__ import annotations

from typing import Final

_DEPTH_MAX: Final = 12
_TEXT: Final = "tok1 tok2"
_SCALARS: Final[dict[str, object]] = {
    "string": _TEXT,
    "integer": 1,
    "number": 1.5,
    "boolean": True,
    "null": None,
}


def fill(schema: object) -> object:
    """Make a value for a schema: every property of every object, one item for every array."""
    value = _fill(schema, schema, depth=0)
    return {"answer": _TEXT} if value is None or value == {} else value


def _fill(schema: object, root: object, *, depth: int) -> object:
    # A schema that refers to itself has no end; the value stops somewhere.
    if not isinstance(schema, dict) or depth > _DEPTH_MAX:
        return None
    fixed = _fixed(schema)
    if fixed is not None:
        return fixed
    other = _other_schema(schema, root)
    if other is not None:
        return _fill(other, root, depth=depth + 1)
    return _fill_type(schema, root, depth=depth)


def _fill_type(schema: dict[str, object], root: object, *, depth: int) -> object:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = kind[0] if kind else None
    properties = schema.get("properties")
    if isinstance(properties, dict):
        return {name: _fill(part, root, depth=depth + 1) for name, part in properties.items()}
    if kind == "array":
        item = _fill(schema.get("items"), root, depth=depth + 1)
        return [] if item is None else [item]
    return _SCALARS.get(kind) if isinstance(kind, str) and kind in _SCALARS else {}


def _fixed(schema: dict[str, object]) -> object:
    choices = schema.get("enum")
    return choices[0] if isinstance(choices, list) and choices else schema.get("const")


def _other_schema(schema: dict[str, object], root: object) -> object:
    reference = schema.get("$ref")
    if isinstance(reference, str):
        found = root
        for step in reference.removeprefix("#").split("/")[1:]:
            found = found.get(step) if isinstance(found, dict) else None
        return found
    for name in ("anyOf", "oneOf", "allOf"):
        parts = schema.get(name)
        if isinstance(parts, list) and parts:
            return parts[0]
    return None
