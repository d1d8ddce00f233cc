"""An embeddings request, read only as far as its bound needs; all else passes through untouched."""

from __future__ import annotations

import msgspec

from metering.chat_request import ModelName, is_given, refuse_twice, shape_error
from metering.errors import RequestShapeError, Uncountable
from metering.rates import tier_to_quote

_ABSENT = msgspec.Raw(b"null")

# Fields whose price or size nobody knows before the call.
UNBOUNDED = {
    "messages": "what a server makes of messages it is to embed is not known",
    "prompt_name": "a prompt that is kept at the server is not in the request",
    "models": "the call may be routed to a model that was not priced",
    "plugins": "what a plugin adds to the prompt or the bill is not known",
    "preset": "the call may be routed to a model that was not priced",
    "extra_body": "it may name what was stored elsewhere",
}


class EmbeddingsRequest(msgspec.Struct, frozen=True):
    """What the bound of an embeddings request depends on. ``body_bytes`` is set by ``decode_embeddings`` alone."""

    model: ModelName
    input: msgspec.Raw
    service_tier: str | None = None
    messages: msgspec.Raw = _ABSENT
    prompt_name: msgspec.Raw = _ABSENT
    models: msgspec.Raw = _ABSENT
    plugins: msgspec.Raw = _ABSENT
    preset: msgspec.Raw = _ABSENT
    extra_body: msgspec.Raw = _ABSENT
    body_bytes: int = 0

    @property
    def quoted_tier(self) -> str:
        """The service tier to quote at. Raises: RequestShapeError for one that nobody knows."""
        return tier_to_quote(self.service_tier, "service_tier")


_requests = msgspec.json.Decoder(EmbeddingsRequest)
_NAMES = frozenset(field.encode_name for field in msgspec.structs.fields(EmbeddingsRequest))


def decode_embeddings(body: bytes) -> EmbeddingsRequest:
    """Read an embeddings request's body. Raises: RequestShapeError, naming the field where known."""
    try:
        request = _requests.decode(body)
        refuse_twice(body, _NAMES)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise shape_error(error, "embeddings request") from error
    if not request.model:
        raise RequestShapeError("you must provide a model", "model")
    msgspec.structs.force_setattr(request, "body_bytes", len(body))  # whatever the body called so itself
    return request


def refuse_unbounded(request: msgspec.Struct, unbounded: dict[str, str]) -> None:
    """Refuse a request that uses a field of unknown price or size. Raises: Uncountable, naming it."""
    for name, why in unbounded.items():
        if is_given(getattr(request, name)):
            raise Uncountable(name, why)
