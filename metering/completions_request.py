"""A request for OpenAI's older completions, read only as far as its bound and its cap need.

A field that stands twice is refused, as in chat: whoever reads the other one would see a request never bounded.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from metering.chat_request import (
    CHOICES_MAX,
    ModelName,
    StreamOptions,
    is_given,
    refuse_twice,
    shape_error,
)
from metering.errors import RequestShapeError
from metering.rates import tier_to_quote

_ABSENT = msgspec.Raw(b"null")
_Count = Annotated[int, msgspec.Meta(ge=1, le=CHOICES_MAX)]

# Fields whose price or size nobody knows before the call.
UNBOUNDED = {
    "prompt_embeds": "a prompt that comes as vectors has no tokens to count",
    "images": "what a picture is billed at on a server that takes it here is not known",
    "prediction": "rejected prediction tokens are billed as output beyond the cap",
    "models": "the call may be routed to a model that was not priced",
    "plugins": "what a plugin adds to the prompt or the bill is not known",
    "preset": "the call may be routed to a model that was not priced",
    "extra_body": "it may name a prompt that was cached elsewhere",
}
# Other servers' names for the output cap. One that reads both would pass over the cap that was held.
_OTHER_CAPS = ("max_completion_tokens", "max_new_tokens", "max_output_tokens", "n_predict")


class CompletionsRequest(msgspec.Struct, frozen=True):
    """What the bound and the cap of a completion depend on. ``body_bytes`` is set by ``decode_completions`` alone."""

    model: ModelName
    prompt: msgspec.Raw = _ABSENT
    suffix: str | None = None
    max_tokens: Annotated[int, msgspec.Meta(ge=0, le=2**31)] | None = None
    n: _Count | None = None
    best_of: _Count | None = None
    stream: bool | None = None
    service_tier: str | None = None
    stream_options: StreamOptions | None = None
    response_format: msgspec.Raw = _ABSENT
    prompt_embeds: msgspec.Raw = _ABSENT
    images: msgspec.Raw = _ABSENT
    prediction: msgspec.Raw = _ABSENT
    models: msgspec.Raw = _ABSENT
    plugins: msgspec.Raw = _ABSENT
    preset: msgspec.Raw = _ABSENT
    extra_body: msgspec.Raw = _ABSENT
    max_completion_tokens: msgspec.Raw = _ABSENT
    max_new_tokens: msgspec.Raw = _ABSENT
    max_output_tokens: msgspec.Raw = _ABSENT
    n_predict: msgspec.Raw = _ABSENT
    body_bytes: int = 0

    @property
    def answers_per_prompt(self) -> int:
        """How many answers are generated for each prompt; those that are thrown away are billed as well."""
        return max(self.n or 1, self.best_of or 1)

    @property
    def quoted_tier(self) -> str:
        """The service tier to quote at. Raises: RequestShapeError for one that nobody knows."""
        return tier_to_quote(self.service_tier, "service_tier")

    @property
    def include_usage(self) -> bool:
        """Whether the caller asked for usage at the end of its stream."""
        return bool(self.stream_options and self.stream_options.include_usage)


_requests = msgspec.json.Decoder(CompletionsRequest)
_NAMES = frozenset(field.encode_name for field in msgspec.structs.fields(CompletionsRequest))


def decode_completions(body: bytes) -> CompletionsRequest:
    """Read a completion request's body. Raises: RequestShapeError, naming the field where known."""
    try:
        request = _requests.decode(body)
        refuse_twice(body, _NAMES)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise shape_error(error, "completion request") from error
    if not request.model:
        raise RequestShapeError("you must provide a model", "model")
    for name in _OTHER_CAPS:
        if is_given(getattr(request, name)):
            raise RequestShapeError(f"completions take their output cap as max_tokens, not as {name}", name)
    msgspec.structs.force_setattr(request, "body_bytes", len(body))  # whatever the body called so itself
    return request
