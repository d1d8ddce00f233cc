"""From a decoded request to a granted hold: caller, account, price, quote, reserve."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from enforcement.decisions import (
    AlreadyDone,
    BudgetState,
    Crowded,
    Granted,
    Idempotency,
    InProgress,
    NotLoaded,
    OtherBody,
    Overloaded,
    RateLimited,
    Refused,
    Replayed,
    Reservation,
    ReserveOutcome,
    Stale,
    Turned,
    UnknownCustomer,
)
from enforcement.errors import EnforcementUnavailable
from enforcement.policies import ProviderAccount
from metering.errors import RequestShapeError, Uncountable, UnpricedModel
from metering.events import EventBody, encode_body
from metering.ids import make_hold_id
from metering.money import format_usd
from metering.prices import Price
from metering.quote import BoundClass, InputBound, Quote, quote_for
from metering.rates import FREE, split_tier
from metering.windows import NEVER_MS
from proxy.accounts import Tenant, is_allowed, markup_for
from proxy.bodies import aside
from proxy.callers import Caller, Callers
from proxy.clock import Clock
from proxy.errors import Refusal
from proxy.providers.base import Call, Dialect
from proxy.randomness import take_80_bits
from proxy.requests import Asked

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


@dataclass(slots=True)
class Admitted:
    """A granted request, with the event its hold will become."""

    plan: Plan
    granted: Granted
    event: EventBody


class Admission:
    """Judges requests and claims their money."""

    def __init__(self, callers: Callers, reserver: Reserver, clock: Clock) -> None:
        self._callers = callers
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
        return await aside(request.body_bytes, self._judge, request, caller)

    async def _find(self, request: Request, *, newer_than_ms: int) -> Caller:
        parsed = self._callers.parse(request.asked.key_text)
        return await self._callers.find(parsed, request.asked.customer, newer_than_ms=newer_than_ms)

    def _judge(self, request: Request, caller: Caller) -> Plan:
        call, tenant = request.call, caller.tenant
        account, model = tenant.account_for(call.model, request.dialect.name)
        _check_allowed(caller, account, model)
        markup_bp, markup_fixed_nanousd = markup_for(caller.markup, model)
        try:
            price = FREE if call.is_free else self._price(request, tenant, account, model)
            bound = call.bound(model, provider=account.provider, allowances=tenant.allowances)
            quote = quote_for(
                bound,
                call.cap(model, provider=account.provider, policy=tenant.policy),
                price,
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
        return Plan(
            caller,
            account,
            model,
            tenant.credential_of(account),
            price,
            markup_bp,
            markup_fixed_nanousd,
            quote,
        )

    @staticmethod
    def _price(request: Request, tenant: Tenant, account: ProviderAccount, model: str) -> Price:
        tier = request.call.service_tier
        return tenant.prices.find(account.provider, model, request.started_ms, service_tier=tier)

    def _elsewhere(
        self, request: Request, caller: Caller, account: ProviderAccount, bound: InputBound
    ) -> dict[str, Price]:
        """Prices of the other models that may work on a call; each of them must be allowed as the first is."""
        found: dict[str, Price] = {}
        region = split_tier(request.call.service_tier)[1]
        for model in {one.model for one in bound.elsewhere}:
            _check_allowed(caller, account, model)
            prices = caller.tenant.prices
            found[model] = prices.find(account.provider, model, request.started_ms, service_tier=region)
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
        dialect=request.dialect.name,
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


def refusal_of(outcome: ReserveOutcome) -> Refusal:
    """Put into words why a request was not granted.

    Raises: EnforcementUnavailable where it is not the caller's doing.
    """
    match outcome:
        case Refused(budget):
            return _exceeded(budget)
        case Crowded(budget, retry_after_ms):
            return Refusal(
                "budget_in_flight",
                f"budget {budget.budget_id} has room for this request only once calls in flight have ended: "
                f"${format_usd(budget.held_nanousd)} are held",
                numbers=_numbers(budget),
                retry_after_ms=max(1, retry_after_ms),
            )
        case RateLimited(limit_id, kind, retry_after_ms):
            what = "calls in flight" if kind == "in_flight" else "requests"
            return Refusal(
                "rate_limited",
                f"too many {what} under limit {limit_id}",
                numbers={"limit_id": limit_id, "limited": kind},
                retry_after_ms=max(1, retry_after_ms),
            )
        case UnknownCustomer(reason, retry_after_ms):
            return _unknown_customer(reason, retry_after_ms)
        case _:
            return _unusual(outcome)


def _unusual(outcome: ReserveOutcome) -> Refusal:
    match outcome:
        case InProgress(request_id):
            return Refusal(
                "request_in_progress",
                f"a request with this Idempotency-Key is under way as {request_id}",
                numbers={"request_id": request_id},
            )
        case AlreadyDone(request_id, cost_nanousd):
            return Refusal(
                "already_done",
                f"a request with this Idempotency-Key was served as {request_id}",
                numbers={"request_id": request_id, "cost_usd": format_usd(cost_nanousd)},
            )
        case OtherBody(request_id):
            return Refusal(
                "idempotency_mismatch",
                f"this Idempotency-Key came before with another body, as {request_id}",
                numbers={"request_id": request_id},
            )
        case NotLoaded(budget_id):
            raise EnforcementUnavailable(f"budget {budget_id} is being loaded; not loaded is never empty")
        case Overloaded(reason):
            raise EnforcementUnavailable(f"admission is paused: {reason}")
        case _:
            raise EnforcementUnavailable(f"the reservation was answered {type(outcome).__name__}")


def _unknown_customer(reason: str, retry_after_ms: int) -> Refusal:
    if reason == "too_many":
        return Refusal(
            "rate_limited",
            "too many customers were seen for the first time this hour",
            numbers={"limited": "new_customers"},
            retry_after_ms=max(1, retry_after_ms),
        )
    if reason == "no_default":
        return Refusal(
            "customer_unknown", "this customer is not known, and no default budget is set for unknown ones"
        )
    raise EnforcementUnavailable("this customer is only just being made known here; try again")


def _exceeded(budget: BudgetState) -> Refusal:
    turns = _iso(budget.window_end_ms)
    return Refusal(
        "budget_exceeded",
        f"budget {budget.budget_id} has ${format_usd(budget.left_nanousd)} left of "
        f"${format_usd(budget.limit_nanousd)}; this request needs at least ${format_usd(budget.needed_nanousd)}. "
        + (
            f"The budget's window turns at {turns}"
            if turns
            else "The budget's window does not turn: raise its limit"
        ),
        numbers=_numbers(budget),
    )


def _numbers(budget: BudgetState) -> dict[str, str | int | None]:
    return {
        "budget_id": budget.budget_id,
        "limit_usd": format_usd(budget.limit_nanousd),
        "spent_usd": format_usd(budget.spent_nanousd),
        "held_usd": format_usd(budget.held_nanousd),
        "left_usd": format_usd(budget.left_nanousd),
        "needed_usd": format_usd(budget.needed_nanousd),
        "resets_at": _iso(budget.window_end_ms),
    }


def _iso(at_ms: int) -> str | None:
    if at_ms >= NEVER_MS:
        return None
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
