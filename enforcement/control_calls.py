"""Script calls of the control plane without I/O: publishing, limits, loading and the steps of a rebuild.

These scripts ask the server itself which process it is, so they carry no life: a pooled or cluster connection cannot
bring a stale one. Keys and arguments are in the order of the contract that opens each Lua file.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec

from enforcement.calls import Argument, Script
from enforcement.decisions import Balance, WindowBalance
from enforcement.keys import Scope, shard_key, wanted_key
from enforcement.policies import BudgetRef
from metering.ids import external_digest
from metering.money import LIMIT_NANOUSD_MAX

# An outbox message that loads a budget may be this late and still find that the budget was removed.
REMOVAL_REMEMBERED_MS = 7 * 24 * 3600 * 1000

PUBLISH = Script("publish")
SET_DEFAULT = Script("set_default")
COMPLETE_CUSTOMERS = Script("complete_customers")
LOAD_NEW = Script("load_new")
SET_LIMIT = Script("set_limit")
REMOVE_BUDGET = Script("remove_budget")
READ_BUDGETS = Script("read_budgets")
BEGIN_REBUILD = Script("begin_rebuild")
OPEN = Script("open")


@dataclass(frozen=True, slots=True)
class ControlCall:
    """One run of a control script on one shard, whose hash is put in front of the keys when it is sent."""

    script: Script
    shard: int
    keys: tuple[str, ...]
    args: tuple[Argument, ...]

    def parts(self) -> tuple[Argument, ...]:
        """Everything that follows the script in EVALSHA: the number of keys, the keys, the arguments."""
        return (len(self.keys) + 1, shard_key(self.shard), *self.keys, *self.args)


def publish_call(scope: Scope, policy_key: str, *, version: int, body: bytes) -> ControlCall:
    """Put one policy document."""
    return ControlCall(PUBLISH, scope.shard, (policy_key,), (version, body))


def publish_customer_call(
    scope: Scope, customer_id: str, *, external_id: str, version: int, body: bytes
) -> ControlCall:
    """Put a customer's policy and its entry in the tenant's customer index."""
    keys = (scope.customer_policy(customer_id), scope.customers())
    return ControlCall(PUBLISH, scope.shard, keys, (version, body, external_digest(external_id), customer_id))


def set_default_call(
    scope: Scope,
    *,
    limit_nanousd: int | None,
    ref: BudgetRef | None,
    version: int,
    arrivals_per_hour_max: int,
) -> ControlCall:
    """Say what a first-seen customer's budget is made from; without a limit or a reference, none is made."""
    if limit_nanousd is None or ref is None:
        args: tuple[Argument, ...] = (version, "", "", "", "")
    else:
        check_limit(limit_nanousd)
        args = (version, limit_nanousd, ref.measure, arrivals_per_hour_max, msgspec.json.encode(ref))
    return ControlCall(SET_DEFAULT, scope.shard, (scope.default_budget(),), args)


def complete_customers_call(scope: Scope, *, epoch: int) -> ControlCall:
    """Say that the customer index is whole."""
    return ControlCall(COMPLETE_CUSTOMERS, scope.shard, (scope.customers(),), (epoch,))


def load_new_call(scope: Scope, *, budget_id: str, limit_nanousd: int, version: int) -> ControlCall:
    """Open a budget that was only just made, at zero."""
    check_limit(limit_nanousd)
    return ControlCall(LOAD_NEW, scope.shard, (scope.budget(budget_id),), (limit_nanousd, version))


def set_limit_call(scope: Scope, *, budget_id: str, limit_nanousd: int, version: int) -> ControlCall:
    """Change what a budget may spend."""
    check_limit(limit_nanousd)
    return ControlCall(SET_LIMIT, scope.shard, (scope.budget(budget_id),), (limit_nanousd, version))


def remove_budget_call(scope: Scope, *, budget_id: str, version: int) -> ControlCall:
    """Take a budget away."""
    return ControlCall(
        REMOVE_BUDGET, scope.shard, (scope.budget(budget_id),), (version, REMOVAL_REMEMBERED_MS)
    )


def read_budgets_call(scope: Scope, budget_ids: Iterable[str]) -> ControlCall:
    """Read budgets at one position of their shard."""
    keys = tuple(scope.budget(budget_id) for budget_id in budget_ids)
    return ControlCall(READ_BUDGETS, scope.shard, keys, ())


def begin_rebuild_call(shard: int, *, found_epoch: int, epoch: int) -> ControlCall:
    """Begin a new epoch of a shard."""
    return ControlCall(BEGIN_REBUILD, shard, (wanted_key(shard),), (found_epoch, epoch))


def open_call(shard: int, *, epoch: int) -> ControlCall:
    """Let calls in again."""
    return ControlCall(OPEN, shard, (), (epoch,))


def check_limit(limit_nanousd: int) -> None:
    """Refuse a limit that Lua could not count exactly. Raises: ValueError."""
    if not 0 <= limit_nanousd <= LIMIT_NANOUSD_MAX:
        raise ValueError(f"a limit of {limit_nanousd} nano-dollars is not within 0 and {LIMIT_NANOUSD_MAX}")


def parse_balance(budget_id: str, flat: Sequence[bytes], *, seq: int) -> Balance | None:
    """Read one budget out of ``read_budgets``' reply; None when it is not loaded."""
    if not flat:
        return None
    fields = dict(zip(flat[::2], flat[1::2], strict=True))
    window_ids = sorted({name[2:] for name in fields if name[:2] in (b"s:", b"h:")})
    windows = tuple(
        WindowBalance(
            window_id=window_id.decode(),
            spent_nanousd=int(fields.get(b"s:" + window_id, 0)),
            held_nanousd=int(fields.get(b"h:" + window_id, 0)),
        )
        for window_id in window_ids
    )
    return Balance(
        budget_id=budget_id,
        limit_nanousd=int(fields[b"limit"]),
        version=int(fields[b"version"]),
        epoch=int(fields[b"epoch"]),
        seq=seq,
        windows=windows,
    )
