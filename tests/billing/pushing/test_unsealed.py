"""What is billable is added up in the commit that books it: final amounts only, each once, in any order."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from itertools import permutations

import pytest

from billing.ledger import unsealed_sql
from billing.ledger.recorder import Recorder
from billing.models import Unsealed
from billing.models.stripe_meter import USAGE_LINE
from tests.billing.conftest import sql
from tests.billing.pushing.conftest import CENT, HOUR, TEN, Till

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")

LATER = TEN + HOUR


def test_calls_of_one_second_are_one_sum(till: Till) -> None:
    for _ in range(3):
        till.book(CENT, at=TEN)
    till.book(CENT, at=TEN + timedelta(milliseconds=900))
    till.book(CENT, at=TEN + timedelta(seconds=1))
    till.book(0, at=TEN + timedelta(seconds=9))
    till.record()

    rows = Unsealed.objects.order_by("at")

    assert [(row.at, row.charge_nanousd, row.row_count) for row in rows] == [
        (TEN, 4 * CENT, 4),
        (TEN + timedelta(seconds=1), CENT, 1),
    ]
    assert {(row.customer_id, row.line) for row in rows} == {(till.customer.pk, USAGE_LINE)}
    assert unsealed_sql.LINE == USAGE_LINE


def test_what_is_read_twice_is_billable_once(till: Till, make_recorder: Callable[..., Recorder]) -> None:
    till.book(CENT)
    till.record()
    till.recorder.close()
    sql("DELETE FROM shard_mark", alias="owner")  # PostgreSQL has forgotten how far it was

    make_recorder().drain()

    assert till.waiting_nanousd() == CENT


def test_an_unresolved_call_is_not_billable(till: Till) -> None:
    till.expire(9 * CENT, hold_id=till.streams.hold_id())
    till.record()

    assert list(Unsealed.objects.all()) == []


# An expiry at 9 cents that was 2 cents after all, and then 3: every order, in one batch and in one each.
EVENTS = ("expired", "first", "second")


@pytest.mark.parametrize("together", [True, False], ids=["one batch", "batches"])
@pytest.mark.parametrize("order", list(permutations(EVENTS)), ids="-".join)
def test_only_what_is_finally_booked_is_billable_in_any_order(
    till: Till, order: tuple[str, ...], together: bool
) -> None:
    hold_id = till.streams.hold_id()
    append = {
        "expired": lambda: till.expire(9 * CENT, hold_id=hold_id),
        "first": lambda: till.correct(-7 * CENT, hold_id=hold_id, number=0, at=LATER),
        "second": lambda: till.correct(CENT, hold_id=hold_id, number=1, at=LATER),
    }
    sums = []
    for name in order:
        append[name]()
        if not together:
            till.record()
            sums.append(till.waiting_nanousd())
    till.record()

    assert till.waiting_nanousd() == 3 * CENT
    assert all(waiting >= 0 for waiting in sums)
    assert {row.at for row in Unsealed.objects.all()} == {LATER + timedelta(seconds=1)}


def test_a_call_that_was_never_billed_by_the_provider_comes_to_nothing(till: Till) -> None:
    hold_id = till.streams.hold_id()
    till.expire(9 * CENT, hold_id=hold_id)
    till.record()
    till.correct(-9 * CENT, hold_id=hold_id, basis="none", at=LATER)
    till.record()

    assert till.waiting_nanousd() == 0


def test_customers_modes_and_tenants_stay_apart(till: Till) -> None:
    till.book(CENT)
    till.book(2 * CENT, mode="live")
    till.record()

    assert [(row.mode, row.charge_nanousd) for row in Unsealed.objects.order_by("-mode")] == [
        ("test", CENT),
        ("live", 2 * CENT),
    ]
