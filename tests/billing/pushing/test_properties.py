"""Sealing by property, on PostgreSQL: whatever comes in whatever order, pushed is the floor of the books."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import count

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from billing.ledger.billable import Who, charged_by_customer
from billing.models import BillingCursor, Push, Unsealed
from billing.pushing.sealing import seal_all
from tests.billing.pushing.conftest import CENT, HOUR, TEN, Till, billed, connect, map_customer, till
from tests.factories import make_customer, make_tenant

__all__ = ["billed", "till"]
pytestmark = [pytest.mark.property, pytest.mark.django_db(transaction=True, databases="__all__")]

NUMBERS = count(1)
FOREVER = datetime.fromisoformat("9999-01-01T00:00:00+00:00")
EDGE = TEN + timedelta(minutes=20)
# A step: a call (amount, minutes from ten), an expiry with or without its correction, a correction, a seal, an edge.
AMOUNTS = st.integers(min_value=1, max_value=3 * CENT)
MINUTES = st.integers(min_value=-600, max_value=180)
STEPS = st.one_of(
    st.tuples(st.just("call"), AMOUNTS, MINUTES),
    st.tuples(st.just("expire"), AMOUNTS, MINUTES),
    st.tuples(st.just("correct"), st.integers(min_value=-4 * CENT, max_value=CENT), MINUTES),
    st.tuples(st.just("lower"), AMOUNTS, MINUTES),
    st.tuples(st.just("seal"), st.just(0), MINUTES),
    st.tuples(st.just("edge"), st.just(0), MINUTES),
)


class Books:
    """One history played: what was booked for good is kept beside the ledger."""

    def __init__(self, till: Till) -> None:
        self.till = till
        self.open: list[tuple[str, int]] = []
        self.calls: list[tuple[str, int]] = []
        self.now = TEN - 10 * HOUR
        self.due_nanousd = 0

    def play(self, step: tuple[str, int, int]) -> None:
        """Do one step."""
        kind, amount, minutes = step
        at = TEN + timedelta(minutes=minutes)
        getattr(self, kind)(amount, at)

    def call(self, amount: int, at: datetime) -> None:
        hold_id = self._hold(at)
        self.till.book(amount, at=at, hold_id=hold_id)
        self.calls.append((hold_id, amount))
        self.due_nanousd += amount

    def expire(self, amount: int, at: datetime) -> None:
        hold_id = self._hold(at)
        self.till.expire(amount, hold_id=hold_id, at=at)
        self.open.append((hold_id, amount))

    def correct(self, difference: int, at: datetime) -> None:
        if self.open:
            hold_id, amount = self.open.pop()
            difference = max(difference, -amount)
            self.till.correct(difference, hold_id=hold_id, at=at)
            self.due_nanousd += amount + difference

    def lower(self, by: int, at: datetime) -> None:
        if self.calls:
            hold_id, amount = self.calls.pop()
            by = min(by, amount)
            self.till.book(-by, at=at, hold_id=hold_id, kind="correction", corrects=f"{hold_id}.settled.0")
            self.due_nanousd -= by

    def seal(self, _: int, at: datetime) -> None:
        self.till.record()
        self.now = max(self.now, at)
        seal_all(self.now)
        self.check()

    def edge(self, _: int, at: datetime) -> None:
        """The period that ends at ten past twenty, or the one after it."""
        start, end = (EDGE - timedelta(days=30), EDGE) if at < TEN else (EDGE, EDGE + timedelta(days=30))
        map_customer(self.till.customer, period_start=start, period_end=end)

    def check(self) -> None:
        """Pushed is the floor of what was sealed; a clamp only holds back; nothing is lost or twice."""
        cursor = BillingCursor.objects.filter(customer=self.till.customer).first()
        pushed = sum(Push.objects.filter(customer=self.till.customer).values_list("value_units", flat=True))
        sealed = int(cursor.sealed_nanousd) if cursor else 0
        unsealed = sum(
            Unsealed.objects.filter(tenant_id=self.till.tenant.pk).values_list("charge_nanousd", flat=True)
        )
        booked = charged_by_customer(Who(self.till.tenant.pk, "test"), FOREVER)
        assert sealed + unsealed == sum(booked.values()) == self.due_nanousd
        if cursor is None:
            assert pushed == 0
            return
        assert int(cursor.pushed_atto) == pushed * CENT * 10**9
        if not cursor.is_owed:
            assert pushed == sealed // CENT
        else:
            # Held back by a clamp: never billed too little, and no period is below zero.
            assert pushed > sealed // CENT
        assert pushed * CENT + cursor.carry_atto // 10**9 == sealed
        minutes = list(Push.objects.filter(customer=self.till.customer).values_list("minute_no", flat=True))
        assert len(minutes) == len(set(minutes))

    def _hold(self, at: datetime) -> str:
        return self.till.streams.hold_id(int(at.timestamp() * 1000))


@settings(
    max_examples=25,
    deadline=None,
    phases=(Phase.explicit, Phase.generate, Phase.shrink),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=st.lists(STEPS, min_size=3, max_size=14))
def test_pushed_is_the_floor_of_the_books_in_any_order(
    billed: Till, steps: list[tuple[str, int, int]]
) -> None:
    _begin(billed)
    books = Books(billed)
    for step in steps:
        books.play(step)
    books.seal(0, TEN + 4 * HOUR)


def _begin(till: Till) -> None:
    """Begin another history with a tenant of its own: what was booked stays, as it must."""
    till.tenant = make_tenant(f"Acme {next(NUMBERS)}")
    till.streams.open(till.tenant.pk)
    till.customer = make_customer(till.tenant)
    connect(till.tenant)
    map_customer(till.customer)
