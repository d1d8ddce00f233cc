"""Stripe's forms: `a[b][0][c]=d` read into nested values, and read back into simple types."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl

from simulators.stripe.refusals import Refused, invalid

_NAME = re.compile(r"^([^\[\]]+)((?:\[[^\[\]]*\])*)$")
_PART = re.compile(r"\[([^\[\]]*)\]")


def read_form(text: str) -> dict[str, Any]:
    """Read a form or a query; values stay text, numbered brackets become lists."""
    root: dict[str, Any] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        matched = _NAME.match(name)
        if matched is None:
            raise invalid(f"Invalid parameter name: {name}").unsaved()
        steps = [matched[1], *_PART.findall(matched[2])]
        _put(root, steps, value)
    listed: dict[str, Any] = {name: _with_lists(value) for name, value in root.items()}
    return listed


def _put(root: dict[str, Any], steps: list[str], value: str) -> None:
    place = root
    for step in steps[:-1]:
        name = step or str(len(place))
        below = place.setdefault(name, {})
        if not isinstance(below, dict):
            raise invalid(f"Invalid parameter: {steps[0]}", param=steps[0]).unsaved()
        place = below
    place[steps[-1] or str(len(place))] = value


def _with_lists(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    inner = {name: _with_lists(below) for name, below in value.items()}
    if inner and all(name.isdecimal() for name in inner):
        return [inner[name] for name in sorted(inner, key=int)]
    return inner


def as_int(value: Any, param: str) -> int:
    """Read an integer."""
    try:
        return int(str(value))
    except ValueError:
        raise _bad(value, param, "integer", code="parameter_invalid_integer") from None


def as_bool(value: Any, param: str) -> bool:
    """Read a truth value."""
    if str(value).lower() not in {"true", "false"}:
        raise _bad(value, param, "boolean")
    return str(value).lower() == "true"


def as_mapping(value: Any, param: str) -> dict[str, Any]:
    """Read an object; an empty text is an empty one."""
    if value in (None, ""):
        return {}
    if not isinstance(value, dict):
        raise _bad(value, param, "object")
    return value


def as_list(value: Any, param: str) -> list[Any]:
    """Read a list."""
    if value in (None, ""):
        return []
    if not isinstance(value, list):
        raise _bad(value, param, "array")
    return value


def _bad(value: Any, param: str, wanted: str, *, code: str | None = None) -> Refused:
    return invalid(f"Invalid {wanted}: {value}", param=param, code=code).unsaved()
