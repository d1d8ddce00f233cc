"""The proxy's admission lent to the control API: one judgement of who may call, what it can cost and what fits.

Policies are read from Redis for each hold and their versions go along with its reserve, as with every call: what was
revoked or lowered is in force here at the same instant.
"""

from __future__ import annotations

import asyncio

from django.conf import settings

from billing.holding.asking import API_DIALECT, Caller, HoldAsked, HoldGranted, HoldRefused, SentBody
from enforcement.decisions import Reservation, ReserveOutcome
from enforcement.keyring import ParsedKey
from enforcement.policies import KeyPolicy, encode_policy
from enforcement.secrets import CredentialBox
from enforcement.sync_holds import SyncHolds
from metering.errors import MeteringError
from proxy.admission import Admission, Admitted, Request
from proxy.callers import Callers
from proxy.clock import Clock
from proxy.errors import CODES, Refusal
from proxy.metrics import Metrics
from proxy.providers.base import Call
from proxy.requests import Asked
from proxy.routes import find_dialect
from proxy.stated import StatedCall
from tenants.publishing import shared_control

ROUTES = {
    "openai": "/v1/chat/completions",
    "anthropic": "/v1/messages",
    "gemini": "/gemini/v1beta/models/any:generateContent",
}


class KnownCaller(Callers):
    """Callers of which there is one: the key or customer that a hold names. Its text need not be sent again."""

    def __init__(self, caller: Caller, holds: SyncHolds) -> None:
        self._parsed_key = caller.key or _standing_key(caller)
        reader = _Policies(holds, caller, self._parsed_key)
        box = CredentialBox(settings.FAREBOX_SECRET_KEYS)
        super().__init__(reader, box=box, clock=Clock(), metrics=Metrics(), policies_max=16)

    def parse(self, key_text: str) -> ParsedKey:
        """Return the key that is known already."""
        return self._parsed_key


class _Policies:
    """Reads policies as the proxy does; for a customer without a key it makes up the emptiest key there can be."""

    def __init__(self, holds: SyncHolds, caller: Caller, key: ParsedKey) -> None:
        self._holds = holds
        self._made_up: dict[str, tuple[int, bytes]] = {}
        if caller.key is None:
            policy = KeyPolicy(
                key_id=caller.asked_by,
                tenant_id=caller.scope.tenant_id,
                mode=caller.scope.mode,
                kind="customer",
                customer_id=caller.customer_id,
            )
            # Version 0 = known to be absent: should such a key ever be published, the reserve would notice.
            self._made_up[caller.scope.key_policy(key.digest)] = (0, encode_policy(policy))

    async def read_policies(self, policy_keys: tuple[str, ...]) -> tuple[tuple[int, bytes] | None, ...]:
        """Read policy documents with their versions, None where absent."""
        return tuple(self._made_up.get(key) or self._holds.read_policy(key) for key in policy_keys)


class _Reserver:
    """Remembers what was reserved, to mark it as sent afterwards."""

    def __init__(self, holds: SyncHolds) -> None:
        self._holds = holds
        self.reservation: Reservation | None = None

    async def reserve(self, reservation: Reservation) -> ReserveOutcome:
        """Judge a request; claim all or none. The loop is this one call's own, so nobody waits behind it."""
        self.reservation = reservation
        return self._holds.reserve(reservation)


def admit(asked: HoldAsked) -> HoldGranted | HoldRefused:
    """Grant a hold that counts as sent from now on, or say why not.

    Raises: EnforcementUnavailable when nothing may be granted; what was reserved expires at nothing then.
    """
    holds = SyncHolds(shared_control().client)
    reserver = _Reserver(holds)
    clock = Clock()
    admission = Admission(KnownCaller(asked.caller, holds), reserver, clock)
    try:
        admitted = asyncio.run(admission.admit(_request(asked, clock.now_ms())))
    except Refusal as refusal:
        return _refused(refusal)
    except MeteringError as error:
        return HoldRefused(400, error.code, str(error), {})
    assert reserver.reservation is not None
    deadline_ms = holds.dispatched(reserver.reservation, admitted.granted, lease_ms=asked.lease_ms)
    return _granted(admitted, deadline_ms)


def _granted(admitted: Admitted, deadline_ms: int) -> HoldGranted:
    return HoldGranted(admitted.granted, admitted.event, deadline_ms)


def _refused(refusal: Refusal) -> HoldRefused:
    code = CODES[refusal.code]
    numbers = dict(refusal.numbers)
    if refusal.param:
        numbers["param"] = refusal.param
    retry_after_ms = refusal.retry_after_ms if code.may_retry else None
    return HoldRefused(code.status, refusal.code, refusal.message, numbers, retry_after_ms)


def _request(asked: HoldAsked, started_ms: int) -> Request:
    """The call as the proxy would have read it. Raises: Refusal; RequestShapeError for a body that is none."""
    sent = asked.bound if isinstance(asked.bound, SentBody) else None
    dialect = find_dialect("POST", sent.route if sent else ROUTES[asked.dialect], b"")
    call: Call
    if isinstance(asked.bound, SentBody):
        call = dialect.decode(asked.bound.body)
    else:
        call = StatedCall(asked.model, asked.bound.input_tokens_max, asked.bound.output_tokens_max)
    return Request(
        request_id=asked.request_id,
        route="/api/v1/holds",
        dialect=dialect,
        asked=Asked("", asked.caller.external_id, asked.run_id, asked.tags, ""),
        call=call,
        started_ms=started_ms,
        body_bytes=0,  # whatever its length, there is no loop here that it could hold up
        booked_as=API_DIALECT,
    )


def _standing_key(caller: Caller) -> ParsedKey:
    scope = caller.scope
    return ParsedKey("ck", scope.mode, scope.tenant_id, f"customer:{caller.customer_id}")
