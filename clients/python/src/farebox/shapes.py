"""From JSON to typed values and back: dollars are ``Decimal``, instants aware ``datetime``, never floats."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from farebox.errors import UnreadableAnswer

T = TypeVar("T")


class Unset:
    """The type of what was not given; ``None`` is a value of its own that the API takes for null."""

    def __repr__(self) -> str:
        return "UNSET"


UNSET = Unset()


def given(**values: Any) -> dict[str, Any]:
    """Keep what was given. A name that Python keeps for itself carries an underscore at its end."""
    return {name.rstrip("_"): value for name, value in values.items() if not isinstance(value, Unset)}


def to_json(value: Any) -> Any:
    """Write a value as JSON takes it; an amount is a decimal string. Raises: TypeError for a float, never exact."""
    match value:
        case Decimal():
            return format(value, "f")
        case float():
            raise TypeError(f"{value!r} is a float: amounts are Decimal or str")
        case datetime() | date():
            return value.isoformat()
        case Mapping():
            return {str(name): to_json(inner) for name, inner in value.items()}
        case list() | tuple() | set() | frozenset():
            return [to_json(inner) for inner in value]
        case _:
            return value


def to_query(values: Mapping[str, Any]) -> dict[str, str]:
    """Write a query's values; ``None`` is left out."""
    written = {name: to_json(value) for name, value in values.items() if value is not None}
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in written.items()
    }


def read(kind: type[T], value: Any) -> T:
    """Read JSON as a shape. Raises: UnreadableAnswer."""
    try:
        return cast("T", _read(kind, value))
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise UnreadableAnswer(f"an answer is no {getattr(kind, '__name__', kind)}: {error!r}") from error


def _read(kind: Any, value: Any) -> Any:
    origin = get_origin(kind)
    if kind is Any or origin is Literal:
        return value
    if origin in (Union, UnionType):
        if value is None:
            return None
        [inner] = [each for each in get_args(kind) if each is not NoneType]
        return _read(inner, value)
    if origin is tuple:
        return tuple(_read(get_args(kind)[0], each) for each in value)
    if origin is dict:
        return {name: _read(get_args(kind)[1], each) for name, each in value.items()}
    return _read_shape(kind, value) if dataclasses.is_dataclass(kind) else _PLAIN.get(kind, _as_it_is)(value)


def _as_it_is(value: Any) -> Any:
    return value


_PLAIN: dict[Any, Callable[[Any], Any]] = {
    datetime: datetime.fromisoformat,
    date: date.fromisoformat,
    Decimal: Decimal,
}


def _read_shape(kind: Any, value: Mapping[str, Any]) -> Any:
    hints = _hints(kind)
    found = {}
    for field in dataclasses.fields(kind):
        name = field.name.rstrip("_")
        if field.name == "more":
            continue
        if name in value:
            found[field.name] = _read(hints[field.name], value[name])
        elif field.default is dataclasses.MISSING:
            raise KeyError(name)
    known = {field.name.rstrip("_") for field in dataclasses.fields(kind)}
    more = {name: inner for name, inner in value.items() if name not in known}
    return kind(**found, more=more)


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)
