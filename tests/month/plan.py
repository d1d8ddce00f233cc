"""What happens in the month: who calls when, what it costs, and what the books should come to, kept beside them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from random import Random

from metering.cost import cost_of
from metering.events import EventBody, encode_body
from metering.ids import make_hold_id
from metering.money import charge_for
from metering.rates import Price
from metering.usage import Usage

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
# Billionths of the currency per dollar, from a day of the month on.
RATES: dict[str, dict[int, int]] = {
    "eur": {1: 921_000_000, 11: 934_700_000, 21: 917_300_001},
    "jpy": {1: 151_230_000_000, 11: 149_870_000_000, 21: 152_001_000_000},
    "kwd": {1: 307_450_000, 11: 306_900_000, 21: 307_123_456},
}
CURRENCIES = ("usd", "eur", "jpy", "kwd")
# From (day, hour, minute) of the month on, in basis points: also in the middle of an hour.
MARKUPS = (((1, 0, 0), 2_000), ((8, 12, 30), 3_500), ((20, 3, 15), 1_500))
LATE_PERMILLE, EXPIRED_PERMILLE, CORRECTED_PERMILLE = 10, 6, 4


@dataclass(frozen=True)
class Size:
    """How large a month: customers, calls, hours with usage per customer, hours per step of the clock, nights apart."""

    customers: int
    rows: int
    active_hours: int
    step_hours: int
    nights_apart: int


SMALL = Size(customers=15, rows=450, active_hours=4, step_hours=24, nights_apart=3)
FULL = Size(customers=200, rows=500_000, active_hours=24, step_hours=12, nights_apart=2)


@dataclass(frozen=True)
class Buyer:
    """One customer of the plan: ``mapped_on`` is the day somebody says who it is at Stripe (0 = never)."""

    number: int
    currency: str
    mapped_on: int
    subscribed_on: int
    is_tiny: bool
    hours: tuple[datetime, ...]


@dataclass(order=True)
class Entry:
    """A row to be: when it is booked, and what its stream entry says."""

    booked_at: datetime
    number: int
    buyer: int = field(compare=False)
    fields: dict[str, object] = field(compare=False)
    # What becomes billable by it, in nano-dollars, and on which day.
    billable: tuple[date, int] | None = field(compare=False)


class Plan:
    """The month's calls in the order in which they are booked, and the sums that nobody else worked out."""

    def __init__(self, size: Size, start: datetime, *, seed: int = 20) -> None:
        self.size = size
        self.start = start
        self.end = (start + 32 * DAY).replace(day=1)
        self.random = Random(seed)  # the same month every time
        self.buyers = [self._buyer(number) for number in range(size.customers)]
        # By customer and day of the rate: what the books are to charge for good.
        self.billable: defaultdict[int, defaultdict[date, int]] = defaultdict(lambda: defaultdict(int))
        self.rows = 0
        self._later: list[Entry] = []
        self._numbers = iter(range(10**9))

    def _buyer(self, number: int) -> Buyer:
        kind = number % 16
        mapped_on = {13: 10, 14: 0}.get(kind, 1)
        hours = int((self.end - self.start) / HOUR)
        chosen = self.random.sample(range(hours), self.size.active_hours)
        # Everybody is busy at the very end of the period.
        chosen += [] if hours - 1 in chosen else [hours - 1]
        return Buyer(
            number, CURRENCIES[number % 4], mapped_on, {12: 12}.get(kind, mapped_on), kind in (5, 10),
            tuple(self.start + hour * HOUR for hour in sorted(chosen)),
        )  # fmt: skip

    def rate_nano(self, currency: str, day: date) -> int:
        """What a dollar is on a day."""
        if currency == "usd":
            return 10**9
        rates = RATES[currency]
        known = [first for first in rates if self.start.date().replace(day=first) <= day]
        return rates[max(known)]

    def due_atto(self, number: int) -> int:
        """What a customer's books come to in atto of its currency, converted by the day's rate."""
        currency = self.buyers[number].currency
        return sum(charge * self.rate_nano(currency, day) for day, charge in self.billable[number].items())

    def booked_between(
        self, start: datetime, end: datetime, *, names: list[str], prices: list[tuple[datetime, Price]]
    ) -> Iterator[Entry]:
        """Every entry booked in [start, end): calls of these hours, and what was left to come later."""
        share = max(1, self.size.rows // (self.size.customers * (self.size.active_hours + 1)))
        fresh = [
            entry
            for buyer in self.buyers
            for hour in buyer.hours
            if start <= hour < end
            for _ in range(self.random.randint(max(1, share // 2), share + share // 2 + 1))
            for entry in self._call(buyer, hour, names[buyer.number], prices)
        ]
        ready = [entry for entry in self._later if entry.booked_at < end] + fresh
        self._later = [entry for entry in self._later if entry.booked_at >= end]
        self._later += [entry for entry in ready if entry.booked_at >= end]
        for entry in sorted(entry for entry in ready if entry.booked_at < end):
            if entry.billable is not None:
                day, charge = entry.billable
                self.billable[entry.buyer][day] += charge
            self.rows += 1
            yield entry

    def _call(
        self, buyer: Buyer, hour: datetime, name: str, prices: list[tuple[datetime, Price]]
    ) -> Iterator[Entry]:
        at = hour + timedelta(milliseconds=self.random.randrange(3_600_000))
        price = [price for since, price in prices if since <= at][-1]
        markup_bp = [
            bp for (day, h, minute), bp in MARKUPS
            if self.start + timedelta(days=day - 1, hours=h, minutes=minute) <= at
        ][-1]  # fmt: skip
        usage = self._usage(buyer)
        cost = int(cost_of(usage, price))
        charge = int(charge_for(cost_of(usage, price), markup_bp))
        quote = cost * 2, int(charge_for(type(cost_of(usage, price))(cost * 2), markup_bp))
        hold_id = make_hold_id(int(at.timestamp() * 1000), next(self._numbers))
        made = _Call(hold_id, buyer.number, name, at, price.price_id, markup_bp, quote)
        luck = self.random.randrange(1000)
        late = timedelta(hours=self.random.randint(1, 60))
        if luck < LATE_PERMILLE:
            yield made.entry("settled", "reported", usage, (cost, charge), at + late, self, at.date())
        elif luck < LATE_PERMILLE + EXPIRED_PERMILLE:
            yield made.entry("expired", "unresolved", None, quote, at + timedelta(seconds=9), self, None)
            if luck % 3:
                difference = cost - quote[0], charge - quote[1]
                found = made.entry("correction", "reported", usage, difference, at + late, self, None)
                found.billable = (found.booked_at.date(), charge)
                yield found
        else:
            yield made.entry("settled", "reported", usage, (cost, charge), at, self, at.date())
            if luck > 999 - CORRECTED_PERMILLE:
                half = Usage(input_tokens=usage.input_tokens // 2, output_tokens=usage.output_tokens // 2)
                less = int(cost_of(half, price)), int(charge_for(cost_of(half, price), markup_bp))
                found = made.entry(
                    "correction", "reported", half, (less[0] - cost, less[1] - charge), at + late, self, None
                )
                found.fields["corrects"] = f"{hold_id}.settled.0"
                found.billable = (found.booked_at.date(), less[1] - charge)
                yield found

    def _usage(self, buyer: Buyer) -> Usage:
        if buyer.is_tiny:
            return Usage(input_tokens=self.random.randint(1, 9), output_tokens=self.random.randint(0, 3))
        return Usage(
            input_tokens=self.random.randint(50, 6_000), output_tokens=self.random.randint(1, 1_500),
            cache_read_tokens=self.random.choice((0, 0, 1_024)), reasoning_tokens=self.random.choice((0, 0, 333)),
        )  # fmt: skip

    def next_number(self) -> int:
        """A number for the order of what is booked at one instant."""
        return next(self._numbers)


@dataclass(frozen=True)
class _Call:
    """What all rows of one hold have in common."""

    hold_id: str
    buyer: int
    name: str
    at: datetime
    price_id: str
    markup_bp: int
    quote: tuple[int, int]

    def entry(
        self, kind: str, basis: str, usage: Usage | None, amounts: tuple[int, int], booked_at: datetime, plan: Plan,
        day: date | None,
    ) -> Entry:  # fmt: skip
        """Make one stream entry of it."""
        tokens = {} if usage is None else {bucket: count for bucket, count in usage.tokens() if count}
        started_ms = int(self.at.timestamp() * 1000)
        body = EventBody(
            request_id=f"req_{self.hold_id}", attempt=1, key_id="key_month", customer_id=self.name,
            account_id="acc_month", provider="openai", dialect="openai", model="month-mini", price_id=self.price_id,
            bound_class="hard", quoted_input_tokens=100, started_ms=started_ms, ended_ms=started_ms + 900,
            quote_cost_nanousd=self.quote[0], quote_charge_nanousd=self.quote[1], markup_bp=self.markup_bp,
            end="complete" if usage is not None else "timeout", upstream_status=200, usage=tokens,
        )  # fmt: skip
        fields: dict[str, object] = {
            "v": 1, "event_id": f"{self.hold_id}.{kind}.0", "kind": kind, "basis": basis, "hold_id": self.hold_id,
            "cost": amounts[0], "charge": amounts[1], "at_ms": int(booked_at.timestamp() * 1000), "draws": "",
            "corrects": f"{self.hold_id}.expired.0" if kind == "correction" else "", "body": encode_body(body),
        }  # fmt: skip
        return Entry(
            booked_at, plan.next_number(), self.buyer, fields, (day, amounts[1]) if day is not None else None
        )


def first_of_next_month(now: datetime) -> datetime:
    """The month that is lived through: the ledger has a table for it, and no real call falls into it."""
    return (now.astimezone(UTC).replace(day=1) + 32 * DAY).replace(
        day=1, hour=0, minute=0, second=0, microsecond=0
    )
