"""Reloading: set a budget's ``spent`` from the ledger, by the protocol that loads budgets under traffic.

Calls on it are answered 503 from the moment it is taken out of force until it is loaded, usually well under a second.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from billing.errors import BillingError
from billing.keeper_source import PostgresSource
from billing.ledger.drift import wait_for_recorder
from billing.ledger.feed import Feed
from enforcement.control import Control
from enforcement.decisions import Balance
from enforcement.wanted import WantedLoader, unload_budget, want_budget
from tenants.actions.recording import Actor, Trail
from tenants.models import Budget
from tenants.policy_calls import scope_of

TRIES_MAX = 200
PAUSE_SECONDS = 0.1


class NotReloaded(BillingError):
    """A budget was taken out of force and is not loaded yet: the keeper goes on with it."""

    code = "not_reloaded"


@dataclass(frozen=True, slots=True)
class Reloaded:
    """``spent`` by window id before (empty where it was not loaded) and after."""

    before: dict[str, int] = field(default_factory=dict)
    after: dict[str, int] = field(default_factory=dict)


def reload_budget(
    budget: Budget, *, actor: Actor, control: Control, wait: Callable[[float], None] = time.sleep
) -> Reloaded:
    """Set a budget's sums from the ledger and write down what they were and are.

    Raises: EnforcementUnavailable; RecorderTooSlow, with nothing changed; NotReloaded.
    """
    scope, feed = scope_of(budget), Feed(control.client)
    # While the recorder is behind, the budget would be out of force for as long.
    wait_for_recorder(feed, scope.shard, wait=wait)
    before = _spent(control.read_budget(scope, budget.pk))
    trail = Trail(budget.tenant, budget.mode, actor)
    trail.audit("budget.reload", budget, before={"spent_nanousd": before})
    if not unload_budget(control.client, scope, budget.pk):
        want_budget(control.client, scope, budget.pk)
    loader = WantedLoader(control.client, PostgresSource())
    for _ in range(TRIES_MAX):
        loader.advance({scope.shard: feed.states([scope.shard])[scope.shard].epoch})
        balance = control.read_budget(scope, budget.pk)
        if balance is not None:
            after = _spent(balance)
            trail.audit(
                "budget.reloaded", budget, before={"spent_nanousd": before}, after={"spent_nanousd": after}
            )
            return Reloaded(before, after)
        wait(PAUSE_SECONDS)
    raise NotReloaded(
        f"budget {budget.pk} waits for the recorder; calls on it are answered 503 until the keeper has loaded it"
    )


def _spent(balance: Balance | None) -> dict[str, int]:
    return {window.window_id: window.spent_nanousd for window in balance.windows} if balance else {}
