"""A request's JSON object, changed in its outermost fields alone; the values inside keep their bytes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import ParamSpec, TypeVar

import msgspec

# Reading one of some megabytes in a million pieces takes seconds, in which nobody else would be served.
LARGE_BODY_BYTES = 256 * 1024

_Given = ParamSpec("_Given")
_Made = TypeVar("_Made")
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
_encode = msgspec.json.Encoder().encode


async def aside(
    body_bytes: int, work: Callable[_Given, _Made], *args: _Given.args, **kwargs: _Given.kwargs
) -> _Made:
    """Do what takes as long as a body is large: on a small one at once, on a large one in a thread of its own."""
    if body_bytes < LARGE_BODY_BYTES:
        return work(*args, **kwargs)
    return await asyncio.to_thread(work, *args, **kwargs)


def edited(body: bytes, changes: Mapping[str, object]) -> bytes:
    """Return a body with some outermost fields set, or left out (UNSET); the very same bytes when nothing changes.

    Raises: msgspec.DecodeError when it is no object.
    """
    if not changes:
        return body
    fields = _fields.decode(body)
    for name, value in changes.items():
        if value is msgspec.UNSET:
            fields.pop(name, None)
        else:
            fields[name] = msgspec.Raw(_encode(value))
    return _encode(fields)


def picked(body: bytes, names: frozenset[str]) -> bytes:
    """Return a body with some of its outermost fields alone. Raises: msgspec.DecodeError when it is no object."""
    return _encode({name: value for name, value in _fields.decode(body).items() if name in names})


def with_member(body: bytes, name: str, member: Mapping[str, object]) -> dict[str, object]:
    """Return an outermost object field with some members set, its others as they were."""
    raw = _fields.decode(body).get(name)
    known: dict[str, object] = {}
    if raw is not None and bytes(raw) != b"null":
        known.update(_fields.decode(raw))
    known.update(member)
    return known
