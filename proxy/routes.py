"""Which dialect serves a route: denied by default, and an unknown route is answered in words its clients know."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from proxy.errors import Refusal
from proxy.model_lists import SHAPES
from proxy.providers.anthropic import AnthropicCount, AnthropicMessages
from proxy.providers.base import Dialect, ErrorShape
from proxy.providers.bedrock_errors import BedrockErrors
from proxy.providers.completions import OpenAICompletions
from proxy.providers.embeddings import OpenAIEmbeddings
from proxy.providers.gemini import EXAMPLES as GEMINI_EXAMPLES
from proxy.providers.gemini import find_gemini
from proxy.providers.gemini_errors import GeminiErrors
from proxy.providers.moderations import OpenAIModerations
from proxy.providers.openai import OpenAIChat
from proxy.providers.responses import OpenAICompact, OpenAIInputTokens, OpenAIResponses
from proxy.unserved import why_unserved

Headers = Iterable[tuple[bytes, bytes]]

# Official clients of Anthropic are given a base URL with or without a path of its own.
DIALECTS: dict[tuple[str, str], Dialect] = {
    ("POST", "/v1/chat/completions"): OpenAIChat(),
    ("POST", "/v1/responses"): OpenAIResponses(),
    ("POST", "/v1/responses/compact"): OpenAICompact(),
    ("POST", "/v1/responses/input_tokens"): OpenAIInputTokens(),
    ("POST", "/v1/completions"): OpenAICompletions(),
    ("POST", "/v1/embeddings"): OpenAIEmbeddings(),
    ("POST", "/v1/moderations"): OpenAIModerations(),
    ("POST", "/v1/messages"): AnthropicMessages(),
    ("POST", "/anthropic/v1/messages"): AnthropicMessages(),
    ("POST", "/v1/messages/count_tokens"): AnthropicCount(),
    ("POST", "/anthropic/v1/messages/count_tokens"): AnthropicCount(),
}
# Dialects whose routes name the model: each looks at (method, path, query) and returns itself, or None for another's.
FINDERS: tuple[Callable[[str, str, bytes], Dialect | None], ...] = (find_gemini,)
# What the start-up's canary asks for on routes that FINDERS serve, whose paths stand in no table.
EXAMPLES: tuple[tuple[str, str], ...] = (*GEMINI_EXAMPLES,)

# Lists of models, answered by proxy.models.
LISTS = tuple(SHAPES)

PREFIXES = ("/v1/", "/anthropic/", "/gemini/", "/bedrock/", "/model/", "/openai/deployments/")
_ANTHROPIC = ("/anthropic/", "/v1/messages", "/v1/complete")
_BEDROCK = ("/bedrock/", "/model/")
_GEMINI = "/gemini/"


def find_dialect(method: str, path: str, query: bytes) -> Dialect:
    """Return the dialect that serves a route. Raises: Refusal ``unsupported_route``, saying what is served."""
    dialect = DIALECTS.get((method, path))
    if dialect is not None:
        return dialect
    for find in FINDERS:
        dialect = find(method, path, query)
        if dialect is not None:
            return dialect
    raise Refusal("unsupported_route", f"{method} {path} is not served here: {_why(path)}")


def _why(path: str) -> str:
    known = why_unserved(path)
    if known:
        return known
    posted = ", ".join(f"{verb} {served}" for verb, served in (*DIALECTS, *EXAMPLES))
    listed = ", ".join(f"GET {served}" for served in LISTS)
    return f"it is none of the routes that can be bounded and priced, which are {posted}, {listed}"


def routes_to_prove() -> list[tuple[str, str]]:
    """Every route there is, as method and path, for the canary that must be refused on each."""
    return [*DIALECTS, *EXAMPLES, *(("GET", path) for path in LISTS)]


def errors_of(path: str, headers: Headers = ()) -> ErrorShape:
    """How errors are written on a path, also on one that is not served: a client knows one dialect alone."""
    if path.startswith(_ANTHROPIC) or (path.startswith("/v1/models") and asks_as_anthropic(headers)):
        return AnthropicMessages.errors
    if path.startswith(_GEMINI):
        return _GEMINI_ERRORS
    return _BEDROCK_ERRORS if path.startswith(_BEDROCK) else OpenAIChat.errors


def asks_as_anthropic(headers: Headers) -> bool:
    """Tell whether a request comes from a client of Anthropic's, which names its version on every route."""
    return any(name == b"anthropic-version" for name, _ in headers)


_BEDROCK_ERRORS = BedrockErrors()
_GEMINI_ERRORS = GeminiErrors()
