"""Who is calling: from the key's text to everything the policies say, without a look-up while nothing changed.

A cached policy is only ever used to grant: every reserve carries its version and Redis compares. What is refused
because of a policy is judged once more under policies read for this very request, so a mended one is in force at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

import msgspec

from enforcement.decisions import Draw, FirstSeen, Judged
from enforcement.errors import EnforcementUnavailable
from enforcement.keyring import ParsedKey, parse_key
from enforcement.keys import Scope
from enforcement.policies import BudgetRef, CustomerPolicy, KeyPolicy, Markup, RateLimit, TenantPolicy
from enforcement.secrets import CredentialBox
from metering.ids import derived_id
from metering.windows import NEVER_MS, window_after, window_at
from proxy.accounts import Tenant, markup_in_force
from proxy.clock import Clock
from proxy.errors import Refusal
from proxy.metrics import Metrics

ABSENT_KEPT_MS = 1_000


class PolicyReader(Protocol):
    """The part of ``Holds`` that reads policies."""

    async def read_policies(self, policy_keys: tuple[str, ...]) -> tuple[tuple[int, bytes] | None, ...]:
        """Read policy documents with their versions, None where absent."""


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """One policy as read: its version (0 = absent), what it says, and when it was read."""

    version: int
    document: KeyPolicy | CustomerPolicy | Tenant | None
    read_ms: int


@dataclass(slots=True, eq=False, repr=False)
class Caller:
    """Everything the policies say about one key and one customer, in one value."""

    scope: Scope
    key: KeyPolicy
    customer_id: str | None
    customer: CustomerPolicy | None
    tenant: Tenant
    judged: tuple[Judged, ...]
    budgets: tuple[BudgetRef, ...]
    rates: tuple[RateLimit, ...]
    markup: Markup
    first_seen: tuple[str, BudgetRef] | None  # external id, the budget to be made
    sources: tuple[tuple[str, Known], ...]
    _draws: tuple[Draw, ...] = ()
    _draws_end_ms: int = 0
    _draws_start_ms: int = 0

    def draws(self, now_ms: int) -> tuple[Draw, ...]:
        """The budgets to draw on with their windows at an instant; worked out once per window."""
        if not self._draws_start_ms <= now_ms < self._draws_end_ms:
            self._draws = tuple(_draw(ref, now_ms) for ref in self.budgets)
            self._draws_start_ms = max((draw.window.start_ms for draw in self._draws), default=0)
            self._draws_end_ms = min((draw.window.end_ms for draw in self._draws), default=NEVER_MS)
        return self._draws

    def arrival(self, now_ms: int) -> FirstSeen | None:
        """What a reserve must know to make a first-seen customer."""
        if self.first_seen is None or self.customer_id is None:
            return None
        external_id, ref = self.first_seen
        return FirstSeen(external_id, self.customer_id, _draw(ref, now_ms))


def _draw(ref: BudgetRef, now_ms: int) -> Draw:
    spec = ref.window
    window = window_at(spec, now_ms)
    return Draw(
        budget_id=ref.budget_id,
        measure=ref.measure,
        may_clamp=ref.on_exhaustion != "refuse",
        window=window,
        following=window_after(spec, window),
    )


class Callers:
    """Finds callers, keeping a bounded number of policies in memory."""

    def __init__(
        self, reader: PolicyReader, *, box: CredentialBox, clock: Clock, metrics: Metrics, policies_max: int
    ) -> None:
        self._reader = reader
        self._metrics = metrics
        self._box = box
        self._clock = clock
        self._policies_max = policies_max
        self._known: dict[str, Known] = {}
        self._callers: dict[tuple[str, str | None], Caller] = {}
        self._parsed: dict[str, ParsedKey] = {}

    def parse(self, key_text: str) -> ParsedKey:
        """Read a key without a look-up. Raises: Refusal ``invalid_key``."""
        parsed = self._parsed.get(key_text) or parse_key(key_text)
        if parsed is None:
            raise Refusal(
                "invalid_key", "this is no Farebox key: it is mistyped, cut off, or of another service"
            )
        if parsed.kind == "ak":
            raise Refusal(
                "invalid_key",
                "this is an API key: it works on /api/v1 only; calls to models take a customer key (fbx_ck_) or a "
                "server key (fbx_sk_)",
            )
        if key_text not in self._parsed:
            _make_room(self._parsed, self._policies_max)
            self._parsed[key_text] = parsed
        return parsed

    async def find(self, parsed: ParsedKey, external_id: str | None, *, newer_than_ms: int = 0) -> Caller:
        """Return the caller under policies read after an instant.

        Raises: Refusal for a key that may not call, EnforcementUnavailable when Redis cannot be read.
        """
        external_id = external_id if parsed.kind == "sk" else None
        caller = self._callers.get((parsed.digest, external_id))
        if caller is None or not self._stands(caller, newer_than_ms):
            caller = await self._compile(parsed, external_id, newer_than_ms)
            _make_room(self._callers, self._policies_max)
            self._callers[parsed.digest, external_id] = caller
        if caller.key.expires_ms and caller.key.expires_ms <= self._clock.now_ms():
            raise Refusal("key_expired", f"this key ({caller.key.key_id}) has expired")
        return caller

    async def find_afresh(self, parsed: ParsedKey, external_id: str | None) -> Caller:
        """Return the caller under policies read for this very request: no reserve will ask Redis about their age.

        Raises: as ``find``.
        """
        return await self.find(parsed, external_id, newer_than_ms=self._clock.now_ms())

    def forget(self, policy_keys: Sequence[str]) -> None:
        """Drop policies that Redis called stale, so that the next look reads them."""
        for policy_key in policy_keys:
            self._known.pop(policy_key, None)

    def _stands(self, caller: Caller, newer_than_ms: int) -> bool:
        known = self._known
        for policy_key, source in caller.sources:
            if known.get(policy_key) is not source or source.read_ms < newer_than_ms:
                return False
            if source.document is None and source.read_ms + ABSENT_KEPT_MS < self._clock.now_ms():
                return False
        return True

    async def _compile(self, parsed: ParsedKey, external_id: str | None, newer_than_ms: int) -> Caller:
        scope = Scope(parsed.tenant_id, parsed.mode)
        names = scope.key_policy(parsed.digest), scope.tenant_policy()
        key_known, tenant_known = await self._read(scope, names, newer_than_ms)
        key, tenant = _active(key_known, tenant_known)
        customer_id = _customer_id(scope, key, external_id)
        sources = [(names[0], key_known), (names[1], tenant_known)]
        customer: CustomerPolicy | None = None
        first_seen: tuple[str, BudgetRef] | None = None
        if customer_id is not None:
            name = scope.customer_policy(customer_id)
            (known,) = await self._read(scope, (name,), newer_than_ms)
            sources.append((name, known))
            if isinstance(known.document, CustomerPolicy):
                customer = _not_suspended(known.document)
            else:
                first_seen = _first_seen(scope, tenant.policy, external_id)
        return Caller(
            scope=scope,
            key=key,
            customer_id=customer_id,
            customer=customer,
            tenant=tenant,
            judged=tuple(Judged(name, known.version) for name, known in sources),
            budgets=_budgets(tenant.policy, customer, key, first_seen),
            rates=(*tenant.policy.rates, *(customer.rates if customer else ()), *key.rates),
            markup=markup_in_force(tenant.policy.markup, customer.markup if customer else None),
            first_seen=first_seen,
            sources=tuple(sources),
        )

    async def _read(self, scope: Scope, names: tuple[str, ...], newer_than_ms: int) -> list[Known]:
        # Held here as well: while others are read, any may be found stale elsewhere or make room for another.
        found = {name: self._known[name] for name in names if self._is_fresh(name, newer_than_ms)}
        wanted = tuple(name for name in names if name not in found)
        if wanted:
            now_ms = self._clock.now_ms()
            self._metrics.policy_reads += len(wanted)
            for name, document in zip(wanted, await self._reader.read_policies(wanted), strict=True):
                _make_room(self._known, self._policies_max)
                self._known[name] = found[name] = self._decode(scope, name, document, now_ms)
        return [found[name] for name in names]

    def _is_fresh(self, name: str, newer_than_ms: int) -> bool:
        known = self._known.get(name)
        if known is None or known.read_ms < newer_than_ms:
            return False
        return known.document is not None or known.read_ms + ABSENT_KEPT_MS >= self._clock.now_ms()

    def _decode(self, scope: Scope, name: str, found: tuple[int, bytes] | None, now_ms: int) -> Known:
        if found is None or not found[1]:
            return Known(found[0] if found else 0, None, now_ms)
        version, body = found
        try:
            if name == scope.tenant_policy():
                policy = msgspec.json.decode(body, type=TenantPolicy)
                return Known(version, Tenant(policy, scope=scope, box=self._box), now_ms)
            if name.startswith(scope.key_policy("")):
                return Known(version, msgspec.json.decode(body, type=KeyPolicy), now_ms)
            return Known(version, msgspec.json.decode(body, type=CustomerPolicy), now_ms)
        except msgspec.DecodeError as error:
            raise EnforcementUnavailable(f"a published policy cannot be read: {error}") from error


def _make_room(kept: dict[object, object] | dict, entries_max: int) -> None:  # type: ignore[type-arg]
    """Drop the oldest tenth when a cache is full."""
    if len(kept) >= entries_max:
        for name in list(islice(kept, max(1, entries_max // 10))):
            del kept[name]


def _active(key_known: Known, tenant_known: Known) -> tuple[KeyPolicy, Tenant]:
    key, tenant = key_known.document, tenant_known.document
    if not isinstance(key, KeyPolicy):
        raise Refusal("invalid_key", "this key is not known here")
    if key.state != "active":
        raise Refusal("key_revoked", f"this key ({key.key_id}) was revoked")
    if not isinstance(tenant, Tenant):
        raise EnforcementUnavailable(f"the policy of tenant {key.tenant_id} is not published yet")
    if tenant.policy.state != "active":
        raise Refusal("tenant_suspended", "this tenant is suspended")
    return key, tenant


def _customer_id(scope: Scope, key: KeyPolicy, external_id: str | None) -> str | None:
    if key.kind == "customer":
        return key.customer_id
    if not external_id:
        raise Refusal(
            "customer_required",
            "a server key must name the customer it calls for: send the header Farebox-Customer with your own id of it",
        )
    return derived_id("cus", scope.tenant_id, scope.mode, external_id)


def _not_suspended(customer: CustomerPolicy) -> CustomerPolicy:
    if customer.state != "active":
        raise Refusal("customer_suspended", f"customer {customer.customer_id} is suspended")
    return customer


def _first_seen(scope: Scope, policy: TenantPolicy, external_id: str | None) -> tuple[str, BudgetRef]:
    if external_id is None:
        raise EnforcementUnavailable("the policy of this key's customer is not published yet")
    ref = policy.default_budget
    if policy.unknown_customer == "refuse" or ref is None:
        raise Refusal(
            "customer_unknown",
            "this customer is not known; make it with POST /api/v1/customers, or set a default budget for unknown ones",
        )
    budget_id = derived_id("bud", scope.tenant_id, scope.mode, external_id, "default")
    return external_id, msgspec.structs.replace(ref, budget_id=budget_id)


def _budgets(
    policy: TenantPolicy,
    customer: CustomerPolicy | None,
    key: KeyPolicy,
    first_seen: tuple[str, BudgetRef] | None,
) -> tuple[BudgetRef, ...]:
    refs = [*policy.budgets, *(customer.budgets if customer else ()), *key.budgets]
    if first_seen is not None:
        refs.append(first_seen[1])
    return tuple({ref.budget_id: ref for ref in refs}.values())
