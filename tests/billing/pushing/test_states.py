"""Every answer of a sink, judged; and what each state says to a person."""

from __future__ import annotations

from datetime import timedelta

import pytest

from billing.models import Push
from billing.pushing.states import (
    NEXT_STEPS,
    Effect,
    backoff_s,
    change_after,
    change_after_report,
    lease_s,
    window_of,
)
from billing.stripe.outcomes import Outcome, Verdict

ANSWERS = [
    (Outcome(Verdict.ACCEPTED), "accepted", Effect.NONE),
    (Outcome(Verdict.DUPLICATE), "accepted", Effect.NONE),
    (Outcome(Verdict.RETRY, reason="resource-specific"), "retry", Effect.NONE),
    (Outcome(Verdict.RETRY, reason="lock_timeout"), "retry", Effect.NONE),
    (Outcome(Verdict.RETRY, reason="global-rate"), "retry", Effect.SLOW_DOWN),
    (Outcome(Verdict.AMBIGUOUS), "retry", Effect.SLOW_DOWN),
    (Outcome(Verdict.AUTH), "pending", Effect.BREAK_SINK),
    (Outcome(Verdict.PERMISSION), "pending", Effect.BREAK_SINK),
    (Outcome(Verdict.MISSING), "rejected", Effect.LOSE_CUSTOMER),
    (Outcome(Verdict.INVALID, code="archived_meter"), "held", Effect.BREAK_METER),
    (Outcome(Verdict.INVALID, code="no_meter"), "held", Effect.BREAK_METER),
    (Outcome(Verdict.INVALID, code="timestamp_too_far_in_past"), "retry", Effect.STAMP_NOW),
    (Outcome(Verdict.INVALID, code="timestamp_in_future"), "retry", Effect.NONE),
    (Outcome(Verdict.INVALID, code="payload_invalid_value"), "failed", Effect.NONE),
    (Outcome(Verdict.INVALID, code="meter_event_value_too_many_digits"), "failed", Effect.NONE),
    (Outcome(Verdict.CLASH), "failed", Effect.NONE),
]


@pytest.mark.parametrize(
    ("outcome", "state", "effect"),
    ANSWERS,
    ids=[f"{each.verdict} {each.code or each.reason}" for each, *_ in ANSWERS],
)
def test_every_answer_has_its_state(outcome: Outcome, state: str, effect: Effect) -> None:
    change = change_after(outcome, attempts=1, was_doubtful=False, jitter=0.5)

    assert (change.state, change.effect) == (state, effect)
    assert change.is_doubtful == (outcome.verdict == Verdict.AMBIGUOUS)


@pytest.mark.parametrize("verdict", [Verdict.INVALID, Verdict.MISSING, Verdict.CLASH])
def test_a_refused_repeat_says_nothing_of_the_first(verdict: Verdict) -> None:
    change = change_after(Outcome(verdict, code="no_meter"), attempts=2, was_doubtful=True)

    assert (change.state, change.is_doubtful, change.effect) == ("ambiguous", True, Effect.NONE)


def test_doubt_survives_a_wait_and_a_refused_key() -> None:
    for verdict in (Verdict.RETRY, Verdict.AUTH):
        change = change_after(Outcome(verdict), attempts=2, was_doubtful=True)
        assert (change.state, change.is_doubtful) == ("retry", True)


def test_a_pause_doubles_up_to_ten_minutes_and_is_spread() -> None:
    assert [backoff_s(attempts, 1.0) for attempts in (1, 2, 3, 10, 99)] == [1, 2, 4, 512, 600]
    assert backoff_s(3, 0.0) == 2
    assert (lease_s(1), lease_s(99)) == (120, 3600)


def test_a_report_rejects_and_says_whose_fault_it_is() -> None:
    assert change_after_report("meter_event_customer_not_found").effect == Effect.LOSE_CUSTOMER
    assert change_after_report("archived_meter").effect == Effect.BREAK_METER
    assert change_after_report("timestamp_in_future").state == "rejected"


def test_a_repeat_is_safe_for_as_long_as_the_sink_remembers() -> None:
    assert window_of("stripe", "v2") == window_of("webhook", "") == timedelta(days=29)
    assert window_of("stripe", "v1") == timedelta(hours=23)


def test_every_state_says_what_comes_next() -> None:
    assert set(NEXT_STEPS) == set(Push.State.values)
