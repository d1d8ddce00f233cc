"""OpenAI's embeddings, and the many providers that speak them. Vectors pass through as they come, base64 or not."""

from __future__ import annotations

import msgspec

from enforcement.policies import TenantPolicy
from metering.allowances import Allowances
from metering.embeddings_bound import bound_embeddings
from metering.embeddings_request import EmbeddingsRequest, decode_embeddings
from metering.quote import InputBound, OutputCap
from proxy.bodies import edited
from proxy.providers.base import Prepared, Report, Traits
from proxy.providers.openai_answers import ChatTap
from proxy.providers.openai_wire import OpenAIWire
from proxy.providers.prompt_answers import read_prompt_answer

NO_OUTPUT = OutputCap(tokens=0, choices=1, minimum_tokens=0, source="caller", may_clamp=False)


class EmbeddingsCall:
    """One decoded embeddings request."""

    __slots__ = ("_body", "_request", "model", "service_tier")
    is_free = False
    stream = False

    def __init__(self, request: EmbeddingsRequest, body: bytes) -> None:
        self._request = request
        self._body = body
        self.model = request.model
        self.service_tier = request.quoted_tier

    def bound(self, model: str, *, provider: str, allowances: Allowances) -> InputBound:
        """Bound the texts. Raises: Uncountable."""
        return bound_embeddings(msgspec.structs.replace(self._request, model=model), provider=provider)

    def cap(self, model: str, *, provider: str, policy: TenantPolicy) -> OutputCap:
        """Nothing is generated."""
        return NO_OUTPUT

    def prepare(self, *, model: str, cap_tokens: int, traits: Traits) -> Prepared:
        """Write what is sent upstream: the caller's own bytes but for the model's name."""
        changes = {"model": model} if model != self.model else {}
        return Prepared(edited(self._body, changes), strip_usage=False)

    def count(self, model: str, report: Report) -> int:
        """Nothing is generated."""
        return 0

    def hides_output(self, model: str) -> bool:
        """Nothing is generated."""
        return False


class OpenAIEmbeddings(OpenAIWire):
    """The dialect of ``POST /v1/embeddings``."""

    _path = "/embeddings"

    def decode(self, body: bytes) -> EmbeddingsCall:
        """Read a request. Raises: RequestShapeError."""
        return EmbeddingsCall(decode_embeddings(body), body)

    def tap(self, *, strip_usage: bool, traits: Traits) -> ChatTap:
        """Make a listener, for a provider that answers with a stream although none was asked for."""
        return ChatTap(strip_usage=strip_usage, traits=traits)

    def read_answer(self, body: bytes, traits: Traits) -> Report:
        """Read a whole answer, as far as its usage."""
        return read_prompt_answer(body, "data")
