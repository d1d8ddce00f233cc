"""An Anthropic Messages request, read only as far as its bound and its cap need; all else passes through untouched.

A field that stands twice is refused: whoever reads the other one would see a request that was never bounded.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, NamedTuple

import msgspec

from metering.chat_request import ModelName, parse_unique, refuse_twice, shape_error
from metering.errors import RequestShapeError
from metering.limits import is_reasoning
from metering.rates import REGION_PERCENT, tier_to_quote

_ABSENT = msgspec.Raw(b"null")
_EMPTY = frozenset({b"null", b"[]", b"{}"})
_FORCED = frozenset({"any", "tool"})
# Models that think unless told not to. Source: recorded calls without a `thinking` field, read to 2026-11.
_THINKS_UNASKED = re.compile(r".*claude-((opus|sonnet|haiku|fable|mythos)-[5-9]|[5-9]([.-]\d)?-)")


class Thinking(NamedTuple):
    """How much a model is asked to think: ``enabled`` has a budget of tokens, ``adaptive`` has none."""

    mode: str = ""
    budget_tokens: int = 0


class MessagesRequest(msgspec.Struct, frozen=True):
    """What the bound and the cap of a request depend on. ``body_bytes`` is set by ``decode_messages`` alone."""

    model: ModelName
    messages: list[msgspec.Raw]
    max_tokens: Annotated[int, msgspec.Meta(ge=1, le=2**31)] | None = None
    stream: bool | None = None
    system: msgspec.Raw = _ABSENT
    tools: msgspec.Raw = _ABSENT
    tool_choice: msgspec.Raw = _ABSENT
    output_config: msgspec.Raw = _ABSENT
    output_format: msgspec.Raw = _ABSENT
    cache_control: msgspec.Raw = _ABSENT
    raw_thinking: msgspec.Raw = msgspec.field(default=_ABSENT, name="thinking")
    speed: str | None = None
    # What has a price or a size that nobody knows before the call, see UNBOUNDED in metering.anthropic_bound.
    inference_geo: str | None = None
    mcp_servers: msgspec.Raw = _ABSENT
    container: msgspec.Raw = _ABSENT
    fallbacks: msgspec.Raw = _ABSENT
    context_management: msgspec.Raw = _ABSENT
    body_bytes: int = 0

    @property
    def quoted_tier(self) -> str:
        """The tier to quote at: the dearer one, which Anthropic calls its speed, and the region if one is asked for.

        Raises: RequestShapeError for a speed that nobody knows.
        """
        speed = tier_to_quote(self.speed, "speed")
        region = self.inference_geo if self.inference_geo in REGION_PERCENT else ""
        return "-".join(filter(None, (speed, region)))

    @property
    def thinking(self) -> Thinking:
        """How much thinking is asked for. Raises: RequestShapeError."""
        asked = _object(self.raw_thinking, "thinking")
        mode, budget = asked.get("type", ""), asked.get("budget_tokens", 0)
        whole = isinstance(budget, int) and not isinstance(budget, bool) and 0 <= budget <= 2**31
        if not isinstance(mode, str) or not whole:
            raise RequestShapeError("thinking must have a type and a budget of whole tokens", "thinking")
        return Thinking(mode, budget if mode == "enabled" else 0)

    @property
    def thinks(self) -> bool:
        """Whether the model thinks before it answers, so that what it shows says little about what it generates."""
        mode = self.thinking.mode
        if mode:
            return mode != "disabled"
        return is_reasoning(self.model) or _THINKS_UNASKED.match(self.model.lower()) is not None

    @property
    def schema(self) -> Any:
        """The format that the answer must follow; None where there is none."""
        wanted = _object(self.output_config, "output_config").get("format")
        return wanted or parse_unique(self.output_format, "output_format") or None

    @property
    def forces_tool(self) -> bool:
        """Whether the answer must be a tool call."""
        return str(_object(self.tool_choice, "tool_choice").get("type")) in _FORCED


class Named(msgspec.Struct, frozen=True):
    """Of a request that is passed on for nothing: the model it names."""

    model: ModelName


_requests = msgspec.json.Decoder(MessagesRequest)
_named = msgspec.json.Decoder(Named)
_NAMES = frozenset(field.encode_name for field in msgspec.structs.fields(MessagesRequest))


def decode_messages(body: bytes) -> MessagesRequest:
    """Read a Messages request's body. Raises: RequestShapeError, naming the field where known."""
    try:
        request = _requests.decode(body)
        refuse_twice(body, _NAMES)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise shape_error(error, "Messages request") from error
    if not request.model:
        raise RequestShapeError("model: Field required", "model")
    if not request.messages:
        raise RequestShapeError("messages: at least one message is required", "messages")
    assert request.thinking is not None  # read now, so that a malformed one is refused here
    msgspec.structs.force_setattr(request, "body_bytes", len(body))  # whatever the body called so itself
    return request


def decode_counted_model(body: bytes) -> str:
    """Read the model whose tokens are to be counted. Raises: RequestShapeError."""
    try:
        named = _named.decode(body)
        refuse_twice(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise shape_error(error, "request to count tokens") from error
    if not named.model:
        raise RequestShapeError("model: Field required", "model")
    return named.model


def given(raw: msgspec.Raw) -> bool:
    """Whether a field is there and not empty."""
    return len(memoryview(raw)) > len(b"null") or bytes(raw) not in _EMPTY


def _object(raw: msgspec.Raw, param: str) -> dict[str, Any]:
    value = parse_unique(raw, param)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise RequestShapeError(f"{param} must be an object", param)
    return value
