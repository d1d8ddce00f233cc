"""Which dialect serves a route: denied by default, and an unknown route is answered in words its clients know."""

from __future__ import annotations

from proxy.errors import Refusal
from proxy.providers.anthropic import AnthropicCount, AnthropicMessages
from proxy.providers.base import Dialect, ErrorShape
from proxy.providers.openai import OpenAIChat

# Official clients of Anthropic are given a base URL with or without a path of its own.
DIALECTS: dict[tuple[str, str], Dialect] = {
    ("POST", "/v1/chat/completions"): OpenAIChat(),
    ("POST", "/v1/messages"): AnthropicMessages(),
    ("POST", "/anthropic/v1/messages"): AnthropicMessages(),
    ("POST", "/v1/messages/count_tokens"): AnthropicCount(),
    ("POST", "/anthropic/v1/messages/count_tokens"): AnthropicCount(),
}
# Routes that official clients know and a later version serves; until then they are refused like any other.
COMING = (
    *("/v1/responses", "/v1/completions", "/v1/embeddings", "/v1/images/", "/v1/audio/", "/v1/moderations"),
    *("/v1/messages/batches", "/anthropic/v1/messages/batches", "/anthropic/v1/models", "/gemini/"),
)
PREFIXES = ("/v1/", "/anthropic/", "/gemini/")
_ANTHROPIC = ("/anthropic/", "/v1/messages")


def find_dialect(method: str, path: str, query: bytes) -> Dialect:
    """Return the dialect that serves a route. Raises: Refusal ``unsupported_route``, saying what is served."""
    dialect = DIALECTS.get((method, path))
    if dialect is not None:
        return dialect
    if path.startswith(COMING):
        raise Refusal(
            "unsupported_route", f"{method} {path} is not served yet; a later version of Farebox will"
        )
    served = ", ".join(f"{verb} {known}" for verb, known in DIALECTS)
    raise Refusal(
        "unsupported_route", f"{method} {path} is not served here; served are {served}, GET /v1/models"
    )


def errors_of(path: str) -> ErrorShape:
    """How errors are written on a path, also on one that is not served: a client knows one dialect alone."""
    return AnthropicMessages.errors if path.startswith(_ANTHROPIC) else OpenAIChat.errors
