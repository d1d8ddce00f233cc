"""An OpenAI Responses request, read only as far as its bound and its cap need; all else passes through untouched.

Source: OpenAI's API reference, "Responses", read to 2026-11.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from metering.chat_request import ModelName, is_given, parse_unique, refuse_twice, shape_error
from metering.errors import RequestShapeError
from metering.rates import tier_to_quote

_ABSENT = msgspec.Raw(b"null")
_FREE_CHOICES = frozenset({"auto", "none"})
_Cap = Annotated[int, msgspec.Meta(ge=1, le=2**31)]
_Calls = Annotated[int, msgspec.Meta(ge=1, le=10_000)]
BACKGROUND = (
    "a background answer is billed long after this request has ended, when nobody may be there to see it: leave "
    "'background' out, and ask for 'stream' where the answer takes long"
)


class ResponsesRequest(msgspec.Struct, frozen=True):
    """What the bound and the cap of a Responses request depend on. ``body_bytes`` is set by ``decode_responses``."""

    model: ModelName
    input: msgspec.Raw = _ABSENT
    instructions: msgspec.Raw = _ABSENT
    max_output_tokens: _Cap | None = None
    max_tool_calls: _Calls | None = None
    stream: bool | None = None
    background: bool | None = None
    tools: msgspec.Raw = _ABSENT
    tool_choice: msgspec.Raw = _ABSENT
    text: msgspec.Raw = _ABSENT
    reasoning: msgspec.Raw = _ABSENT
    service_tier: str | None = None
    # State that was made elsewhere.
    previous_response_id: str | None = None
    conversation: msgspec.Raw = _ABSENT
    prompt: msgspec.Raw = _ABSENT
    context_management: msgspec.Raw = _ABSENT
    # What has a price or a size that nobody knows before the call, see UNBOUNDED in metering.responses_bound.
    modalities: msgspec.Raw = _ABSENT
    audio: msgspec.Raw = _ABSENT
    prediction: msgspec.Raw = _ABSENT
    models: msgspec.Raw = _ABSENT
    plugins: msgspec.Raw = _ABSENT
    preset: msgspec.Raw = _ABSENT
    extra_body: msgspec.Raw = _ABSENT
    search_parameters: msgspec.Raw = _ABSENT
    max_tokens: msgspec.Raw = _ABSENT
    max_completion_tokens: msgspec.Raw = _ABSENT
    n: msgspec.Raw = _ABSENT
    body_bytes: int = 0
    kind: str = ""  # "compact" for a compaction; set here alone

    @property
    def compacts(self) -> bool:
        """Whether a conversation is to be compacted, for which there is no output cap."""
        return self.kind == "compact"

    @property
    def answer_format(self) -> dict[str, Any]:
        """The format that the answer must have; empty where none is named. Raises: RequestShapeError."""
        wanted = parse_unique(self.text, "text")
        named = wanted.get("format") if isinstance(wanted, dict) else None
        if not isinstance(named, dict):
            return {}
        if not isinstance(named.get("type", ""), str):
            raise RequestShapeError("text.format.type must be text", "text.format.type")
        return named

    @property
    def forces_tool(self) -> bool:
        """Whether the answer must be a tool call."""
        if not is_given(self.tool_choice):
            return False
        choice = parse_unique(self.tool_choice, "tool_choice")
        if isinstance(choice, dict):
            choice = choice.get("mode")
        return not isinstance(choice, str) or choice not in _FREE_CHOICES

    @property
    def thinks_in_parallel(self) -> bool:
        """Whether several runs are made of which one is answered, each of which is billed."""
        asked = parse_unique(self.reasoning, "reasoning")
        return isinstance(asked, dict) and asked.get("mode") not in (None, "standard")

    @property
    def quoted_tier(self) -> str:
        """The service tier to quote at. Raises: RequestShapeError for one that nobody knows."""
        return tier_to_quote(self.service_tier, "service_tier")


class _Named(msgspec.Struct, frozen=True):
    """Of a request that is passed on for nothing: the model it names."""

    model: ModelName


_requests = msgspec.json.Decoder(ResponsesRequest)
_named = msgspec.json.Decoder(_Named)
_NAMES = frozenset(field.encode_name for field in msgspec.structs.fields(ResponsesRequest))


def decode_responses(body: bytes) -> ResponsesRequest:
    """Read a Responses request's body. Raises: RequestShapeError, naming the field where known."""
    request = _decode(body, "Responses request")
    if request.background:
        raise RequestShapeError(BACKGROUND, "background")
    return request


def decode_compact(body: bytes) -> ResponsesRequest:
    """Read a request to compact a conversation; it generates, and takes no cap. Raises: RequestShapeError."""
    request = _decode(body, "request to compact")
    for name in ("stream", "background"):
        if getattr(request, name):
            raise RequestShapeError(f"a compaction takes no {name!r}", name)
    msgspec.structs.force_setattr(request, "kind", "compact")
    return request


def decode_input_tokens_model(body: bytes) -> str:
    """Read the model whose input tokens are to be counted. Raises: RequestShapeError."""
    try:
        named = _named.decode(body)
        refuse_twice(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise shape_error(error, "request to count tokens") from error
    return _with_model(named.model)


def _decode(body: bytes, kind: str) -> ResponsesRequest:
    try:
        request = _requests.decode(body)
        refuse_twice(body, _NAMES)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise shape_error(error, kind) from error
    _with_model(request.model)
    for name in ("max_tokens", "max_completion_tokens", "n"):
        # Some servers read the other interface's names here: a cap that is none would be no cap.
        if is_given(getattr(request, name)):
            raise RequestShapeError(f"{name!r} is not of this interface: use 'max_output_tokens'", name)
    msgspec.structs.force_setattr(request, "kind", "")
    msgspec.structs.force_setattr(request, "body_bytes", len(body))  # whatever the body called so itself
    return request


def _with_model(model: str) -> str:
    if not model:
        raise RequestShapeError("you must provide a model", "model")
    return model
