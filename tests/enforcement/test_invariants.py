"""I1 to I4 under any interleaving: the scripts against a model of a few lines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from enforcement.control_calls import (
    BudgetLoad,
    ControlCall,
    RecorderMark,
    begin_load_call,
    load_call,
    load_new_call,
    set_limit_call,
    unload_call,
)
from enforcement.decisions import (
    AlreadyEnded,
    Crowded,
    Ended,
    Granted,
    NotLoaded,
    Refused,
    Replayed,
    Reservation,
    Unknown,
)
from enforcement.hold_calls import HoldRef
from enforcement.keys import shard_key
from metering.windows import Window
from tests.enforcement.desk import ACME, EPOCH, Desk, amounts, draw, ref_of

BUDGETS = ("bud_a", "bud_b")
LIMITS = st.integers(0, 6_000)
PICKS = st.integers(0, 10**6)


@dataclass
class Held:
    """The model of a hold."""

    reservation: Reservation
    ref: HoldRef
    state: str
    window_id: str
    budgets: tuple[str, ...]
    amount: int
    booked: int = 0


class Budgets(RuleBasedStateMachine):
    client: redis.Redis

    @initialize()
    def begin(self) -> None:
        self.client.flushall()
        self.desk = Desk(self.client)
        self.turn = 0
        self.windows = [self.window(0), self.window(1)]
        self.limits = dict.fromkeys(BUDGETS, 3_000)
        self.spent: dict[tuple[str, str], int] = {}
        self.holds: list[Held] = []
        self.unloaded: set[str] = set()
        self.versions = 0
        for budget_id in BUDGETS:
            self.desk.budget(budget_id, 3_000)

    def window(self, number: int) -> Window:
        """The present is always in the window of this number; the one before lies in the past."""
        now = self.desk.now_ms()
        start = now - 10_000 if number == self.turn else now + 3_600_000
        return Window(f"d{number}", start, start + 3_600_000)

    def room(self, budget_id: str) -> tuple[int, int]:
        window_id = f"d{self.turn}"
        spent = self.spent.get((budget_id, window_id), 0)
        return self.limits[budget_id] - spent, self.held(budget_id, window_id)

    def held(self, budget_id: str, window_id: str) -> int:
        return sum(
            hold.amount
            for hold in self.holds
            if hold.state in ("reserved", "dispatched")
            and hold.window_id == window_id
            and budget_id in hold.budgets
        )

    def book(self, hold: Held, state: str, amount: int) -> None:
        for budget_id in hold.budgets:
            key = (budget_id, hold.window_id)
            self.spent[key] = self.spent.get(key, 0) + amount - hold.booked
        hold.state, hold.booked = state, amount

    def pick(self, number: int, *states: str) -> Held | None:
        chosen = [hold for hold in self.holds if not states or hold.state in states]
        return chosen[number % len(chosen)] if chosen else None

    @rule(
        least=st.integers(0, 900),
        per_token=st.integers(0, 40),
        may_cut=st.booleans(),
        budgets=st.sampled_from([("bud_a",), ("bud_b",), BUDGETS]),
        stale=st.booleans(),
    )
    def reserve(
        self, least: int, per_token: int, may_cut: bool, budgets: tuple[str, ...], stale: bool
    ) -> None:
        here, following = self.window(self.turn), self.window(self.turn + 1)
        if stale:  # the caller's idea is one window old; the one that follows is the present one
            now = self.desk.now_ms()
            here, following = Window(f"d{self.turn - 1}", now - 7_200_000, now - 10_000), here
        draws = [draw(budget_id, window=here, following=following) for budget_id in budgets]
        quote = amounts(least, per_token, 90, 10)
        reservation = self.desk.reservation(*draws, least=least, per_token=per_token, cap_is_ours=may_cut)
        outcome = self.desk.reserve(reservation)
        rooms = [self.room(budget_id) for budget_id in budgets]
        if not self.unloaded.isdisjoint(budgets):
            assert isinstance(outcome, NotLoaded), outcome
        elif any(left < quote.at_minimum for left, _ in rooms):
            assert isinstance(outcome, Refused), outcome
        elif all(left - held >= quote.at_cap for left, held in rooms):
            assert isinstance(outcome, Granted), outcome
            assert not outcome.clamped
            assert outcome.charge_nanousd == quote.at_cap
        elif all(left >= quote.at_cap for left, _ in rooms):
            assert isinstance(outcome, Crowded), outcome
        elif not may_cut:
            assert isinstance(outcome, Refused), outcome
        elif all(left - held >= quote.at_minimum for left, held in rooms):
            assert isinstance(outcome, Granted), outcome
            cap = min((left - held - least) // per_token for left, held in rooms)
            assert (outcome.output_cap, outcome.charge_nanousd) == (cap, least + per_token * cap)
        else:
            assert isinstance(outcome, Crowded), outcome
        if isinstance(outcome, Granted):
            ref = ref_of(reservation, outcome)
            window_id = f"d{self.turn}"
            self.holds.append(Held(reservation, ref, "reserved", window_id, budgets, outcome.charge_nanousd))
            # I1, at the grant itself
            assert all(held + outcome.charge_nanousd <= left for left, held in rooms)
            assert (
                outcome.remaining_nanousd == min(left - held for left, held in rooms) - outcome.charge_nanousd
            )

    @rule(number=PICKS)
    def replay(self, number: int) -> None:
        if hold := self.pick(number):
            outcome = self.desk.reserve(hold.reservation)
            assert isinstance(outcome, Replayed)
            assert outcome.state == hold.state

    @rule(number=PICKS)
    def dispatch(self, number: int) -> None:
        if hold := self.pick(number):
            may_send = hold.state in ("reserved", "dispatched")
            assert (self.desk.dispatched(hold.ref).status == "dispatched") == may_send
            hold.state = "dispatched" if may_send else hold.state

    @rule(number=PICKS)
    def renew(self, number: int) -> None:
        if hold := self.pick(number):
            expected = "renewed" if hold.state == "dispatched" else hold.state
            assert self.desk.renew(hold.ref) == [expected]

    @rule(number=PICKS, cost=st.integers(0, 4_000))
    def settle(self, number: int, cost: int) -> None:
        if hold := self.pick(number):
            outcome = self.desk.settle(hold.ref, cost)
            if hold.state in ("settled", "released"):
                assert outcome == AlreadyEnded(hold.state)
            else:
                assert isinstance(outcome, Ended)
                assert outcome.corrected == (hold.state == "expired")
                self.book(hold, "settled", cost)

    @rule(number=PICKS)
    def release(self, number: int) -> None:
        if hold := self.pick(number):
            outcome = self.desk.release(hold.ref)
            if hold.state in ("settled", "released"):
                assert outcome == AlreadyEnded(hold.state)
            else:
                assert isinstance(outcome, Ended)
                self.book(hold, "released", 0)

    @rule(number=PICKS, lapsed=st.booleans())
    def expire(self, number: int, lapsed: bool) -> None:
        if hold := self.pick(number, "reserved", "dispatched"):
            if lapsed:
                self.desk.lapse(hold.ref)
            expected = "expired" if hold.state == "dispatched" else "released"
            assert self.desk.expire(hold.ref) == [expected if lapsed else "early"]
            if lapsed:
                self.book(hold, expected, hold.amount if expected == "expired" else 0)

    @rule(budget_id=st.sampled_from(BUDGETS), limit=LIMITS)
    def set_limit(self, budget_id: str, limit: int) -> None:
        self.limits[budget_id] = limit
        assert self.control(
            set_limit_call(ACME, budget_id=budget_id, limit_nanousd=limit, version=self.version())
        )

    @rule(budget_id=st.sampled_from(BUDGETS))
    def load_again(self, budget_id: str) -> None:
        """A budget in force, or on its way there from the ledger, is not opened as new, whatever its limit."""
        is_opening = bool(self.desk.redis.hexists(ACME.budget(budget_id), "opening"))
        is_known = is_opening or budget_id not in self.unloaded
        limit = 10**9 if is_known else self.limits[budget_id]
        call = load_new_call(ACME, budget_id=budget_id, limit_nanousd=limit, version=self.version())
        assert self.control(call) == ("known" if is_known else "loaded")
        if not is_known:
            self.unloaded.discard(budget_id)

    @rule(budget_id=st.sampled_from(BUDGETS))
    def unload(self, budget_id: str) -> None:
        expected = "not_loaded" if budget_id in self.unloaded else "unloaded"
        assert self.control(unload_call(ACME, budget_id)) == expected
        self.unloaded.add(budget_id)

    @rule(budget_id=st.sampled_from(BUDGETS), is_late=st.booleans())
    def load(self, budget_id: str, is_late: bool) -> None:
        """From the ledger's sums, as the keeper does: refused where they are older than what came since."""
        if budget_id not in self.unloaded:
            return
        self.control(begin_load_call(ACME, budget_id))
        sums = tuple((window, spent) for (budget, window), spent in self.spent.items() if budget == budget_id)
        position = int(self.desk.redis.hget(shard_key(ACME.shard), "seq") or 0)
        opening = int(self.desk.redis.hget(ACME.budget(budget_id), "opening") or 0)
        if is_late and opening == 0:
            return
        load = BudgetLoad(ACME, budget_id, self.limits[budget_id], self.version(), sums)
        mark = RecorderMark(EPOCH, opening - 1 if is_late else position, "0-0")
        status = self.control(load_call(load, mark, epoch=EPOCH, opening=opening))
        assert status == ("moved" if is_late else "loaded")
        if not is_late:
            self.unloaded.discard(budget_id)

    def control(self, call: ControlCall) -> str:
        reply: Any = self.desk.redis.execute_command("EVAL", call.script.text, *call.parts())
        return reply[0].decode() if isinstance(reply[0], bytes) else str(reply[0])

    def version(self) -> int:
        self.versions += 1
        return self.versions

    @rule()
    def turn_window(self) -> None:
        self.turn += 1

    @rule()
    def end_nobody_knows(self) -> None:
        ref = HoldRef(ACME, self.desk.hold_id(), ())
        assert self.desk.settle(ref, 5) == Unknown(ref.hold_id)

    @invariant()
    def books_agree(self) -> None:
        if not hasattr(self, "desk"):
            return
        open_keys = {
            ACME.hold(hold.ref.hold_id) for hold in self.holds if hold.state in ("reserved", "dispatched")
        }
        assert set(self.desk.open_keys()) == open_keys
        sums: dict[tuple[str, str], int] = {}
        for event in self.desk.events():
            for booked in event["draws"].split(","):
                budget_id, window_id, measure = booked.split(":")
                sums[budget_id, window_id] = sums.get((budget_id, window_id), 0) + int(event[measure])
        for budget_id in BUDGETS:
            record = self.desk.record(budget_id)
            for number in range(self.turn + 1):
                key = (budget_id, f"d{number}")
                held, spent = int(record.get(f"h:d{number}", 0)), int(record.get(f"s:d{number}", 0))
                assert held == self.held(*key) >= 0
                assert self.spent.get(key, 0) == sums.get(key, 0)
                # Out of force, the record counts from where its loading began; the ledger knows the rest.
                assert budget_id in self.unloaded or spent == sums.get(key, 0)


def check(client: Any, *, examples: int, steps: int) -> None:
    """Walk the model and the scripts side by side."""
    machine = type("BudgetsHere", (Budgets,), {"client": client})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.property
def test_held_is_the_sum_of_open_holds_and_spent_the_sum_of_events(redis_client: redis.Redis) -> None:
    check(redis_client, examples=60, steps=40)
