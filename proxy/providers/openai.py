"""OpenAI's chat completions, and the many providers that speak them."""

from __future__ import annotations

import msgspec

from enforcement.policies import TenantPolicy
from metering.allowances import Allowances
from metering.chat_request import is_given, parse_unique
from metering.limits import cap_field_of, is_reasoning, limits_for
from metering.openai_chat import ChatRequest, bound_chat, decode_chat, output_cap_for
from metering.providers import leaves_thinking_out
from metering.quote import InputBound, OutputCap
from metering.tokens import encoding_for, estimate_output
from proxy.bodies import edited, with_member
from proxy.providers.base import Prepared, Report, Traits
from proxy.providers.openai_answers import ChatTap, read_answer
from proxy.providers.openai_wire import OpenAIWire


class ChatCall:
    """One decoded chat request."""

    __slots__ = ("_body", "_request", "model", "service_tier", "stream")
    is_free = False

    def __init__(self, request: ChatRequest, body: bytes) -> None:
        self._request = request
        self._body = body
        self.model = request.model
        self.service_tier = request.quoted_tier
        self.stream = bool(request.stream)

    def bound(self, model: str, *, provider: str, allowances: Allowances) -> InputBound:
        """Bound the prompt. Raises: Uncountable."""
        return bound_chat(self._as(model), provider=provider, allowances=allowances)

    def cap(self, model: str, *, provider: str, policy: TenantPolicy) -> OutputCap:
        """Choose the output cap per choice, never over the model's ceiling."""
        limits = limits_for(model, provider)
        return output_cap_for(
            self._as(model),
            ceiling=limits.output_tokens_max if limits else None,
            default_plain=policy.output_cap_plain,
            default_reasoning=policy.output_cap_reasoning,
            minimum=policy.output_minimum,
        )

    def prepare(self, *, model: str, cap_tokens: int, traits: Traits) -> Prepared:
        """Write what is sent upstream: the caller's own bytes unless a field must change."""
        request = self._request
        changes: dict[str, object] = {}
        if model != request.model:
            changes["model"] = model
        changes.update(_cap_changes(request, cap_tokens, traits.cap_field or cap_field_of(model)))
        if leaves_thinking_out(traits.cap_leaves_out, model) and not request.forgoes_thinking:
            changes.update(_thinking_changes(request, cap_tokens, traits.thinking_field))
        inject = self.stream and traits.takes_stream_options and not request.include_usage
        if inject:
            changes["stream_options"] = with_member(self._body, "stream_options", {"include_usage": True})
        return Prepared(edited(self._body, changes), strip_usage=inject)

    def count(self, model: str, report: Report) -> int:
        """Count the output tokens behind what was relayed, for an estimate."""
        return estimate_output(report.text, encoding_for(model))

    def hides_output(self, model: str) -> bool:
        """Whether the model thinks unseen or speaks, so that relayed text says little about what was generated."""
        return is_reasoning(model) or self._request.wants_audio

    def _as(self, model: str) -> ChatRequest:
        request = self._request
        return request if model == request.model else msgspec.structs.replace(request, model=model)


def _cap_changes(request: ChatRequest, cap_tokens: int, taken: str) -> dict[str, object]:
    """Write the output cap in the caller's spelling, unless the model takes the older one alone."""
    if request.max_completion_tokens is not None and taken == "max_tokens":
        # DeepSeek passes over a spelling it does not know (tried by others, 2026-08): the output would have no cap.
        return {"max_completion_tokens": msgspec.UNSET, "max_tokens": cap_tokens}
    named = request.max_completion_tokens or request.max_tokens
    if named == cap_tokens:
        return {}
    return {request.cap_field if named else taken: cap_tokens}


def _thinking_changes(request: ChatRequest, cap_tokens: int, field: str) -> dict[str, object]:
    """Bound thinking by as much as the answer: its hold has room for both."""
    if field == "thinking_budget":
        stated = request.thinking_budget
        return {field: cap_tokens if stated is None else min(cap_tokens, stated)}
    given = parse_unique(request.reasoning, "reasoning") if is_given(request.reasoning) else {}
    assert isinstance(given, dict), "its bound would have refused it"
    # OpenRouter takes either an effort or a number of tokens.
    stated = given.get("max_tokens")
    tokens = min(cap_tokens, stated) if isinstance(stated, int) else cap_tokens
    kept = {name: value for name, value in given.items() if name != "effort"}
    return {"reasoning": {**kept, "max_tokens": tokens}}


class OpenAIChat(OpenAIWire):
    """The dialect of ``POST /v1/chat/completions``."""

    _path = "/chat/completions"

    def decode(self, body: bytes) -> ChatCall:
        """Read a request. Raises: RequestShapeError."""
        return ChatCall(decode_chat(body), body)

    def tap(self, *, strip_usage: bool, traits: Traits) -> ChatTap:
        """Make a listener for one stream."""
        return ChatTap(strip_usage=strip_usage, traits=traits)

    def read_answer(self, body: bytes, traits: Traits) -> Report:
        """Read a whole answer."""
        return read_answer(body, traits)
