"""Anthropic's Messages dialect: read a request, bound its prompt, work out its output cap, decompose its usage."""

from __future__ import annotations

from metering.anthropic_bound import bound_messages
from metering.anthropic_output import estimate_messages_output, messages_cap_for
from metering.anthropic_request import MessagesRequest, decode_messages
from metering.usage_anthropic import (
    merge_reports,
    prompt_from_stream,
    usage_elsewhere,
    usage_from_anthropic,
    usage_from_stream,
)

__all__ = [
    "MessagesRequest",
    "bound_messages",
    "decode_messages",
    "estimate_messages_output",
    "merge_reports",
    "messages_cap_for",
    "prompt_from_stream",
    "usage_elsewhere",
    "usage_from_anthropic",
    "usage_from_stream",
]
