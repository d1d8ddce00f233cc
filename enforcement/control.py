"""The control plane's way to the scripts: publish policies, open budgets, change limits, read balances.

Everything here may be repeated: a message that comes twice, or after a newer one, changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from enforcement.control_calls import (
    ControlCall,
    begin_rebuild_call,
    complete_customers_call,
    load_new_call,
    open_call,
    parse_balances,
    publish_call,
    publish_customer_call,
    read_budgets_call,
    remove_budget_call,
    set_default_call,
    set_limit_call,
)
from enforcement.control_client import ControlClient, unavailable_on_failure
from enforcement.decisions import Balance
from enforcement.errors import ShardClosed
from enforcement.hold_records import read_holds
from enforcement.keys import Scope, deadlines_key, shard_key
from enforcement.policies import BudgetRef, CustomerPolicy, KeyPolicy, TenantPolicy, encode_policy
from metering.ids import external_digest


@dataclass(frozen=True, slots=True)
class OpenHold:
    """A hold that has not ended, as a screen shows it."""

    hold_id: str
    state: str
    deadline_ms: int
    cost_nanousd: int
    charge_nanousd: int
    budget_ids: tuple[str, ...]


class Control:
    """Sync client of the control scripts over one Redis or cluster.

    Raises (all methods): EnforcementUnavailable when Redis cannot be reached, ShardClosed while a shard is neither
    open nor adopting.
    """

    def __init__(self, redis_url: str) -> None:
        self.client = ControlClient(redis_url)

    def close(self) -> None:
        """Close every connection."""
        self.client.close()

    def ping(self) -> None:
        """Ask whether Redis is there."""
        with unavailable_on_failure():
            self.client.redis.ping()

    def publish_key(self, policy: KeyPolicy, *, digest: str, version: int) -> bool:
        """Publish a key's policy under the digest of its secret. False when a newer one is in force."""
        scope = Scope(policy.tenant_id, policy.mode)
        body = encode_policy(policy)
        return self._is(
            publish_call(scope, scope.key_policy(digest), version=version, body=body), "published"
        )

    def publish_customer(
        self, scope: Scope, policy: CustomerPolicy, *, external_id: str, version: int
    ) -> bool:
        """Publish a customer's policy and put it in the customer index. False when a newer one is in force."""
        body = encode_policy(policy)
        call = publish_customer_call(
            scope, policy.customer_id, digest=external_digest(external_id), version=version, body=body
        )
        return self._is(call, "published")

    def publish_tenant(self, policy: TenantPolicy, *, version: int) -> bool:
        """Publish what holds for every call of a tenant. False when a newer one is in force."""
        scope = Scope(policy.tenant_id, policy.mode)
        body = encode_policy(policy)
        return self._is(publish_call(scope, scope.tenant_policy(), version=version, body=body), "published")

    def publish_default_budget(
        self,
        scope: Scope,
        *,
        limit_nanousd: int | None,
        ref: BudgetRef | None,
        version: int,
        arrivals_per_hour_max: int,
    ) -> bool:
        """Publish what a first-seen customer's budget is made from. False when a newer one is in force."""
        call = set_default_call(
            scope,
            limit_nanousd=limit_nanousd,
            ref=ref,
            version=version,
            arrivals_per_hour_max=arrivals_per_hour_max,
        )
        return self._is(call, "published")

    def load_new_budget(self, scope: Scope, *, budget_id: str, limit_nanousd: int, version: int) -> bool:
        """Open a budget that was only just made, at zero. False when it was open before, or removed since."""
        call = load_new_call(scope, budget_id=budget_id, limit_nanousd=limit_nanousd, version=version)
        return self._is(call, "loaded")

    def set_limit(self, scope: Scope, *, budget_id: str, limit_nanousd: int, version: int) -> bool:
        """Change what a budget may spend. False when a newer limit is in force."""
        call = set_limit_call(scope, budget_id=budget_id, limit_nanousd=limit_nanousd, version=version)
        return self._is(call, "set")

    def remove_budget(self, scope: Scope, *, budget_id: str, version: int) -> bool:
        """Take a budget away. False when a newer message came before."""
        return self._is(remove_budget_call(scope, budget_id=budget_id, version=version), "removed")

    def read_budget(self, scope: Scope, budget_id: str) -> Balance | None:
        """Read a budget; None when it is not loaded."""
        return self.read_budgets(scope, [budget_id])[0]

    def read_budgets(self, scope: Scope, budget_ids: Sequence[str]) -> list[Balance | None]:
        """Read budgets of one tenant at one position of its shard, in one round trip."""
        if not budget_ids:
            return []
        reply = self.client.run(read_budgets_call(scope, budget_ids))
        return parse_balances(budget_ids, reply)

    def published_versions(self, scope: Scope, policy_keys: Sequence[str]) -> list[int]:
        """Read the versions in force of policies, 0 where there is none."""
        with unavailable_on_failure():
            pipeline = self.client.redis.pipeline(transaction=False)
            for policy_key in policy_keys:
                pipeline.hget(policy_key, "version")
            return [int(version or 0) for version in pipeline.execute()]

    def open_holds(self, scope: Scope) -> list[OpenHold]:
        """List a tenant's holds that have not ended, the one due first at the head."""
        prefix = scope.hold("").encode()
        with unavailable_on_failure():
            due = self.client.redis.zrange(deadlines_key(scope.shard), 0, -1, withscores=True)
        deadlines_ms = {key: int(deadline_ms) for key, deadline_ms in due if key.startswith(prefix)}
        return [
            OpenHold(
                hold_id=record.ref.hold_id,
                state=record.state,
                deadline_ms=deadline_ms,
                cost_nanousd=record.cost_nanousd,
                charge_nanousd=record.charge_nanousd,
                budget_ids=tuple(draw.budget_id for draw in record.ref.draws),
            )
            for record, deadline_ms in zip(
                read_holds(self.client, list(deadlines_ms)), deadlines_ms.values(), strict=True
            )
            if record is not None
        ]

    def complete_customers(self, scope: Scope, *, epoch: int) -> bool:
        """Say that every customer the database has was published in this epoch, so that strangers are really new.

        False when another epoch has begun meanwhile: publish them again.
        """
        return self._is(complete_customers_call(scope, epoch=epoch), "complete")

    def ensure_open(self, scope: Scope) -> None:
        """Open the shard of an empty Redis that has no past: for a first start and for tests, not for a rebuild.

        Raises: ShardClosed when the shard has a past; only a rebuild may open it then.
        """
        shard = scope.shard
        begun = self.client.run(begin_rebuild_call(shard, found_epoch=0, epoch=1))
        self.client.run(open_call(shard, epoch=1))
        if begun.status == "moved" and self._state(shard) != "open":
            raise ShardClosed(f"shard {shard} is at epoch {begun.epoch} and must be rebuilt")

    def _state(self, shard: int) -> str:
        with unavailable_on_failure():
            return str((self.client.redis.hget(shard_key(shard), "state") or b"absent").decode())

    def _is(self, call: ControlCall, status: str) -> bool:
        return self.client.run(call).status == status
