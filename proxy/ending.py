"""What an upstream's end means for a hold: settle, release or leave unresolved. Settling is never refused."""

from __future__ import annotations

import logging
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Protocol

import msgspec

from enforcement.decisions import Ended, EndOutcome, Granted, Settlement
from enforcement.errors import EnforcementUnavailable
from metering.base_prices import KNOWN_TIERS
from metering.cost import all_pictures, cost_of
from metering.errors import MeteringError, UnpricedModel
from metering.events import encode_body
from metering.money import NanoUsd, charge_for
from metering.prices import Price
from metering.rates import split_tier
from metering.usage import Basis, Usage
from proxy.admission import Admitted
from proxy.clock import Clock
from proxy.metrics import Metrics
from proxy.providers.base import Call, Report

# The ledger keeps no longer a name, and puts a row whose body has one down to no customer at all.
NAME_CHARS_MAX = 256

log = logging.getLogger("farebox.proxy")


class Ender(Protocol):
    """The part of ``Holds`` that ends holds."""

    async def settle(self, granted: Granted, settlement: Settlement) -> EndOutcome:
        """Replace the hold by what the call cost."""

    async def release(self, granted: Granted, *, body: bytes = b"") -> EndOutcome:
        """End a hold that cost nothing."""

    async def leave_unresolved(self, granted: Granted, *, body: bytes) -> EndOutcome:
        """End a dispatched hold at its quote, unresolved."""

    async def abandon(self, granted: Granted, *, body: bytes) -> EndOutcome:
        """End a hold by how far it had come, unless it has ended."""


@dataclass(slots=True)
class End:
    """How a dispatched call ended upstream."""

    word: str  # complete, client_gone, cut, timeout, reset, unreadable, refused, not_sent, failed
    status: int = 0
    upstream_request_id: str = ""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a call came to."""

    cost_nanousd: int
    basis: Basis
    remaining_nanousd: int


class Ending:
    """Ends holds and books what they came to."""

    def __init__(self, ender: Ender, metrics: Metrics, clock: Clock) -> None:
        self._ender = ender
        self._metrics = metrics
        self._clock = clock

    async def release(self, admitted: Admitted, end: End) -> Receipt:
        """End a hold for which nothing can have been billed, with a zero row."""
        body = self._body(admitted, end, Report())
        remaining = await self._send(admitted, self._ender.release(admitted.granted, body=body))
        return self._receipt(0, Basis.NONE, remaining)

    async def leave_unresolved(self, admitted: Admitted, end: End) -> Receipt:
        """End a hold whose bill is unknown at its quote, never as a silent refund."""
        if not admitted.plan.quote.cost.at_cap:
            return await self.release(admitted, end)  # at most nothing is no doubt
        body = self._body(admitted, end, Report())
        remaining = await self._send(admitted, self._ender.leave_unresolved(admitted.granted, body=body))
        return self._receipt(admitted.granted.cost_nanousd, Basis.UNRESOLVED, remaining)

    async def abandon(self, admitted: Admitted) -> None:
        """End a hold whose request failed in a way nobody foresaw; one that has ended stays as it is."""
        self._alarm("abandoned", admitted)
        body = self._body(admitted, End("failed"), Report())
        await self._send(admitted, self._ender.abandon(admitted.granted, body=body))

    async def settle(self, admitted: Admitted, end: End, report: Report, call: Call) -> Receipt:
        """Book what an answer cost: by its report, else by what was relayed."""
        if call.is_free:
            return await self.release(admitted, end)
        plan, granted = admitted.plan, admitted.granted
        price = plan.price
        try:
            price = self._price_of(admitted, report, call)
            cost_nanousd, basis = self._cost(admitted, report, call, price)
        except MeteringError:
            self._alarm("unpriced_usage", admitted)
            cost_nanousd, basis = granted.cost_nanousd, Basis.ESTIMATED
        if basis is Basis.REPORTED:
            charge_nanousd = charge_for(NanoUsd(cost_nanousd), plan.markup_bp, plan.markup_fixed_nanousd)
            if cost_nanousd > granted.cost_nanousd:
                self._alarm("overrun", admitted)
            if granted.cost_nanousd:
                self._metrics.cost_to_quote.observe(cost_nanousd / granted.cost_nanousd)
        else:
            charge_nanousd = charge_for(NanoUsd(cost_nanousd), plan.markup_bp, plan.markup_fixed_nanousd)
            charge_nanousd = NanoUsd(min(charge_nanousd, granted.charge_nanousd))
        settlement = Settlement(
            cost_nanousd=cost_nanousd,
            charge_nanousd=charge_nanousd,
            basis="reported" if basis is Basis.REPORTED else "estimated",
            body=self._body(admitted, end, report, price_id=price.price_id),
        )
        remaining = await self._send(admitted, self._ender.settle(granted, settlement))
        return self._receipt(cost_nanousd, basis, remaining)

    @staticmethod
    def _price_of(admitted: Admitted, report: Report, call: Call) -> Price:
        """The price of the model and tier that the provider says it billed, else of those quoted.

        Raises: UnpricedModel.
        """
        plan, answered, tier = admitted.plan, report.response_model, report.service_tier
        if answered in ("", plan.model) and tier not in KNOWN_TIERS:
            return plan.price
        return plan.caller.tenant.prices.find_answered(
            plan.account.provider,
            plan.model,
            answered,
            admitted.event.started_ms,
            service_tier=tier if tier in KNOWN_TIERS else call.service_tier,
        )

    def _cost(self, admitted: Admitted, report: Report, call: Call, price: Price) -> tuple[int, Basis]:
        """Work out the cost; what cannot be true is booked at the hold, never at zero.

        Raises: UnpricedModel for what has no price.
        """
        plan, held_nanousd = admitted.plan, admitted.granted.cost_nanousd
        if report.impossible:
            self._alarm("impossible_usage", admitted)
            return held_nanousd, Basis.ESTIMATED
        usage, basis = report.usage, Basis.REPORTED
        if usage is not None and _is_zero(usage) and (report.text or report.thought or report.tool_calls):
            self._alarm("zero_usage", admitted)
            usage = None
        if usage is None and (report.thought or call.hides_output(plan.model)):
            return held_nanousd, Basis.ESTIMATED
        if usage is None:
            usage, basis = self._relayed(admitted, report, call), Basis.ESTIMATED
            report.usage = usage
        if admitted.event.dialect != "gemini":
            report.usage = usage = all_pictures(usage, price)
        cost_nanousd = cost_of(usage, price)
        for model, used in report.elsewhere:
            cost_nanousd = NanoUsd(cost_nanousd + cost_of(used, _price_elsewhere(admitted, report, model)))
        return (cost_nanousd if basis is Basis.REPORTED else min(cost_nanousd, held_nanousd)), basis

    @staticmethod
    def _relayed(admitted: Admitted, report: Report, call: Call) -> Usage:
        """What was used as far as we saw it: the prompt as reported or at its bound, the answer as counted."""
        bound = admitted.plan.quote.bound
        prompt = report.prompt or Usage(
            input_tokens=max(0, bound.tokens - bound.audio_tokens - bound.image_tokens),
            audio_input_tokens=bound.audio_tokens,
            image_input_tokens=bound.image_tokens,
        )
        return msgspec.structs.replace(prompt, output_tokens=call.count(admitted.plan.model, report))

    def _body(self, admitted: Admitted, end: End, report: Report, *, price_id: str = "") -> bytes:
        usage = report.usage
        granted = admitted.granted
        event = msgspec.structs.replace(
            admitted.event,
            price_id=price_id or admitted.event.price_id,
            # What was held: a clamped call's quote is that of the cap it got.
            quote_cost_nanousd=granted.cost_nanousd,
            quote_charge_nanousd=granted.charge_nanousd,
            output_cap=granted.output_cap,
            output_cap_source="clamped" if granted.clamped else admitted.event.output_cap_source,
            response_model=report.response_model[:NAME_CHARS_MAX],
            ended_ms=self._clock.now_ms(),
            upstream_status=end.status,
            upstream_request_id=end.upstream_request_id[:NAME_CHARS_MAX],
            end=end.word,
            usage={name: count for name, count in usage.tokens() if count} if usage else {},
            extras=_extras(admitted, report),
        )
        return encode_body(event)

    def watch_margin(self, admitted: Admitted) -> None:
        """Raise an alarm for a call that is charged below its cost, where the tenant wants to be told."""
        plan = admitted.plan
        if plan.is_below_cost and plan.caller.tenant.policy.margin_guard == "warn":
            self._alarm("negative_margin", admitted)

    async def _send(self, admitted: Admitted, ending: Awaitable[EndOutcome]) -> int:
        """Await an end. What cannot be told to Redis now ``Holds`` keeps and tells later; it is counted here."""
        try:
            outcome = await ending
        except EnforcementUnavailable as error:
            self._alarm("unrecorded_end", admitted)
            log.warning("an end could not be told to Redis yet", extra={"why": str(error)})
            return admitted.granted.remaining_nanousd
        return outcome.remaining_nanousd if isinstance(outcome, Ended) else admitted.granted.remaining_nanousd

    def _receipt(self, cost_nanousd: int, basis: Basis, remaining_nanousd: int) -> Receipt:
        self._metrics.ends[basis.value] += 1
        return Receipt(cost_nanousd, basis, remaining_nanousd)

    def _alarm(self, name: str, admitted: Admitted) -> None:
        self._metrics.alarms[name] += 1
        log.warning(
            "%s", name, extra={"request_id": admitted.event.request_id, "hold_id": admitted.granted.hold_id}
        )


def _extras(admitted: Admitted, report: Report) -> dict[str, int]:
    """Counted extras, and the tokens of other models as ``model|price id:bucket``: each has a price of its own."""
    extras = dict(report.usage.extras) if report.usage else {}
    for model, used in report.elsewhere:
        try:
            name = f"{model}|{_price_elsewhere(admitted, report, model).price_id}"
        except UnpricedModel:
            name = f"{model}|"  # booked at the hold: no price counted it
        for bucket, count in used.tokens():
            if count:
                extras[f"{name}:{bucket}"] = extras.get(f"{name}:{bucket}", 0) + count
    return extras


def _price_elsewhere(admitted: Admitted, report: Report, model: str) -> Price:
    """The price of another model that worked on the same call, in the same region. Raises: UnpricedModel."""
    plan, region = admitted.plan, split_tier(report.service_tier)[1]
    prices = plan.caller.tenant.prices
    return prices.find(plan.account.provider, model, admitted.event.started_ms, service_tier=region)


def _is_zero(usage: Usage) -> bool:
    return not usage.all_input_tokens and not usage.all_output_tokens
