"""OpenAI's moderations: a call like any other, at the model's price, which for OpenAI's own models is zero."""

from __future__ import annotations

from enforcement.policies import TenantPolicy
from metering.allowances import Allowances
from metering.moderations import UNSAID_MODEL, ModerationsRequest, bound_moderations, decode_moderations
from metering.quote import InputBound, OutputCap
from proxy.bodies import edited
from proxy.providers.base import Prepared, Report, Traits
from proxy.providers.embeddings import NO_OUTPUT
from proxy.providers.openai_answers import ChatTap
from proxy.providers.openai_wire import OpenAIWire
from proxy.providers.prompt_answers import read_prompt_answer


class ModerationsCall:
    """One decoded moderation request. It is priced, not passed over: an unknown model is refused."""

    __slots__ = ("_body", "_request", "model")
    is_free = False
    stream = False
    service_tier = ""

    def __init__(self, request: ModerationsRequest, body: bytes) -> None:
        self._request = request
        self._body = body
        self.model = request.model or UNSAID_MODEL

    def bound(self, model: str, *, provider: str, allowances: Allowances) -> InputBound:
        """Bound what is read. Raises: Uncountable."""
        return bound_moderations(self._request, provider=provider, allowances=allowances)

    def cap(self, model: str, *, provider: str, policy: TenantPolicy) -> OutputCap:
        """Nothing is generated."""
        return NO_OUTPUT

    def prepare(self, *, model: str, cap_tokens: int, traits: Traits) -> Prepared:
        """Write what is sent upstream; the model that was priced is named, also where the caller named none."""
        changes = {"model": model} if model != self._request.model else {}
        return Prepared(edited(self._body, changes), strip_usage=False)

    def count(self, model: str, report: Report) -> int:
        """Nothing is generated."""
        return 0

    def hides_output(self, model: str) -> bool:
        """Nothing is generated."""
        return False


class OpenAIModerations(OpenAIWire):
    """The dialect of ``POST /v1/moderations``."""

    _path = "/moderations"

    def decode(self, body: bytes) -> ModerationsCall:
        """Read a request. Raises: RequestShapeError."""
        return ModerationsCall(decode_moderations(body), body)

    def tap(self, *, strip_usage: bool, traits: Traits) -> ChatTap:
        """Make a listener, for a provider that answers with a stream although none was asked for."""
        return ChatTap(strip_usage=strip_usage, traits=traits)

    def read_answer(self, body: bytes, traits: Traits) -> Report:
        """Read a whole answer: OpenAI reports no usage, others do."""
        return read_prompt_answer(body, "results")
