"""Script calls of the control plane without I/O: publishing, limits, loading and the steps of a rebuild.

These scripts ask the server itself which process it is, so they carry no life: a pooled or cluster connection cannot
bring a stale one. Keys and arguments are in the order of the contract that opens each Lua file.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from enforcement.calls import (
    TOMBSTONE_ENDED_MS,
    TOMBSTONE_EXPIRED_MS,
    Argument,
    BookedDraw,
    Reply,
    Script,
    format_draws,
)
from enforcement.decisions import Balance, WindowBalance
from enforcement.hold_calls import HoldRef
from enforcement.keys import Scope, deadlines_key, shard_key, usage_key, wanted_key
from enforcement.policies import BudgetRef
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
BEGIN_LOAD = Script("begin_load")
LOAD = Script("load")
UNLOAD = Script("unload")
CARRY = Script("carry")
BURY = Script("bury")
FORGET = Script("forget")
RETIRE = Script("retire")
MARK_RECORDED = Script("mark_recorded")


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


@dataclass(frozen=True, slots=True)
class RecorderMark:
    """How far the ledger is, as the ledger itself says."""

    epoch: int = 0
    seq: int = 0
    stream_id: str = "0-0"


@dataclass(frozen=True, slots=True)
class BudgetLoad:
    """A budget as the database has it, with the ledger's sums of the windows that still matter."""

    scope: Scope
    budget_id: str
    limit_nanousd: int
    version: int
    windows: tuple[tuple[str, int], ...] = ()  # window id, spent_nanousd


@dataclass(frozen=True, slots=True)
class EndedHold:
    """A hold the ledger has rows for: how it ended, and what is booked for it in all."""

    scope: Scope
    hold_id: str
    state: Literal["settled", "released", "expired"]
    cost_nanousd: int
    charge_nanousd: int
    draws: tuple[BookedDraw, ...]
    corrections: int = 0


def publish_call(scope: Scope, policy_key: str, *, version: int, body: bytes) -> ControlCall:
    """Put one policy document."""
    return ControlCall(PUBLISH, scope.shard, (policy_key,), (version, body))


def publish_customer_call(
    scope: Scope, customer_id: str, *, digest: str, version: int, body: bytes
) -> ControlCall:
    """Put a customer's policy and its entry in the tenant's customer index."""
    keys = (scope.customer_policy(customer_id), scope.customers())
    return ControlCall(PUBLISH, scope.shard, keys, (version, body, digest, customer_id))


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


def begin_load_call(scope: Scope, budget_id: str) -> ControlCall:
    """Open the record of a budget that is not loaded, at the shard's present position."""
    return ControlCall(BEGIN_LOAD, scope.shard, (scope.budget(budget_id),), ())


def load_call(load: BudgetLoad, mark: RecorderMark, *, epoch: int, opening: int | None = None) -> ControlCall:
    """Give a budget its limit and the ledger's sums. ``opening`` is what ``begin_load`` said; None in a rebuild."""
    check_limit(load.limit_nanousd)
    scope = load.scope
    shard = scope.shard
    sums = [part for window_id, spent_nanousd in load.windows for part in (window_id, spent_nanousd)]
    return ControlCall(
        LOAD,
        shard,
        (scope.budget(load.budget_id), usage_key(shard), wanted_key(shard)),
        (
            epoch,
            load.limit_nanousd,
            load.version,
            "" if opening is None else opening,
            mark.epoch,
            mark.seq,
            mark.stream_id,
            wanted_field(scope, load.budget_id),
            *sums,
        ),
    )


def unload_call(scope: Scope, budget_id: str) -> ControlCall:
    """Take a budget out of force, so that it is loaded from the ledger again."""
    keys = (scope.budget(budget_id), wanted_key(scope.shard))
    return ControlCall(UNLOAD, scope.shard, keys, (wanted_field(scope, budget_id),))


def wanted_field(scope: Scope, budget_id: str) -> str:
    """How a budget is named among the wanted ones of its shard."""
    return f"{scope.tenant_id}:{scope.mode}:{budget_id}"


def carry_call(shard: int, refs: Sequence[HoldRef], *, epoch: int, lease_ms: int) -> ControlCall:
    """Take up to 100 holds of an older epoch over, so that they can expire."""
    keys = [deadlines_key(shard)]
    args: list[Argument] = [epoch, lease_ms]
    for ref in refs:
        ref_keys = (ref.scope.hold(ref.hold_id), *(ref.scope.budget(draw.budget_id) for draw in ref.draws))
        keys += ref_keys
        args.append(len(ref_keys))
    return ControlCall(CARRY, shard, tuple(keys), tuple(args))


def bury_call(hold: EndedHold, *, epoch: int, idempotency_digest: str = "") -> ControlCall:
    """Write the tombstone of a hold that the ledger knows to have ended, and close its Idempotency-Key's record."""
    scope = hold.scope
    tombstone_ms = TOMBSTONE_EXPIRED_MS if hold.state == "expired" else TOMBSTONE_ENDED_MS
    args = (epoch, hold.state, hold.cost_nanousd, hold.charge_nanousd, hold.corrections)
    return ControlCall(
        BURY,
        scope.shard,
        (
            deadlines_key(scope.shard),
            scope.hold(hold.hold_id),
            *(scope.budget(draw.budget_id) for draw in hold.draws),
            *((scope.idempotency(idempotency_digest),) if idempotency_digest else ()),
        ),
        (*args, scope.tenant_id, scope.mode, format_draws(hold.draws), tombstone_ms, hold.hold_id),
    )


def forget_call(shard: int, hold_keys: Iterable[str]) -> ControlCall:
    """Take members out of the deadlines whose hold is not open."""
    return ControlCall(FORGET, shard, (deadlines_key(shard), *hold_keys), ())


def retire_call(shard: int, record_keys: Iterable[str], *, epoch: int) -> ControlCall:
    """Delete published records that an older epoch left."""
    return ControlCall(RETIRE, shard, tuple(record_keys), (epoch,))


def mark_recorded_call(shard: int, *, epoch: int, seq: int) -> ControlCall:
    """Say how far the ledger has committed."""
    return ControlCall(MARK_RECORDED, shard, (), (epoch, seq))


def check_limit(limit_nanousd: int) -> None:
    """Refuse a limit that Lua could not count exactly. Raises: ValueError."""
    if not 0 <= limit_nanousd <= LIMIT_NANOUSD_MAX:
        raise ValueError(f"a limit of {limit_nanousd} nano-dollars is not within 0 and {LIMIT_NANOUSD_MAX}")


def parse_balances(budget_ids: Sequence[str], reply: Reply) -> list[Balance | None]:
    """Read ``read_budgets``' reply; None for a budget that is not loaded."""
    last_event_seq, *records = reply.rest
    return [
        _balance(budget_id, flat, reply.seq, last_event_seq)
        for budget_id, flat in zip(budget_ids, records, strict=True)
    ]


def _balance(budget_id: str, flat: Sequence[bytes], seq: int, last_event_seq: int) -> Balance | None:
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
        last_event_seq=last_event_seq,
    )
