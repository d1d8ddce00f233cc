"""From a decoded request to a granted hold: caller, account, price, quote, reserve."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from enforcement.decisions import (
    Granted,
    Idempotency,
    Replayed,
    Reservation,
    ReserveOutcome,
    Stale,
    Turned,
)
from enforcement.errors import EnforcementUnavailable
from enforcement.policies import ProviderAccount
from metering.allowances import NONE, Allowances
from metering.errors import RequestShapeError, Uncountable, UnpricedModel
from metering.events import EventBody, encode_body
from metering.ids import make_hold_id
from metering.money import format_usd
from metering.prices import Price
from metering.quote import BoundClass, InputBound, Quote, quote_for
from metering.rates import FREE, split_tier
from proxy.accounts import Tenant, is_allowed, markup_for
from proxy.asgi import Headers
from proxy.bodies import aside
from proxy.callers import Caller, Callers
from proxy.clock import Clock
from proxy.counting import Asking, Counts
from proxy.errors import Refusal
from proxy.outcomes import refusal_of
from proxy.providers.base import Call, Countable, Dialect
from proxy.randomness import take_80_bits
from proxy.requests import Asked

_NOBODY = ""  # no provider is called so
ATTEMPTS_MAX = 5  # a stale policy or a turned window is judged again this often

# Refusals that a policy mended a moment ago would lift: judged again under policies read for this request.
_FROM_POLICY = frozenset(
    (
        *(
            "invalid_key",
            "key_revoked",
            "key_expired",
            "tenant_suspended",
            "customer_suspended",
            "customer_unknown",
        ),
        *(
            "model_not_allowed",
            "model_stopped",
            "negative_margin",
            "no_provider_account",
            "unpriced_model",
            "uncountable",
            "provider_auth_failed",
        ),
    )
)


class Reserver(Protocol):
    """The part of ``Holds`` that admits."""

    async def reserve(self, reservation: Reservation) -> ReserveOutcome:
        """Judge a request; claim all or none."""


@dataclass(slots=True)
class Plan:
    """What a request would do if it were granted."""

    caller: Caller
    account: ProviderAccount
    model: str  # as the account knows it
    credential: str = field(repr=False)
    price: Price
    markup_bp: int
    markup_fixed_nanousd: int
    quote: Quote

    @property
    def is_below_cost(self) -> bool:
        """Whether the caller would be charged less than the call costs, at its quote."""
        return self.quote.charge.at_cap < self.quote.cost.at_cap


@dataclass(frozen=True, slots=True)
class Request:
    """One request as read, before anything is known about its caller."""

    request_id: str
    route: str
    dialect: Dialect
    asked: Asked
    call: Call
    started_ms: int
    body_bytes: int
    idempotency: tuple[str, str] | None = None  # digests of the key's name and of the body, key still unknown
    sent: Headers = field(default_factory=list)  # the caller's own headers; a dialect may forward some
    booked_as: str = ""  # what the row says of the dialect where it is not the one that read the request


@dataclass(slots=True)
class Admitted:
    """A granted request, with the event its hold will become."""

    plan: Plan
    granted: Granted
    event: EventBody


class Admission:
    """Judges requests and claims their money."""

    def __init__(
        self, callers: Callers, reserver: Reserver, clock: Clock, *, counts: Counts | None = None
    ) -> None:
        self._callers = callers
        self._counts = counts
        self._reserver = reserver
        self._clock = clock

    async def admit(self, request: Request) -> Admitted:
        """Claim the worst case of a request from every budget it draws on.

        Raises: Refusal; EnforcementUnavailable when nothing may be dispatched.
        """
        plan = await self._plan(request)
        hold_id = make_hold_id(self._clock.now_ms(), take_80_bits())
        attempt = f"{take_80_bits():x}"
        for _ in range(ATTEMPTS_MAX):
            event = _event(request, plan)
            outcome = await self._reserver.reserve(self._reservation(request, plan, event, hold_id, attempt))
            if isinstance(outcome, Granted):
                return Admitted(plan, outcome, event)
            if isinstance(outcome, Stale):
                self._callers.forget(outcome.policy_keys)
                plan = await self._plan(request)
            elif isinstance(outcome, Turned):
                self._clock.follow(outcome.now_ms)
            elif isinstance(outcome, Replayed) and outcome.granted and _may_dispatch(outcome):
                return Admitted(plan, outcome.granted, event)
            else:
                raise refusal_of(outcome)
        raise EnforcementUnavailable(f"policies changed {ATTEMPTS_MAX} times while this request was judged")

    async def _plan(self, request: Request) -> Plan:
        try:
            return await self._judged(request, newer_than_ms=0)
        except Refusal as refusal:
            if refusal.code not in _FROM_POLICY:
                raise
        return await self._judged(request, newer_than_ms=request.started_ms)

    async def _judged(self, request: Request, *, newer_than_ms: int) -> Plan:
        caller = await self._find(request, newer_than_ms=newer_than_ms)
        counted_tokens = await self._counted(request, caller)
        return await aside(request.body_bytes, self._judge, request, caller, counted_tokens)

    async def _counted(self, request: Request, caller: Caller) -> int | None:
        """Ask for the provider's own count, where the account wants that and our bound is not exact already."""
        call, dialect = request.call, request.dialect
        account, model = caller.tenant.account_for(call.model, dialect.name)
        if self._counts is None or not account.counts_exactly or not isinstance(call, Countable):
            return None
        _check_allowed(caller, account, model)
        if await aside(request.body_bytes, _is_exact, call, account, model, caller.tenant.allowances):
            return None
        traits = dialect.traits_of(account.provider)
        headers = dialect.upstream_headers(caller.tenant.credential_of(account), request.sent, traits)
        return await self._counts.find(call, Asking(account, model, traits, headers, request.body_bytes))

    async def _find(self, request: Request, *, newer_than_ms: int) -> Caller:
        parsed = self._callers.parse(request.asked.key_text)
        return await self._callers.find(parsed, request.asked.customer, newer_than_ms=newer_than_ms)

    def _judge(self, request: Request, caller: Caller, counted_tokens: int | None) -> Plan:
        call, tenant = request.call, caller.tenant
        account, model = tenant.account_for(call.model, request.dialect.name)
        _check_allowed(caller, account, model)
        markup_bp, markup_fixed_nanousd = markup_for(caller.markup, model)
        try:
            price = FREE if call.is_free else self._price(request, tenant, account, model)
            bound = _bound(call, account, model, tenant.allowances, counted_tokens)
            if tenant.policy.require_hard_bound and request.dialect.name == "openai":
                bound = _hardened(call, model, bound)
            quote = quote_for(
                bound,
                call.cap(model, provider=account.provider, policy=tenant.policy),
                price if call.is_free else self._quoted(request, tenant, account, model),
                markup_bp=markup_bp,
                markup_fixed_nanousd=markup_fixed_nanousd,
                elsewhere=self._elsewhere(request, caller, account, bound),
            )
        except UnpricedModel as error:
            raise Refusal("unpriced_model", str(error), param="model") from error
        except Uncountable as error:
            raise Refusal("uncountable", str(error), param=error.part) from error
        except RequestShapeError as error:
            raise Refusal("invalid_request", str(error), param=error.param) from error
        if tenant.policy.require_hard_bound and bound.bound_class is BoundClass.EMPIRICAL:
            raise Refusal(
                "uncountable", f"this tenant takes hard bounds only, and the one for {model!r} is empirical"
            )
        plan = Plan(
            caller,
            account,
            model,
            tenant.credential_of(account),
            price,
            markup_bp,
            markup_fixed_nanousd,
            quote,
        )
        _check_margin(plan)
        return plan

    @staticmethod
    def _price(request: Request, tenant: Tenant, account: ProviderAccount, model: str) -> Price:
        tier = request.call.service_tier
        return tenant.prices.find(account.provider, model, request.started_ms, service_tier=tier)

    @staticmethod
    def _quoted(request: Request, tenant: Tenant, account: ProviderAccount, model: str) -> Price:
        """The price to hold by, which no model that may answer to this name is above."""
        tier = request.call.service_tier
        return tenant.prices.find_quoted(account.provider, model, request.started_ms, service_tier=tier)

    def _elsewhere(
        self, request: Request, caller: Caller, account: ProviderAccount, bound: InputBound
    ) -> dict[str, Price]:
        """Prices of the other models that may work on a call; each of them must be allowed as the first is."""
        found: dict[str, Price] = {}
        region = split_tier(request.call.service_tier)[1]
        for model in {one.model for one in bound.elsewhere}:
            _check_allowed(caller, account, model)
            prices = caller.tenant.prices
            found[model] = prices.find_quoted(
                account.provider, model, request.started_ms, service_tier=region
            )
        return found

    def _reservation(
        self, request: Request, plan: Plan, event: EventBody, hold_id: str, attempt: str
    ) -> Reservation:
        caller, cap, now_ms = plan.caller, plan.quote.cap, self._clock.now_ms()
        return Reservation(
            scope=caller.scope,
            hold_id=hold_id,
            attempt=attempt,
            request_id=request.request_id,
            cost=plan.quote.cost,
            charge=plan.quote.charge,
            output_cap=cap.tokens,
            output_minimum=cap.minimum_tokens,
            cap_is_ours=cap.source == "default",
            may_clamp=cap.may_clamp,
            draws=caller.draws(now_ms),
            judged=caller.judged,
            rates=caller.rates,
            first_seen=caller.arrival(now_ms),
            idempotency=Idempotency(*request.idempotency) if request.idempotency else None,
            body=encode_body(event),
        )


def _bound(
    call: Call,
    account: ProviderAccount,
    model: str,
    allowances: Allowances,
    counted_tokens: int | None = None,
) -> InputBound:
    if counted_tokens is None or not isinstance(call, Countable):
        return call.bound(model, provider=account.provider, allowances=allowances)
    return call.bound_counted(model, counted_tokens, provider=account.provider, allowances=allowances)


def _hardened(call: Call, model: str, bound: InputBound) -> InputBound:
    """Bound by bytes alone, as for a provider that nobody knows, what a tenant of hard bounds would be refused for."""
    if bound.bound_class is not BoundClass.EMPIRICAL:
        return bound
    try:
        hard = call.bound(model, provider=_NOBODY, allowances=NONE)
    except Uncountable:
        return bound
    if hard.bound_class is BoundClass.EMPIRICAL:
        return bound
    # What else a call may be billed for depends on who really serves it.
    return msgspec.structs.replace(bound, tokens=max(hard.tokens, bound.tokens), bound_class=hard.bound_class)


def _is_exact(call: Call, account: ProviderAccount, model: str, allowances: Allowances) -> bool:
    """Whether a count would tell no more than our own bound, or nothing of what is wrong with a request."""
    try:
        bound = _bound(call, account, model, allowances)
    except Uncountable:
        return False
    except RequestShapeError:
        return True
    return bound.bound_class is BoundClass.EXACT


def _check_allowed(caller: Caller, account: ProviderAccount, model: str) -> None:
    allowed = (caller.key.models_allowed, caller.customer.models_allowed if caller.customer else ())
    if not all(is_allowed(globs, model, account) for globs in allowed):
        raise Refusal("model_not_allowed", f"this key may not use {model!r}", param="model")
    if caller.tenant.is_stopped(account, model):
        raise Refusal(
            "model_stopped",
            f"{model!r} at {account.provider} cost more than its quotes too often and was stopped; somebody of the "
            "tenant has to resume it",
            param="model",
        )


def _check_margin(plan: Plan) -> None:
    if plan.is_below_cost and plan.caller.tenant.policy.margin_guard == "refuse":
        cost, charge = plan.quote.cost.at_cap, plan.quote.charge.at_cap
        raise Refusal(
            "negative_margin",
            f"a call of {plan.model!r} may cost ${format_usd(cost)} and would be charged ${format_usd(charge)}: this "
            "tenant refuses what it loses on; its markup for the model has to be raised",
            param="model",
        )


def _may_dispatch(outcome: Replayed) -> bool:
    return outcome.same_attempt and outcome.state == "reserved"


def _event(request: Request, plan: Plan) -> EventBody:
    quote, caller = plan.quote, plan.caller
    return EventBody(
        request_id=request.request_id,
        attempt=1,
        key_id=caller.key.key_id,
        customer_id=caller.customer_id,
        account_id=plan.account.account_id,
        provider=plan.account.provider,
        dialect=request.booked_as or request.dialect.name,
        model=plan.model,
        price_id=quote.price_id,
        bound_class=quote.bound.bound_class.value,
        quoted_input_tokens=quote.bound.tokens,
        started_ms=request.started_ms,
        quote_cost_nanousd=quote.cost.at_cap,
        quote_charge_nanousd=quote.charge.at_cap,
        output_cap=quote.cap.tokens,
        output_cap_source=quote.cap.source,
        markup_bp=plan.markup_bp,
        markup_fixed_nanousd=plan.markup_fixed_nanousd,
        stream=request.call.stream,
        run_id=request.asked.run_id,
        tags=dict(request.asked.tags),
    )
