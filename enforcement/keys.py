"""Every Redis key by name. All keys of a shard share its hash tag, so one script can touch them on a cluster.

A tenant's keys carry its id and the mode, so test and live can never meet in one record.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from metering.ids import shard_of

Mode = Literal["test", "live"]


def shard_key(shard: int) -> str:
    """Hash: epoch, run_id, seq, recorded, state (``open`` or ``adopting``; absent or else = closed)."""
    return f"{{s{shard}}}:shard"


def shard_in(key: str) -> int:
    """Read the shard out of a key's hash tag."""
    return int(key[2 : key.index("}")])


def deadlines_key(shard: int) -> str:
    """Sorted set of open holds: member = the hold's whole key, score = deadline in ms."""
    return f"{{s{shard}}}:deadlines"


def usage_key(shard: int) -> str:
    """Stream: one entry per ledger row to be."""
    return f"{{s{shard}}}:usage"


def dead_letters_key(shard: int) -> str:
    """Stream: settles and releases whose hold nobody knows any more."""
    return f"{{s{shard}}}:dead"


def arrivals_key(shard: int) -> str:
    """Stream: customers made by a reserve, waiting for their row."""
    return f"{{s{shard}}}:arrivals"


def wanted_key(shard: int) -> str:
    """Hash: budgets a reserve found not loaded: ``tenant:mode:budget`` -> ms of the last call that wanted it."""
    return f"{{s{shard}}}:wanted"


@dataclass(frozen=True, slots=True)
class Scope:
    """A tenant in one mode: the only way to name a tenant's key."""

    tenant_id: str
    mode: Mode

    @property
    def shard(self) -> int:
        """The tenant's shard."""
        return shard_of(self.tenant_id)

    def _key(self, rest: str) -> str:
        return f"{{s{self.shard}}}:{self.tenant_id}:{self.mode}:{rest}"

    def budget(self, budget_id: str) -> str:
        """Hash: limit, measure, version, epoch; per window id ``s:``, ``h:``, ``b:``, ``e:`` + id."""
        return self._key(f"budget:{budget_id}")

    def hold(self, hold_id: str) -> str:
        """Hash: one hold, kept after its end as a tombstone."""
        return self._key(f"hold:{hold_id}")

    def tenant_policy(self) -> str:
        """Hash: version, body."""
        return self._key("policy:tenant")

    def customer_policy(self, customer_id: str) -> str:
        """Hash: version, body."""
        return self._key(f"policy:customer:{customer_id}")

    def key_policy(self, key_digest: str) -> str:
        """Hash: version, body. Named by the digest of the secret."""
        return self._key(f"policy:key:{key_digest}")

    def customers(self) -> str:
        """Hash: ``complete`` = epoch in which the index is whole; else digest of external id -> customer id."""
        return self._key("customers")

    def default_budget(self) -> str:
        """Hash: the limit, measure, version ... that a first-seen customer's budget is made from."""
        return self._key("default_budget")

    def arrivals_this_hour(self) -> str:
        """Counter that expires an hour after its first: customers made by reserves."""
        return self._key("arrived")

    def refused(self, minute: int) -> str:
        """Hash with an expiry: budget id -> how often it refused in one minute since the epoch."""
        return self._key(f"refused:{minute}")

    def rate(self, limit_id: str) -> str:
        """String: GCRA's theoretical arrival time in microseconds."""
        return self._key(f"rate:{limit_id}")

    def sink_pace(self, name: str) -> str:
        """String: how quickly one billing sink is called, as a theoretical arrival time in microseconds."""
        return self._key(f"sink_pace:{name}")

    def in_flight(self, limit_id: str) -> str:
        """Sorted set of hold ids by deadline: calls in flight under one limit."""
        return self._key(f"flight:{limit_id}")

    def idempotency(self, digest: str) -> str:
        """Hash with an expiry: one Idempotency-Key on one route under one key."""
        return self._key(f"idem:{digest}")
