"""Answers of the endpoints at which providers count a prompt for nothing."""

from __future__ import annotations

from typing import Annotated

import msgspec

from metering.errors import UsageError

_Tokens = Annotated[int, msgspec.Meta(ge=0)]


class InputCount(msgspec.Struct):
    """What Anthropic and OpenAI answer."""

    input_tokens: _Tokens


class TotalCount(msgspec.Struct, rename="camel"):
    """What Gemini answers."""

    total_tokens: _Tokens


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
