"""The OpenAI chat dialect's token rules: read a request, bound its prompt, work out its output cap."""

from __future__ import annotations

from metering.chat_bound import bound_chat
from metering.chat_request import ChatRequest, decode_chat
from metering.output_cap import output_cap_for

__all__ = ["ChatRequest", "bound_chat", "decode_chat", "output_cap_for"]
