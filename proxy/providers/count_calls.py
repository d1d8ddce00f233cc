"""A request to count a prompt's tokens, alike in every dialect whose body names the model."""

from __future__ import annotations

from enforcement.policies import TenantPolicy
from metering.allowances import Allowances
from metering.quote import BoundClass, InputBound, OutputCap
from proxy.bodies import edited
from proxy.providers.base import Prepared, Report, Traits


class CountCall:
    """One request to count a prompt's tokens: nothing is generated, nothing is billed."""

    __slots__ = ("_body", "model")
    is_free = True
    stream = False
    service_tier = ""

    def __init__(self, model: str, body: bytes) -> None:
        self._body = body
        self.model = model

    def bound(self, model: str, *, provider: str, allowances: Allowances) -> InputBound:
        """Nothing is billed, whatever the prompt."""
        return InputBound(0, BoundClass.EXACT)

    def cap(self, model: str, *, provider: str, policy: TenantPolicy) -> OutputCap:
        """Nothing is generated."""
        return OutputCap(tokens=0, choices=1, minimum_tokens=0, source="caller", may_clamp=False)

    def prepare(self, *, model: str, cap_tokens: int, traits: Traits) -> Prepared:
        """Write what is sent upstream: the caller's own bytes but for the model's name."""
        changes = {"model": model} if model != self.model else {}
        return Prepared(edited(self._body, changes), strip_usage=False)

    def count(self, model: str, report: Report) -> int:
        """Nothing was generated."""
        return 0

    def hides_output(self, model: str) -> bool:
        """Nothing was generated."""
        return False
