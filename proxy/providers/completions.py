"""OpenAI's older completions, which servers of open models still speak."""

from __future__ import annotations

import msgspec

from enforcement.policies import TenantPolicy
from metering.allowances import Allowances
from metering.completions_bound import bound_completions, completions_cap_for
from metering.completions_request import CompletionsRequest, decode_completions
from metering.limits import is_reasoning, limits_for
from metering.quote import InputBound, OutputCap
from metering.tokens import encoding_for, estimate_output
from proxy.bodies import edited, with_member
from proxy.providers.base import Prepared, Report, Traits
from proxy.providers.openai_answers import ChatTap, read_answer
from proxy.providers.openai_wire import OpenAIWire


class CompletionsCall:
    """One decoded completion request."""

    __slots__ = ("_body", "_request", "model", "service_tier", "stream")
    is_free = False

    def __init__(self, request: CompletionsRequest, body: bytes) -> None:
        self._request = request
        self._body = body
        self.model = request.model
        self.service_tier = request.quoted_tier
        self.stream = bool(request.stream)

    def bound(self, model: str, *, provider: str, allowances: Allowances) -> InputBound:
        """Bound the prompts. Raises: Uncountable."""
        return bound_completions(self._as(model), provider=provider)

    def cap(self, model: str, *, provider: str, policy: TenantPolicy) -> OutputCap:
        """Choose the output cap per answer, never over the model's ceiling."""
        limits = limits_for(model, provider)
        return completions_cap_for(
            self._as(model),
            provider=provider,
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
        if request.max_tokens != cap_tokens:
            changes["max_tokens"] = cap_tokens
        inject = self.stream and traits.takes_stream_options and not request.include_usage
        if inject:
            changes["stream_options"] = with_member(self._body, "stream_options", {"include_usage": True})
        return Prepared(edited(self._body, changes), strip_usage=inject)

    def count(self, model: str, report: Report) -> int:
        """Count the output tokens behind what was relayed, for an estimate."""
        return estimate_output(report.text, encoding_for(model))

    def hides_output(self, model: str) -> bool:
        """Whether answers are thrown away, or thought about, unseen."""
        request = self._request
        return request.answers_per_prompt > (request.n or 1) or is_reasoning(model)

    def _as(self, model: str) -> CompletionsRequest:
        request = self._request
        return request if model == request.model else msgspec.structs.replace(request, model=model)


class OpenAICompletions(OpenAIWire):
    """The dialect of ``POST /v1/completions``."""

    _path = "/completions"

    def decode(self, body: bytes) -> CompletionsCall:
        """Read a request. Raises: RequestShapeError."""
        return CompletionsCall(decode_completions(body), body)

    def tap(self, *, strip_usage: bool, traits: Traits) -> ChatTap:
        """Make a listener for one stream."""
        return ChatTap(strip_usage=strip_usage, traits=traits)

    def read_answer(self, body: bytes, traits: Traits) -> Report:
        """Read a whole answer."""
        return read_answer(body, traits)
