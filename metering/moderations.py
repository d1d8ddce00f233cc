"""A moderation request: read, and bounded for providers that bill it."""

from __future__ import annotations

from typing import Any

import msgspec

from metering.allowances import NONE, Allowances
from metering.chat_request import ModelName, refuse_twice, shape_error
from metering.errors import RequestShapeError
from metering.quote import BoundClass, InputBound
from metering.text_inputs import framing_tokens
from metering.tokens import byte_bound

# The model of a request that names none. Source: OpenAI's API reference, "Moderations", read to 2026-11.
UNSAID_MODEL = "omni-moderation-latest"
TEXT_BUCKETS = ("input",)


class ModerationsRequest(msgspec.Struct, frozen=True):
    """What the bound of a moderation depends on."""

    input: str | list[str | dict[str, Any]]
    model: ModelName | None = None


_requests = msgspec.json.Decoder(ModerationsRequest)
_NAMES = frozenset(field.encode_name for field in msgspec.structs.fields(ModerationsRequest))


def decode_moderations(body: bytes) -> ModerationsRequest:
    """Read a moderation request's body. Raises: RequestShapeError, naming the field where known."""
    try:
        request = _requests.decode(body)
        refuse_twice(body, _NAMES)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise shape_error(error, "moderation request") from error
    if not request.input:
        raise RequestShapeError("input must have at least one text", "input")
    return request


def bound_moderations(
    request: ModerationsRequest, *, provider: str = "openai", allowances: Allowances = NONE
) -> InputBound:
    """Bound what is read, by bytes. OpenAI bills neither text nor pictures; elsewhere a picture needs an allowance.

    Raises: Uncountable; RequestShapeError.
    """
    texts: list[str] = []
    other_tokens = 0
    for place, part in enumerate([request.input] if isinstance(request.input, str) else request.input):
        text = part if isinstance(part, str) else part.get("text")
        if isinstance(text, str):
            texts.append(text)
        elif provider != "openai":
            why = "what a picture takes is not published"
            other_tokens += allowances.tokens_for("image_url", part=f"input[{place}]", why=why)
    tokens = sum(map(byte_bound, texts)) + framing_tokens(texts) + other_tokens
    return InputBound(
        tokens,
        BoundClass.EMPIRICAL if other_tokens else BoundClass.HARD,
        image_tokens=other_tokens,
        text_buckets=TEXT_BUCKETS,
    )
