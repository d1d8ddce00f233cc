"""OpenAI's Responses, the compaction of their conversations, and the counting of their input, which is for nothing."""

from __future__ import annotations

import msgspec

from enforcement.policies import TenantPolicy
from metering.allowances import Allowances
from metering.chat_request import is_given
from metering.limits import is_reasoning, limits_for
from metering.quote import InputBound, OutputCap, bound_by_count
from metering.responses_bound import CALLS_DEFAULT, bound_responses
from metering.responses_output import responses_cap_for
from metering.responses_request import (
    ResponsesRequest,
    decode_compact,
    decode_input_tokens_model,
    decode_responses,
)
from metering.responses_tools import runs_tools
from metering.tokens import UNSEEN_TOKENS_PER_TOOL_CALL, encoding_for, estimate_output
from proxy.bodies import edited, picked
from proxy.providers.base import CountingRequest, Prepared, Report, Traits
from proxy.providers.count_calls import CountCall
from proxy.providers.counts import changes_elsewhere, read_input_tokens
from proxy.providers.openai_wire import OpenAIWire
from proxy.providers.responses_answers import ResponsesTap, read_answer

_PLAIN = Traits()
COUNTING_PATH = "/responses/input_tokens"
# What a prompt is made of; the endpoint takes no other field. Source: OpenAI's API reference, "Get input token counts",
# read 2026-11-21.
COUNTED_FIELDS = frozenset(
    (
        *(
            "model",
            "input",
            "instructions",
            "tools",
            "tool_choice",
            "parallel_tool_calls",
            "text",
            "reasoning",
        ),
        *("previous_response_id", "conversation", "truncation"),
    )
)


class ResponsesCall:
    """One decoded Responses request, or one to compact a conversation."""

    __slots__ = ("_body", "_request", "model", "service_tier", "stream")
    is_free = False

    def __init__(self, request: ResponsesRequest, body: bytes) -> None:
        self._request = request
        self._body = body
        self.model = request.model
        self.service_tier = request.quoted_tier
        self.stream = bool(request.stream)

    def bound(self, model: str, *, provider: str, allowances: Allowances) -> InputBound:
        """Bound the prompt. Raises: Uncountable."""
        return bound_responses(self._as(model), provider=provider, allowances=allowances)

    def cap(self, model: str, *, provider: str, policy: TenantPolicy) -> OutputCap:
        """Choose the output cap, never over the model's ceiling. Raises: Uncountable."""
        limits = limits_for(model, provider)
        return responses_cap_for(
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
        if request.max_output_tokens != cap_tokens and not request.compacts:
            changes["max_output_tokens"] = cap_tokens
        if request.max_tool_calls is None and runs_tools(request.tools):
            changes["max_tool_calls"] = CALLS_DEFAULT
        return Prepared(edited(self._body, changes), strip_usage=False)

    def count(self, model: str, report: Report) -> int:
        """Count the output tokens behind what was relayed, for an estimate."""
        unseen = report.tool_calls * UNSEEN_TOKENS_PER_TOOL_CALL
        return estimate_output(report.text, encoding_for(model)) + unseen

    def hides_output(self, model: str) -> bool:
        """Whether the model thinks unseen, or writes what only the provider can read."""
        return is_reasoning(model) or self._request.compacts

    def counting(self, model: str, traits: Traits) -> CountingRequest | None:
        """What to ask OpenAI for the count of this prompt.

        None where it is served by other paths, or compacted, and where the prompt is not in the request: a conversation
        may have grown by the time of the call, and a prompt that is kept there the endpoint does not take.
        """
        request = self._request
        if request.compacts or traits.path != _PLAIN.path or traits.query:
            return None
        if is_given(request.conversation) or is_given(request.prompt) or changes_elsewhere(self._body):
            return None
        fields = picked(self._body, COUNTED_FIELDS)
        return CountingRequest(COUNTING_PATH, edited(fields, {"model": model}))

    def read_count(self, body: bytes) -> int:
        """Read a count, in tokens. Raises: UsageError for what is none."""
        return read_input_tokens(body)

    def bound_counted(
        self, model: str, counted_tokens: int, *, provider: str, allowances: Allowances
    ) -> InputBound:
        """Bound the prompt by OpenAI's count. Raises: Uncountable."""
        return bound_by_count(self.bound(model, provider=provider, allowances=allowances), counted_tokens)

    def _as(self, model: str) -> ResponsesRequest:
        request = self._request
        return request if model == request.model else msgspec.structs.replace(request, model=model)


class OpenAIResponses(OpenAIWire):
    """The dialect of ``POST /v1/responses``."""

    _path = "/responses"

    def decode(self, body: bytes) -> ResponsesCall:
        """Read a request. Raises: RequestShapeError."""
        return ResponsesCall(decode_responses(body), body)

    def tap(self, *, strip_usage: bool, traits: Traits) -> ResponsesTap:
        """Make a listener for one stream."""
        return ResponsesTap()

    def read_answer(self, body: bytes, traits: Traits) -> Report:
        """Read a whole answer."""
        return read_answer(body)


class OpenAICompact(OpenAIResponses):
    """The dialect of ``POST /v1/responses/compact``: a conversation comes back as something shorter to go on with."""

    _path = "/responses/compact"

    def decode(self, body: bytes) -> ResponsesCall:
        """Read a request. Raises: RequestShapeError."""
        return ResponsesCall(decode_compact(body), body)


class OpenAIInputTokens(OpenAIWire):
    """The dialect of ``POST /v1/responses/input_tokens``."""

    _path = COUNTING_PATH

    def decode(self, body: bytes) -> CountCall:
        """Read a request. Raises: RequestShapeError."""
        return CountCall(decode_input_tokens_model(body), body)

    def tap(self, *, strip_usage: bool, traits: Traits) -> ResponsesTap:
        """Make a listener, for a provider that answers with a stream although none was asked for."""
        return ResponsesTap()

    def read_answer(self, body: bytes, traits: Traits) -> Report:
        """Read no usage out of a count: it is an answer, not a bill."""
        return Report()
