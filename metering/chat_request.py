"""An OpenAI chat request, read only as far as its bound and its cap need; all else passes through untouched.

A field that stands twice is refused: whoever reads the other one would see a request that was never bounded.
"""

from __future__ import annotations

import json
import re
from typing import Annotated, Any

import msgspec

from metering.errors import RequestShapeError
from metering.limits import cap_field_of
from metering.rates import tier_to_quote

CHOICES_MAX = 128
MODEL_CHARS_MAX = 256  # no model's name is longer, and the ledger keeps no longer one
_ABSENT = msgspec.Raw(b"null")
_FREE_CHOICES = frozenset({b'"auto"', b'"none"'})
_AT = re.compile(r" - at `\$\.?(?P<param>[^`]*)`$")
# A server that reads these as well would pass over the cap, or the number of answers, that was held.
_OTHER_NAMES = {
    "max_output_tokens": "max_completion_tokens",
    "max_new_tokens": "max_tokens",
    "max_tokens_to_sample": "max_tokens",
    "n_predict": "max_tokens",
    "num_generations": "n",
    "num_return_sequences": "n",
    "candidate_count": "n",
}
_Cap = Annotated[int, msgspec.Meta(ge=1, le=2**31)]
ModelName = Annotated[str, msgspec.Meta(max_length=MODEL_CHARS_MAX)]


class StreamOptions(msgspec.Struct, frozen=True):
    """Of ``stream_options``: whether the stream ends with its usage."""

    include_usage: bool | None = None


class ChatRequest(msgspec.Struct, frozen=True):
    """What the bound and the cap of a chat request depend on. ``body_bytes`` is set by ``decode_chat`` alone."""

    model: ModelName
    messages: list[msgspec.Raw]
    max_tokens: _Cap | None = None
    max_completion_tokens: _Cap | None = None
    n: Annotated[int, msgspec.Meta(ge=1, le=CHOICES_MAX)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    tools: msgspec.Raw = _ABSENT
    functions: msgspec.Raw = _ABSENT
    tool_choice: msgspec.Raw = _ABSENT
    function_call: msgspec.Raw = _ABSENT
    response_format: msgspec.Raw = _ABSENT
    modalities: list[str] | None = None
    audio: msgspec.Raw = _ABSENT
    service_tier: str | None = None
    # What has a price or a size that nobody knows before the call, see UNBOUNDED in metering.chat_bound.
    prediction: msgspec.Raw = _ABSENT
    web_search_options: msgspec.Raw = _ABSENT
    search_parameters: msgspec.Raw = _ABSENT
    plugins: msgspec.Raw = _ABSENT
    models: msgspec.Raw = _ABSENT
    chat_template: msgspec.Raw = _ABSENT
    best_of: msgspec.Raw = _ABSENT
    cache_control: msgspec.Raw = _ABSENT
    data_sources: msgspec.Raw = _ABSENT
    enable_search: msgspec.Raw = _ABSENT
    extra_body: msgspec.Raw = _ABSENT
    preset: msgspec.Raw = _ABSENT
    deferred: msgspec.Raw = _ABSENT
    documents: msgspec.Raw = _ABSENT  # some servers put them before the messages
    # Other servers' names for what stands above, see _OTHER_NAMES.
    max_output_tokens: msgspec.Raw = _ABSENT
    max_new_tokens: msgspec.Raw = _ABSENT
    max_tokens_to_sample: msgspec.Raw = _ABSENT
    n_predict: msgspec.Raw = _ABSENT
    num_generations: msgspec.Raw = _ABSENT
    num_return_sequences: msgspec.Raw = _ABSENT
    candidate_count: msgspec.Raw = _ABSENT
    # What bounds thinking where the output cap does not, see ``cap_leaves_out`` in data/providers.toml.
    reasoning: msgspec.Raw = _ABSENT
    enable_thinking: bool | None = None
    thinking_budget: Annotated[int, msgspec.Meta(ge=0)] | None = None
    body_bytes: int = 0

    @property
    def choices(self) -> int:
        """How many answers are asked for."""
        return self.n or 1

    @property
    def include_usage(self) -> bool:
        """Whether the caller asked for usage at the end of its stream."""
        return bool(self.stream_options and self.stream_options.include_usage)

    @property
    def cap_field(self) -> str:
        """The spelling to write an output cap in: the caller's, else the one the model takes."""
        if self.max_completion_tokens is not None:
            return "max_completion_tokens"
        return "max_tokens" if self.max_tokens is not None else cap_field_of(self.model)

    @property
    def answer_type(self) -> str:
        """The type of the answer's format: ``json_schema``, ``json_object``, ``text`` or "" where none is named."""
        if not is_given(self.response_format):
            return ""
        named = parse_unique(self.response_format, "response_format")
        kind = named.get("type", "") if isinstance(named, dict) else ""
        return kind if isinstance(kind, str) else ""

    @property
    def forces_tool(self) -> bool:
        """Whether the answer must be a tool call."""
        return any(
            is_given(raw) and bytes(raw) not in _FREE_CHOICES
            for raw in (self.tool_choice, self.function_call)
        )

    @property
    def forgoes_thinking(self) -> bool:
        """Whether thinking is switched off, by Alibaba's field or OpenRouter's. Raises: RequestShapeError."""
        if not is_given(self.reasoning):
            return self.enable_thinking is False
        reasoning = parse_unique(self.reasoning, "reasoning")
        if not isinstance(reasoning, dict):
            raise RequestShapeError("reasoning must be an object", "reasoning")
        return reasoning.get("enabled") is False or reasoning.get("effort") == "none"

    @property
    def wants_audio(self) -> bool:
        """Whether the answer is to be spoken."""
        return "audio" in (self.modalities or ()) or is_given(self.audio)

    @property
    def quoted_tier(self) -> str:
        """The service tier to quote at. Raises: RequestShapeError for one that nobody knows."""
        return tier_to_quote(self.service_tier, "service_tier")


_requests = msgspec.json.Decoder(ChatRequest)
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
_NAMES = frozenset(field.encode_name for field in msgspec.structs.fields(ChatRequest))


def decode_chat(body: bytes) -> ChatRequest:
    """Read a chat request's body. Raises: RequestShapeError, naming the field where known."""
    try:
        request = _requests.decode(body)
        refuse_twice(body, _NAMES)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise shape_error(error, "chat request") from error
    if not request.model:
        raise RequestShapeError("you must provide a model", "model")
    if not request.messages:
        raise RequestShapeError("messages must have at least one message", "messages")
    for name, ours in _OTHER_NAMES.items():
        if is_given(getattr(request, name)):
            raise RequestShapeError(f"chat completions take {ours}, not {name}", name)
    if request.max_tokens is not None and request.max_completion_tokens is not None:
        raise RequestShapeError(
            "setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported", "max_tokens"
        )
    msgspec.structs.force_setattr(request, "body_bytes", len(body))  # whatever the body called so itself
    return request


def is_given(raw: msgspec.Raw) -> bool:
    """Tell whether a field was given: absent and null are alike."""
    return raw is not _ABSENT and bytes(raw) != b"null"


def refuse_twice(body: bytes, names: frozenset[str] = frozenset()) -> None:
    """Refuse a body in which a field stands twice, or one of ``names`` in other letters.

    Some servers read names whatever their case (Go's do), so ``N`` could ask them for answers that nobody counted.
    Raises: RequestShapeError; msgspec.DecodeError where the body is no object.
    """
    fields = _fields.decode(body)
    for name in fields.keys() - names:
        if name.casefold() in names:
            raise RequestShapeError(f"the field {name!r} must be written {name.casefold()!r}", name)
    if not _is_what_it_seems(body, fields):
        parse_unique(body, None)


def parse_unique(content: bytes | msgspec.Raw, param: str | None) -> Any:
    """Parse JSON whose objects name no field twice. Raises: RequestShapeError."""
    try:
        return json.loads(bytes(content), object_pairs_hook=_unique)
    except RequestShapeError:
        raise
    except (ValueError, RecursionError) as error:
        raise RequestShapeError(f"{param or 'the body'} is no valid JSON: {error}", param) from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise RequestShapeError(f"the field {twice!r} is given twice", twice)
    return fields


def _is_what_it_seems(body: bytes, fields: dict[str, msgspec.Raw]) -> bool:
    """Tell cheaply that no field stands twice, by writing the fields out again in the two usual ways of spacing."""
    pairs = [(name.encode(), bytes(raw)) for name, raw in fields.items()]
    return any(
        body == b"{" + comma.join(b'"%b"%b%b' % (name, colon, raw) for name, raw in pairs) + b"}"
        for comma, colon in ((b",", b":"), (b", ", b": "))
    )


def shape_error(error: Exception, kind: str) -> RequestShapeError:
    """Say what is wrong with a body that is no request of its kind, naming the field where the decoder does."""
    at = _AT.search(str(error))
    if at is None:
        return RequestShapeError(f"the body is no {kind}: {error}")
    return RequestShapeError(str(error)[: at.start()], at["param"] or None)
