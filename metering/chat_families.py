"""Families of models with other tokenizers than OpenAI's, read once from ``data/chat_families.toml``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from functools import cache, lru_cache
from importlib import resources
from typing import Annotated

import msgspec

from metering.images import Pictures

_Told = Annotated[str, msgspec.Meta(min_length=1)]
_Tokens = Annotated[int, msgspec.Meta(ge=0)]


class Sound(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a recording costs: every stretch of it that was begun."""

    step_seconds: Annotated[int, msgspec.Meta(ge=1)]
    step_tokens: _Tokens

    def tokens(self, seconds: int) -> int:
        """Bound a recording's tokens by its seconds."""
        return -(-seconds // self.step_seconds) * self.step_tokens


class NamedFamily(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One family; the head of ``data/chat_families.toml`` says what each field means."""

    models: _Told
    percent: Annotated[int, msgspec.Meta(ge=100)]
    request_tokens: _Tokens
    message_tokens: _Tokens
    tools_tokens: _Tokens
    tool_tokens: _Tokens
    call_tokens: _Tokens
    format_tokens: _Tokens
    why: _Told
    source: _Told
    sample: _Told
    date: date
    providers: tuple[str, ...] = ()
    pictures: Pictures | None = None
    audio: Sound | None = None


@lru_cache(maxsize=4096)
def named_family(model: str, provider: str) -> NamedFamily | None:
    """Return the family of a model as a provider serves it, or None for one that nobody has measured."""
    name = plain_name(model)
    for family in families().values():
        is_served = not family.providers or provider in family.providers
        if is_served and re.fullmatch(family.models, name):
            return family
    return None


def plain_name(model: str) -> str:
    """A model's name in small letters, without its vendor (``openai/``, ``openai.``) in front."""
    name = model.lower().rpartition("/")[2]
    vendor, dot, rest = name.partition(".")
    return rest if dot and vendor.isalpha() and rest[:1].isalpha() else name


@cache
def families() -> Mapping[str, NamedFamily]:
    """Return every family, in the order in which they are tried."""
    text = (resources.files("metering") / "data" / "chat_families.toml").read_bytes()
    return msgspec.toml.decode(text, type=dict[str, NamedFamily])
