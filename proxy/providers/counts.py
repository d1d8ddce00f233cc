"""Answers of the endpoints at which providers count a prompt for nothing."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from metering.chat_request import parse_unique
from metering.errors import UsageError
from metering.usage_openai import COUNTER_TOKENS_MAX

# No prompt is of no tokens, and none is longer than any context.
_Tokens = Annotated[int, msgspec.Meta(ge=1, le=COUNTER_TOKENS_MAX)]


class InputCount(msgspec.Struct):
    """What Anthropic and OpenAI answer."""

    input_tokens: _Tokens


class TotalCount(msgspec.Struct, rename="camel"):
    """What Gemini answers."""

    total_tokens: _Tokens


# Where a part's content is fetched from, unless it is in the address itself or was sent to Google before.
_ADDRESSES = ("image_url", "file_url", "fileUri", "file_uri")
_KEPT = ("data:", "https://generativelanguage.googleapis.com/")

_inputs = msgspec.json.Decoder(InputCount)
_totals = msgspec.json.Decoder(TotalCount)


def read_input_tokens(body: bytes) -> int:
    """Read a count of Anthropic's or OpenAI's, in tokens. Raises: UsageError for what is none."""
    try:
        return _inputs.decode(body).input_tokens
    except msgspec.DecodeError as error:
        raise UsageError(f"a count that is none: {error}") from error


def read_total_tokens(body: bytes) -> int:
    """Read a count of Gemini's, in tokens. Raises: UsageError for what is none."""
    try:
        return _totals.decode(body).total_tokens
    except msgspec.DecodeError as error:
        raise UsageError(f"a count that is none: {error}") from error


def changes_elsewhere(body: bytes) -> bool:
    """Tell whether a prompt holds what stands at an address: it may be another by the time of the call."""
    return _is_elsewhere(parse_unique(body, None))


def _is_elsewhere(value: Any) -> bool:
    if isinstance(value, list):
        return any(map(_is_elsewhere, value))
    if not isinstance(value, dict):
        return False
    if value.get("type") == "url" and "url" in value:
        return True
    addresses = (value.get(name) for name in _ADDRESSES)
    if any(isinstance(one, str) and not one.startswith(_KEPT) for one in addresses):
        return True
    return any(map(_is_elsewhere, value.values()))
