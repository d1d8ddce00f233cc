"""Gemini's methods, whose model and verb stand in the path: a dialect is made for each request."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple
from urllib.parse import parse_qsl, quote

from proxy.errors import Refusal
from proxy.providers.base import Call, Report, Tap, Traits, Verdict, forwarded
from proxy.providers.gemini_answers import ArrayTap, EventTap, read_answer
from proxy.providers.gemini_calls import MODELS, CountCall, EmbedCall, GenerateCall
from proxy.providers.gemini_errors import ArrayErrors, GeminiErrors

CREDENTIAL = "x-goog-api-key"
FORWARDED_HEADERS = frozenset((b"x-goog-api-client", b"x-server-timeout", b"accept-language"))
EXAMPLES = tuple(
    ("POST", f"/gemini/{version}/models/canary:{method}")
    for version in ("v1beta", "v1")
    for method in (
        *("generateContent", "streamGenerateContent", "countTokens", "embedContent", "batchEmbedContents"),
    )
)
_PATH = re.compile(r"/gemini/(v1|v1beta|v1alpha)/models/([^?#\s]+):([A-Za-z]+)")
_TUNED = "tunedModels/"

# What each error says about the bill. Source: Google's "Troubleshooting guide" of the Gemini API, read 2026-11-21.
VERDICTS: Mapping[int, Verdict] = {
    400: Verdict.NOT_BILLED,
    403: Verdict.NOT_BILLED,
    404: Verdict.NOT_BILLED,
    429: Verdict.NOT_BILLED,
    500: Verdict.AMBIGUOUS,  # something unexpected, at whatever point
    503: Verdict.NOT_BILLED,  # overloaded
    504: Verdict.AMBIGUOUS,  # the deadline passed while it was being worked on
}
_EVENTS = Traits(verdicts=VERDICTS)
# Without `alt=sse` a stream is one JSON array, whose content type is that of any answer.
_ARRAY = Traits(verdicts=VERDICTS, stream_types=("text/event-stream", "application/json"))


class Route(NamedTuple):
    """What a path and its query ask for."""

    version: str
    model: str
    method: str
    is_sse: bool = False


class GeminiDialect:
    """The dialect of one request."""

    name = "gemini"

    def __init__(self, route: Route) -> None:
        """Serve this route."""
        self._route = route
        self._is_array = route.method == "streamGenerateContent" and not route.is_sse
        self._array_errors = ArrayErrors()

    @property
    def errors(self) -> GeminiErrors:
        """How errors are written: as an event, or as the last element of an array."""
        return self._array_errors if self._is_array else ERRORS

    def decode(self, body: bytes) -> Call:
        """Read a request. Raises: RequestShapeError."""
        route = self._route
        match route.method:
            case "countTokens":
                return CountCall(body, route.model)
            case "embedContent":
                return EmbedCall(body, route.model, needed="content")
            case "batchEmbedContents":
                return EmbedCall(body, route.model, needed="requests")
            case _:
                return GenerateCall(body, route.model, stream=route.method == "streamGenerateContent")

    def traits_of(self, provider: str) -> Traits:
        """What is peculiar to a provider."""
        return _ARRAY if self._is_array else _EVENTS

    def path_for(self, model: str, traits: Traits) -> str:
        """What follows an account's base URL, for a model as the account knows it."""
        folder = _TUNED if model.startswith(_TUNED) else MODELS
        path = f"/{self._route.version}/{folder}{quote(model.removeprefix(folder), safe='')}:{self._route.method}"
        return f"{path}?alt=sse" if self._route.is_sse else path

    def upstream_headers(
        self, credential: str, sent: Iterable[tuple[bytes, bytes]], traits: Traits
    ) -> list[tuple[str, str]]:
        """How a credential is presented, and what of the caller's own headers goes on."""
        presented = [(CREDENTIAL, credential)] if credential else []
        return presented + forwarded(sent, FORWARDED_HEADERS)

    def tap(self, *, strip_usage: bool, traits: Traits) -> Tap:
        """Make a listener for one stream."""
        if self._is_array:
            return ArrayTap(self._route.model, self._array_errors)
        return EventTap(self._route.model)

    def read_answer(self, body: bytes, traits: Traits) -> Report:
        """Read a whole answer; a count of tokens is an answer, not a bill."""
        return Report() if self._route.method == "countTokens" else read_answer(body, self._route.model)


def find_gemini(method: str, path: str, query: bytes) -> GeminiDialect | None:
    """Return the dialect of a path of Gemini's, or None for another's. Raises: Refusal for an unusable query."""
    found = _PATH.fullmatch(path) if method == "POST" else None
    if found is None or found[3] not in METHODS:
        return None
    account, slash, rest = found[2].partition("/")
    if slash and account == "models":
        account, slash, rest = rest, "", ""
    model = f"{account}/{rest.removeprefix(MODELS)}" if slash else account
    return GeminiDialect(Route(found[1], model, found[3], is_sse=_wants_events(query, found[3])))


def _wants_events(query: bytes, method: str) -> bool:
    """Tell whether server-sent events were asked for. Raises: Refusal for what would hide the usage."""
    for name, value in _options(query):
        if name in ("fields", "$fields"):
            raise Refusal("invalid_request", f"{name} may leave the usage out of the answer", param=name)
        if name in ("alt", "$alt") and value not in ("sse", "json", ""):
            raise Refusal("invalid_request", f"alt={value} is not served: sse and json are", param="alt")
    asked = dict(_options(query))
    return method == "streamGenerateContent" and "sse" in (asked.get("alt"), asked.get("$alt"))


def _options(query: bytes) -> list[tuple[str, str]]:
    return parse_qsl(query.decode("latin-1"), keep_blank_values=True)


METHODS = frozenset(path.rpartition(":")[2] for _, path in EXAMPLES)
ERRORS = GeminiErrors()
