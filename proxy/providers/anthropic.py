"""Anthropic's Messages, and the counting of their tokens, which Anthropic does for nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from enforcement.policies import TenantPolicy
from metering.allowances import Allowances
from metering.anthropic import (
    MessagesRequest,
    bound_messages,
    decode_messages,
    estimate_messages_output,
    messages_cap_for,
)
from metering.anthropic_request import decode_counted_model
from metering.limits import limits_for
from metering.quote import InputBound, OutputCap
from proxy.bodies import edited, picked
from proxy.providers.anthropic_answers import MessagesTap, read_answer
from proxy.providers.anthropic_errors import AnthropicErrors
from proxy.providers.base import CountingRequest, Prepared, Report, Traits, Verdict, forwarded
from proxy.providers.count_calls import CountCall
from proxy.providers.counts import changes_elsewhere, read_input_tokens

# The API's version where the caller names none. Source: Anthropic's "Versions", read to 2026-11.
VERSION = "2023-06-01"
FORWARDED_HEADERS = frozenset((b"anthropic-version", b"anthropic-beta", b"accept-language"))

# What each error says about the bill. Source: Anthropic's API reference, "Errors", read to 2026-11.
VERDICTS: Mapping[int, Verdict] = {
    400: Verdict.NOT_BILLED,
    402: Verdict.NOT_BILLED,  # the account is out of credit
    413: Verdict.NOT_BILLED,
    429: Verdict.NOT_BILLED,
    500: Verdict.AMBIGUOUS,  # an internal error, at whatever point
    503: Verdict.NOT_BILLED,
    504: Verdict.AMBIGUOUS,  # timed out while it was being worked on
    529: Verdict.NOT_BILLED,  # overloaded
}
_TRAITS = Traits(verdicts=VERDICTS)
COUNTING_PATH = "/v1/messages/count_tokens"
# What a prompt is made of; the endpoint takes no other field. Source: Anthropic's API reference, "Count tokens in a
# Message", read 2026-11-21.
COUNTED_FIELDS = frozenset(
    (
        *("model", "messages", "system", "tools", "tool_choice", "thinking", "cache_control", "mcp_servers"),
        *("context_management", "output_config", "output_format", "speed"),
    )
)


class MessagesCall:
    """One decoded Messages request."""

    __slots__ = ("_body", "_request", "model", "service_tier", "stream")
    is_free = False

    def __init__(self, request: MessagesRequest, body: bytes) -> None:
        self._request = request
        self._body = body
        self.model = request.model
        self.service_tier = request.quoted_tier
        self.stream = bool(request.stream)

    def bound(self, model: str, *, provider: str, allowances: Allowances) -> InputBound:
        """Bound the prompt. Raises: Uncountable."""
        return bound_messages(self._as(model), provider=provider, allowances=allowances)

    def cap(self, model: str, *, provider: str, policy: TenantPolicy) -> OutputCap:
        """Choose the output cap, thinking included, never over the model's ceiling."""
        limits = limits_for(model, provider)
        return messages_cap_for(
            self._as(model),
            ceiling=limits.output_tokens_max if limits else None,
            default_plain=policy.output_cap_plain,
            default_reasoning=policy.output_cap_reasoning,
            minimum=policy.output_minimum,
        )

    def prepare(self, *, model: str, cap_tokens: int, traits: Traits) -> Prepared:
        """Write what is sent upstream: the caller's own bytes unless a field must change."""
        changes: dict[str, object] = {}
        if model != self._request.model:
            changes["model"] = model
        if self._request.max_tokens != cap_tokens:
            changes["max_tokens"] = cap_tokens
        return Prepared(edited(self._body, changes), strip_usage=False)

    def count(self, model: str, report: Report) -> int:
        """Count the output tokens behind what was relayed, for an estimate."""
        return estimate_messages_output(report.text, tool_calls=report.tool_calls)

    def hides_output(self, model: str) -> bool:
        """Whether the model thinks unseen, so that relayed text says little about what was generated."""
        return self._as(model).thinks

    def counting(self, model: str, traits: Traits) -> CountingRequest | None:
        """What to ask Anthropic for the count of this prompt: the fields that make it up."""
        if changes_elsewhere(self._body):
            return None
        fields = picked(self._body, COUNTED_FIELDS)
        return CountingRequest(COUNTING_PATH, edited(fields, {"model": model}))

    def read_count(self, body: bytes) -> int:
        """Read a count, in tokens. Raises: UsageError for what is none."""
        return read_input_tokens(body)

    def bound_counted(
        self, model: str, counted_tokens: int, *, provider: str, allowances: Allowances
    ) -> InputBound:
        """Bound the prompt by Anthropic's count. Raises: Uncountable for what no count covers."""
        return bound_messages(
            self._as(model), provider=provider, allowances=allowances, counted_tokens=counted_tokens
        )

    def _as(self, model: str) -> MessagesRequest:
        request = self._request
        return request if model == request.model else msgspec.structs.replace(request, model=model)


class AnthropicMessages:
    """The dialect of ``POST /v1/messages``."""

    name = "anthropic"
    _path = "/v1/messages"
    errors = AnthropicErrors()

    def decode(self, body: bytes) -> MessagesCall:
        """Read a request. Raises: RequestShapeError."""
        return MessagesCall(decode_messages(body), body)

    def traits_of(self, provider: str) -> Traits:
        """What is peculiar to a provider."""
        return _TRAITS

    def path_for(self, model: str, traits: Traits) -> str:
        """What follows an account's base URL."""
        return self._path

    def upstream_headers(
        self, credential: str, sent: Iterable[tuple[bytes, bytes]], traits: Traits
    ) -> list[tuple[str, str]]:
        """How a credential is presented, and what of the caller's own headers goes on."""
        return headers_for(credential, sent)

    def tap(self, *, strip_usage: bool, traits: Traits) -> MessagesTap:
        """Make a listener for one stream."""
        return MessagesTap()

    def read_answer(self, body: bytes, traits: Traits) -> Report:
        """Read a whole answer."""
        return read_answer(body)


class AnthropicCount:
    """The dialect of ``POST /v1/messages/count_tokens``."""

    name = "anthropic"
    _path = COUNTING_PATH
    errors = AnthropicErrors()

    def decode(self, body: bytes) -> CountCall:
        """Read a request. Raises: RequestShapeError."""
        return CountCall(decode_counted_model(body), body)

    def traits_of(self, provider: str) -> Traits:
        """What is peculiar to a provider."""
        return _TRAITS

    def path_for(self, model: str, traits: Traits) -> str:
        """What follows an account's base URL."""
        return self._path

    def upstream_headers(
        self, credential: str, sent: Iterable[tuple[bytes, bytes]], traits: Traits
    ) -> list[tuple[str, str]]:
        """How a credential is presented, and what of the caller's own headers goes on."""
        return headers_for(credential, sent)

    def tap(self, *, strip_usage: bool, traits: Traits) -> MessagesTap:
        """Make a listener, for a provider that answers with a stream although none was asked for."""
        return MessagesTap()

    def read_answer(self, body: bytes, traits: Traits) -> Report:
        """Read no usage out of a count: it is an answer, not a bill."""
        return Report()


def headers_for(credential: str, sent: Iterable[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    """Present a credential as Anthropic takes it, with the version and the betas that the caller names."""
    headers = forwarded(sent, FORWARDED_HEADERS)
    if not any(name == "anthropic-version" for name, _ in headers):
        headers.append(("anthropic-version", VERSION))
    if credential:
        headers.append(("x-api-key", credential))
    return headers
