"""A statement's lines: usage by model, account, price and markup; corrections one by one; unresolved money apart."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import Sum

from billing.ledger.billable import BILLABLE, Who, given_for
from billing.ledger.unresolved import unresolved_rows
from billing.statements.periods import Period
from billing.statements.unit_prices import UnitPrice, unit_prices
from enforcement.keys import Mode, Scope
from metering.usage import TOKEN_BUCKETS
from tenants.base_books import PriceShelf
from tenants.models import Customer, ProviderAccount

CORRECTIONS_PER_READ = 1_000
_GROUP = ("account_id", "provider", "model", "price_id", "markup_bp", "markup_fixed_nanousd")
_COLUMNS = ", ".join(f"booked.{name}" for name in _GROUP)
_TOKENS = ", ".join(f"sum(booked.{name}_tokens)::bigint" for name in TOKEN_BUCKETS)
# Of what began before the period only a late truth can be billed in it, however late it is.
_NARROWED = """AND customer_id = %(customer)s AND started_at < %(end)s
      AND (started_at >= %(start)s OR corrects <> '' OR basis = 'unresolved')"""
_FROM = f"""
FROM ({BILLABLE.format(narrowed=_NARROWED)}) AS billable
JOIN ledger_row AS booked ON booked.month = billable.month AND booked.event_id = billable.event_id
WHERE billable.at >= %(start)s AND billable.at < %(end)s
"""

# Calls that a provider billed nothing for and that came to nothing are no lines.
_USAGE = f"""
SELECT {_COLUMNS}, count(*), sum(billable.charge_nanousd)::bigint, {_TOKENS} {_FROM} AND booked.corrects = ''
GROUP BY {_COLUMNS} HAVING sum(billable.charge_nanousd) <> 0 OR bool_or(booked.basis <> 'none')
ORDER BY booked.model, booked.account_id, booked.price_id, booked.markup_bp, booked.markup_fixed_nanousd
"""

_EXTRAS = f"""
SELECT {_COLUMNS}, extra.key, sum(extra.value::bigint)::bigint
FROM (SELECT booked.* {_FROM} AND booked.corrects = '' AND booked.extras <> '{{{{}}}}') AS booked
CROSS JOIN LATERAL jsonb_each_text(booked.extras) AS extra GROUP BY {_COLUMNS}, extra.key
""".replace("{{}}", "{}")  # noqa: S608 - made of our own names only

_TOTAL = f"SELECT coalesce(sum(billable.charge_nanousd), 0)::bigint {_FROM}"

_CORRECTIONS_SUM = f"""
SELECT count(*), coalesce(sum(billable.charge_nanousd), 0)::bigint {_FROM} AND booked.corrects <> ''
"""

_CORRECTIONS = f"""
SELECT billable.at, booked.event_id, booked.corrects, booked.request_id, booked.model, booked.account_id,
       billable.charge_nanousd {_FROM} AND booked.corrects <> ''
  AND (billable.at, booked.event_id) > (%(after_at)s, %(after_id)s)
ORDER BY billable.at, booked.event_id LIMIT %(most)s
"""


@dataclass(frozen=True, slots=True)
class UsageLine:
    """All calls of one model and account at one price and markup."""

    account_id: str
    account: str
    provider: str
    model: str
    price_id: str
    markup_bp: int
    markup_fixed_nanousd: int
    calls: int
    charge_nanousd: int
    tokens: dict[str, int]
    extras: dict[str, int]
    prices: list[UnitPrice]

    @property
    def has_tiers(self) -> bool:
        """Whether long prompts were perhaps billed at another rate than the one shown."""
        return any(price.has_tiers for price in self.prices)

    @property
    def buckets(self) -> list[tuple[str, int, UnitPrice | None]]:
        """Tokens and unit price of each bucket that was used."""
        known = {price.bucket: price for price in self.prices}
        return [(name, count, known.get(name)) for name, count in self.tokens.items()]


@dataclass(frozen=True, slots=True)
class CorrectionLine:
    """One correction: a later truth about a call, billed when it was booked. ``charge_nanousd`` may be negative."""

    at: datetime
    event_id: str
    corrects: str
    request_id: str
    model: str
    account_id: str
    charge_nanousd: int


@dataclass(frozen=True, slots=True)
class Statement:
    """What one customer is billed for one period; ``unresolved`` is not part of the total."""

    customer: Customer
    period: Period
    is_preview: bool
    usage: list[UsageLine] = field(default_factory=list)
    corrections: int = 0
    corrections_nanousd: int = 0
    unresolved: int = 0
    unresolved_nanousd: int = 0

    @property
    def usage_nanousd(self) -> int:
        """The charge of all usage lines."""
        return sum(line.charge_nanousd for line in self.usage)

    @property
    def total_nanousd(self) -> int:
        """What is billed for the period, exactly."""
        return self.usage_nanousd + self.corrections_nanousd


def statement_of(customer: Customer, period: Period, *, now: datetime) -> Statement:
    """Itemise what a customer is billed for a period, as the books are now."""
    given = _given(customer, period)
    [(corrections, corrections_nanousd)] = _read(_CORRECTIONS_SUM, given)
    open_rows = unresolved_rows(scope_of(customer)).filter(
        customer_id=customer.pk, started_at__gte=period.start, started_at__lt=period.end
    )
    return Statement(
        customer,
        period,
        is_preview=period.is_running(now),
        usage=_usage_lines(customer, given),
        corrections=corrections,
        corrections_nanousd=corrections_nanousd,
        unresolved=open_rows.count(),
        unresolved_nanousd=int(open_rows.aggregate(charge=Sum("charge_nanousd"))["charge"] or 0),
    )


def total_of(customer: Customer, period: Period) -> int:
    """Sum what a customer is billed for a period, in nano-dollars: its statement's total without the lines."""
    [(total_nanousd,)] = _read(_TOTAL, _given(customer, period))
    return int(total_nanousd)


def corrections_of(
    customer: Customer, period: Period, *, most: int | None = None
) -> Iterator[CorrectionLine]:
    """A period's corrections, oldest first, read some at a time."""
    after: tuple[datetime, str] = (period.start, "")
    while most is None or most > 0:
        count = CORRECTIONS_PER_READ if most is None else min(most, CORRECTIONS_PER_READ)
        given = _given(customer, period) | {"after_at": after[0], "after_id": after[1], "most": count}
        found = [CorrectionLine(*row) for row in _read(_CORRECTIONS, given)]
        yield from found
        if len(found) < count:
            return
        after = (found[-1].at, found[-1].event_id)
        most = None if most is None else most - count


def scope_of(customer: Customer) -> Scope:
    """Whose rows a customer's are."""
    mode: Mode = "live" if customer.mode == "live" else "test"
    return Scope(customer.tenant_id, mode)


def _usage_lines(customer: Customer, given: dict[str, Any]) -> list[UsageLine]:
    rows = _read(_USAGE, given)
    width = len(_GROUP)
    extras: defaultdict[tuple[Any, ...], dict[str, int]] = defaultdict(dict)
    for row in _read(_EXTRAS, given):
        extras[row[:width]][row[width]] = row[width + 1]
    accounts = ProviderAccount.objects.for_scope(customer.tenant, customer.mode)
    names = dict(accounts.filter(pk__in={row[0] for row in rows}).values_list("pk", "name"))
    shelf = PriceShelf()
    shelf.fetch({row[3] for row in rows})
    lines = []
    for row in rows:
        group, (calls, charge_nanousd, *counts) = row[:width], row[width:]
        tokens = {name: count for name, count in zip(TOKEN_BUCKETS, counts, strict=True) if count}
        price = shelf.find(row[3])
        lines.append(
            UsageLine(
                account_id=row[0], account=names.get(row[0], row[0]), provider=row[1], model=row[2], price_id=row[3],
                markup_bp=row[4], markup_fixed_nanousd=row[5], calls=calls, charge_nanousd=charge_nanousd,
                tokens=tokens, extras=extras.get(group, {}), prices=unit_prices(price, tokens, row[4]),
            )
        )  # fmt: skip
    return lines


def _given(customer: Customer, period: Period) -> dict[str, Any]:
    who = Who(customer.tenant_id, customer.mode)
    return given_for(who, period.end) | {"customer": customer.pk, "start": period.start}


def _read(statement: str, given: dict[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, given)
        return list(cursor.fetchall())
