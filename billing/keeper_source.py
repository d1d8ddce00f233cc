"""What a rebuild of Redis is told by PostgreSQL: documents and limits from the control plane, sums from the ledger."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import cast

from django.utils import timezone

from billing.ledger import queries
from billing.ledger.queries import Position, Span
from enforcement.calls import TOMBSTONE_EXPIRED_MS
from enforcement.control_calls import BudgetLoad, ControlCall, EndedHold, RecorderMark
from enforcement.keys import Scope
from enforcement.policies import Measure
from metering.windows import WindowKind, WindowSpec, window_at
from tenants import republishing
from tenants.models import Budget, TenantSettings
from tenants.projection import milliseconds

DAY_MS = 24 * 3600 * 1000
# No window of a kind, named by the first letter of its id, is longer than this; clocks that go back are counted in.
_DAYS_MAX = {"d": 2, "w": 8, "m": 32, "a": 32}
_DATED_WINDOW = re.compile(r"([dwma])(-?\d+)")
# A hold may settle in a window that ended this long ago.
_LATE_DAYS = 2

Sums = Mapping[tuple[Scope, str], tuple[tuple[str, int], ...]]
Marks = Mapping[int, RecorderMark]


class PostgresSource:
    """The ``DataSource`` of rebuilds, on the app's connection."""

    def marks(self, shards: Sequence[int]) -> Marks:
        """How far each shard is recorded, or which epoch its recorder has seen."""
        return queries.marks(shards)

    def shards_left_behind(self, epochs: Mapping[int, int]) -> set[int]:
        """Shards whose recorder may still commit what it read before the epoch given."""
        return queries.shards_left_behind(epochs)

    def published(self, shards: Sequence[int]) -> Iterable[ControlCall]:
        """The calls that publish every document of these shards."""
        return republishing.published(shards)

    def scopes(self, shards: Sequence[int]) -> Iterable[Scope]:
        """Every tenant and mode of these shards."""
        return republishing.scopes(shards)

    def ended(self, hold_ids: Sequence[str]) -> Iterable[EndedHold]:
        """Those of these holds that the ledger has rows for."""
        return queries.ended_holds(hold_ids)

    def expired_lately(self, shards: Sequence[int]) -> Iterable[EndedHold]:
        """Holds that expired within the retention of a tombstone."""
        since = timezone.now() - timedelta(milliseconds=TOMBSTONE_EXPIRED_MS)
        return queries.holds_expired_since(shards, since)

    def budgets(self, shards: Sequence[int]) -> tuple[Marks, Iterable[BudgetLoad]]:
        """Every budget of these shards with the ledger's sums; the marks are read first."""
        marks = queries.marks(shards)
        sums = _group(found for shard in shards for found in queries.sums_by_budget_window(shard=shard))
        loads = list(republishing.budgets_in_force(shards))
        loads += _strays(set(sums) - {(load.scope, load.budget_id) for load in loads})
        return marks, _with_sums(loads, sums, marks)

    def budgets_named(self, names: Sequence[tuple[Scope, str]]) -> tuple[Marks, Iterable[BudgetLoad]]:
        """The budgets named, likewise."""
        marks = queries.marks([scope.shard for scope, _ in names])
        scopes = {scope for scope, _ in names}
        sums = _group(found for scope in scopes for found in queries.sums_by_budget_window(scope=scope))
        loads = republishing.budgets_named(names)
        loads += _strays(set(names) - {(load.scope, load.budget_id) for load in loads})
        return marks, _with_sums(loads, sums, marks)


def matters(window_id: str, now_ms: int) -> bool:
    """Whether a window may still be drawn on: it has not ended, or so lately that a late end books in it."""
    named = _DATED_WINDOW.fullmatch(window_id)
    if named is None:
        return True
    return now_ms < int(named[2]) * 1000 + (_DAYS_MAX[named[1]] + _LATE_DAYS) * DAY_MS


def _group(sums: Iterable[queries.WindowSum]) -> Sums:
    now_ms = milliseconds(timezone.now())
    grouped: defaultdict[tuple[Scope, str], list[tuple[str, int]]] = defaultdict(list)
    for found in sums:
        if matters(found.window_id, now_ms):
            grouped[found.scope, found.budget_id].append((found.window_id, found.spent_nanousd))
    return {name: tuple(windows) for name, windows in grouped.items()}


def _strays(names: set[tuple[Scope, str]]) -> list[BudgetLoad]:
    """Budgets that the proxy made for a first-seen customer whose row is not made yet: under the default limit.

    Left out they would be made once more, at zero, by the customer's next call. An archived one stays away.
    """
    archived = set(
        Budget.objects.filter(pk__in=[budget_id for _, budget_id in names]).values_list("pk", flat=True)
    )
    stray = [(scope, budget_id) for scope, budget_id in names if budget_id not in archived]
    defaults = {
        (row.tenant_id, row.mode): row
        for row in TenantSettings.objects.filter(
            tenant_id__in={scope.tenant_id for scope, _ in stray}, default_limit_nanousd__isnull=False
        )
    }
    loads = []
    for scope, budget_id in stray:
        settings = defaults.get((scope.tenant_id, scope.mode))
        if settings is not None:
            loads.append(BudgetLoad(scope, budget_id, settings.default_limit_nanousd or 0, settings.version))
    return loads


def _with_sums(loads: Iterable[BudgetLoad], sums: Sums, marks: Marks) -> list[BudgetLoad]:
    made = [
        BudgetLoad(
            load.scope,
            load.budget_id,
            load.limit_nanousd,
            load.version,
            sums.get((load.scope, load.budget_id), ()),
        )
        for load in loads
    ]
    counting = Budget.objects.filter(pk__in=[load.budget_id for load in made], count_so_far=True)
    so_far = {budget.pk: budget for budget in counting}
    return [
        _counted_so_far(load, so_far[load.budget_id], marks) if load.budget_id in so_far else load
        for load in made
    ]


def _counted_so_far(load: BudgetLoad, budget: Budget, marks: Marks) -> BudgetLoad:
    """Count, in the window a budget was made in, every row of its scope: also those from before it."""
    kind = cast("WindowKind", budget.window_kind)
    spec = WindowSpec(kind, budget.zone, budget.anchor_day)
    window = window_at(spec, milliseconds(budget.created_at))
    if not matters(window.window_id, milliseconds(timezone.now())):
        return load
    mark = marks.get(load.scope.shard, RecorderMark())
    span = Span(
        scope=load.scope,
        measure=cast("Measure", budget.measure),
        start_ms=window.start_ms,
        end_ms=window.end_ms,
        customer_id=budget.customer_id or "",
        key_id=budget.key_id or "",
    )
    spent_nanousd = queries.rows_sum_upto(span, Position(mark.epoch, mark.seq))
    others = tuple(found for found in load.windows if found[0] != window.window_id)
    return BudgetLoad(
        load.scope,
        load.budget_id,
        load.limit_nanousd,
        load.version,
        ((window.window_id, spent_nanousd), *others),
    )
