"""What the pipeline knows of a provider: the seam every dialect fills, and what an upstream's end means, as data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol, runtime_checkable

from enforcement.policies import TenantPolicy
from metering.allowances import Allowances
from metering.quote import InputBound, OutputCap
from metering.usage import Usage
from proxy.asgi import Headers
from proxy.errors import Refusal


class Verdict(StrEnum):
    """What an answer's status says about the bill."""

    ANSWERED = "answered"  # usage decides
    NOT_BILLED = "not_billed"  # refused before anything was generated
    AMBIGUOUS = "ambiguous"  # it may have been billed: never a silent refund


@dataclass(frozen=True, slots=True)
class Traits:
    """What is peculiar to one provider of a dialect."""

    # The field for an output cap where the caller named none; empty = as the model is known to take it.
    cap_field: str = ""
    # Whether `stream_options.include_usage` may be sent; some refuse fields they do not know, and report usage anyway.
    takes_stream_options: bool = True
    # How a credential is presented, and what follows an account's base URL; metering/data/providers.toml says for whom.
    credential: str = "authorization: Bearer {key}"
    path: str = "{route}"
    query: str = ""
    # Models whose thinking its output cap leaves out, as a pattern, and the field that bounds it.
    cap_leaves_out: str = ""
    thinking_field: str = ""
    # Whether llama.cpp's own counters stand in for usage, and what stands in the total of the counters alone.
    reads_timings: bool = False
    total_beyond: str = ""
    # Whether each chunk of a stream tells usage so far, so that one which breaks off has not told its output.
    usage_runs: bool = False
    # Content types that an answer comes under piece by piece, by how they begin.
    stream_types: tuple[str, ...] = ("text/event-stream",)
    # Statuses that mean something else here than by default.
    verdicts: Mapping[int, Verdict] = field(default_factory=dict)


# By default a 4xx was refused before generating; these were not, or may not have been.
VERDICTS: Mapping[int, Verdict] = {
    408: Verdict.AMBIGUOUS,  # the provider gave up on a request it may have been working on
    499: Verdict.AMBIGUOUS,
    500: Verdict.AMBIGUOUS,
    502: Verdict.AMBIGUOUS,
    503: Verdict.NOT_BILLED,  # no capacity
    504: Verdict.AMBIGUOUS,
    524: Verdict.AMBIGUOUS,  # the provider's edge gave up waiting
    529: Verdict.NOT_BILLED,  # overloaded
}


def verdict_of(status: int, traits: Traits) -> Verdict:
    """Tell what a status means for the bill; an unknown 5xx is in doubt."""
    if 200 <= status < 300:
        return Verdict.ANSWERED
    known = traits.verdicts.get(status) or VERDICTS.get(status)
    if known is not None:
        return known
    return Verdict.AMBIGUOUS if status >= 500 else Verdict.NOT_BILLED


def forwarded(sent: Iterable[tuple[bytes, bytes]], names: frozenset[bytes]) -> list[tuple[str, str]]:
    """Pick the caller's headers that a provider may see; credentials are never among them."""
    return [(name.decode(), value.decode("latin-1")) for name, value in sent if name in names]


@dataclass(slots=True)
class Report:
    """What an answer told us: the provider's usage where it gave one, and what was relayed."""

    usage: Usage | None = None
    impossible: str = ""  # why a usage that was given cannot be true
    prompt: Usage | None = None  # the prompt's side alone, where that much is certain and the whole is not
    elsewhere: tuple[tuple[str, Usage], ...] = ()  # what other models were billed for within this call
    service_tier: str = ""  # as the provider names the tier it billed; empty where it does not say
    text: str = ""
    tool_calls: int = 0
    thought: bool = False  # it was seen to think, so what it showed says little about what it generated
    response_model: str = ""
    error_inside: bool = False  # an error came inside an answer with status 200


@dataclass(frozen=True, slots=True)
class Prepared:
    """What is sent upstream, and whether usage was asked for that the caller did not ask for."""

    body: bytes
    strip_usage: bool


class Call(Protocol):
    """A decoded request of any dialect."""

    @property
    def model(self) -> str:
        """The model as the caller named it."""

    @property
    def stream(self) -> bool:
        """Whether the caller wants a stream."""

    @property
    def service_tier(self) -> str:
        """The dearer service tier to quote at; empty for the standard one."""

    @property
    def is_free(self) -> bool:
        """Whether the provider bills nothing for it, whatever it answers."""

    def bound(self, model: str, *, provider: str, allowances: Allowances) -> InputBound:
        """Bound the prompt; an allowance stands for a part that has no bound. Raises: Uncountable."""

    def cap(self, model: str, *, provider: str, policy: TenantPolicy) -> OutputCap:
        """Choose the output cap per choice, never over the model's ceiling."""

    def prepare(self, *, model: str, cap_tokens: int, traits: Traits) -> Prepared:
        """Write what is sent upstream: the caller's own bytes unless a field must change."""

    def count(self, model: str, report: Report) -> int:
        """Count the output tokens behind what was relayed, for an estimate."""

    def hides_output(self, model: str) -> bool:
        """Whether the model thinks unseen, so that relayed text says little about what was generated."""


@dataclass(frozen=True, slots=True)
class CountingRequest:
    """What a provider counts for nothing: where it is asked, and the part of the body that is taken there."""

    path: str
    body: bytes


@runtime_checkable
class Countable(Protocol):
    """A call whose prompt its provider may count for nothing; any other is bounded here alone."""

    def counting(self, model: str, traits: Traits) -> CountingRequest | None:
        """What to ask for the count of this prompt; None where there is nothing to ask."""

    def read_count(self, body: bytes) -> int:
        """Read a count, in tokens. Raises: UsageError for what is none."""

    def bound_counted(
        self, model: str, counted_tokens: int, *, provider: str, allowances: Allowances
    ) -> InputBound:
        """Bound the prompt by its provider's count. Raises: Uncountable for what no count covers."""


class Tap(Protocol):
    """Listens to a stream on its way through and takes out what the caller did not ask for."""

    def feed(self, chunk: bytes) -> bytes:
        """Take a chunk from upstream, return what goes to the caller now."""

    def finish(self) -> bytes:
        """Return what is still kept back at the end of the stream."""

    def report(self) -> Report:
        """Tell what the stream said so far."""


class ErrorShape(Protocol):
    """How a dialect writes an error, so that its official clients raise their own typed ones."""

    def body(self, refusal: Refusal, *, request_id: str, docs_url: str) -> bytes:
        """Write a refusal as a document."""

    def event(self, body: bytes) -> bytes:
        """Write an error's document as the last event of a stream that has begun."""

    def id_headers(self, request_id: str) -> Headers:
        """Where the dialect's clients look for the id of a request that was refused."""


class Dialect(Protocol):
    """Everything that differs between OpenAI, Anthropic and Gemini on the way of one request."""

    @property
    def errors(self) -> ErrorShape:
        """How errors are written."""

    @property
    def name(self) -> str:
        """The dialect as provider accounts name it."""

    def decode(self, body: bytes) -> Call:
        """Read a request. Raises: RequestShapeError."""

    def traits_of(self, provider: str) -> Traits:
        """What is peculiar to a provider."""

    def path_for(self, model: str, traits: Traits) -> str:
        """What follows an account's base URL, query included, for a model as the account knows it."""

    def upstream_headers(
        self, credential: str, sent: Iterable[tuple[bytes, bytes]], traits: Traits
    ) -> list[tuple[str, str]]:
        """How a credential is presented, and what of the caller's own headers goes on."""

    def tap(self, *, strip_usage: bool, traits: Traits) -> Tap:
        """Make a listener for one stream."""

    def read_answer(self, body: bytes, traits: Traits) -> Report:
        """Read a whole answer."""
