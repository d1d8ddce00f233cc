"""Constants of empirical bounds, read once from ``data/empirical.toml``, where each has its source, sample and date."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from functools import cache
from importlib import resources
from typing import Annotated

import msgspec

_Told = Annotated[str, msgspec.Meta(min_length=1)]


class Constant(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One figure with its reason; its unit is the end of its name."""

    value: Annotated[int, msgspec.Meta(ge=0)]
    why: _Told
    source: _Told
    sample: _Told
    date: date


Constants = Mapping[str, Mapping[str, Constant]]


def constant(dialect: str, name: str) -> int:
    """Return a constant's value. Raises: KeyError for one that the data does not have, at import."""
    return constants()[dialect][name].value


@cache
def constants() -> Constants:
    """Return every constant, by dialect and name. Raises: msgspec.ValidationError for data of another shape."""
    return read_constants((resources.files("metering") / "data" / "empirical.toml").read_bytes())


def read_constants(text: bytes) -> Constants:
    """Read constants from TOML. Raises: msgspec.ValidationError for data of another shape."""
    return msgspec.toml.decode(text, type=dict[str, dict[str, Constant]])
