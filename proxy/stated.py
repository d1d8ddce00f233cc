"""A call of which only the most it uses is known, by its caller's own word: it is priced as any other."""

from __future__ import annotations

from enforcement.policies import TenantPolicy
from metering.allowances import Allowances
from metering.quote import BoundClass, InputBound, OutputCap
from proxy.providers.base import Prepared, Report, Traits


class StatedCall:
    """A call that somebody else sends. Nothing of it is seen, so nothing of it can be written, counted or cut."""

    __slots__ = ("_input_tokens_max", "_output_tokens_max", "model")
    stream = False
    service_tier = ""
    is_free = False

    def __init__(self, model: str, input_tokens_max: int, output_tokens_max: int) -> None:
        self.model = model
        self._input_tokens_max = input_tokens_max
        self._output_tokens_max = output_tokens_max

    def bound(self, model: str, *, provider: str, allowances: Allowances) -> InputBound:
        """Take the stated bound; a word is no proof, so it is of the class that can be overrun."""
        return InputBound(self._input_tokens_max, BoundClass.EMPIRICAL)

    def cap(self, model: str, *, provider: str, policy: TenantPolicy) -> OutputCap:
        """Take the stated cap, whole or not at all."""
        return OutputCap(
            tokens=self._output_tokens_max,
            choices=1,
            minimum_tokens=self._output_tokens_max,
            source="caller",
            may_clamp=False,
        )

    def prepare(self, *, model: str, cap_tokens: int, traits: Traits) -> Prepared:
        """Refuse to be sent: there is no body."""
        raise AssertionError("a stated call is never sent from here")

    def count(self, model: str, report: Report) -> int:
        """Refuse to be counted: nothing was relayed."""
        raise AssertionError("a stated call is never relayed here")

    def hides_output(self, model: str) -> bool:
        """Say so: nothing of it is seen."""
        return True
