"""The truth as the simulator has it, for tests to hold what they were told against."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import asdict
from decimal import Decimal

from simulators.stripe.meters import total_of
from simulators.stripe.store import Book, Obj, Usage, World

_INVOICE = (
    "id", "customer", "status", "currency", "subtotal", "total", "period_start", "period_end", "billing_reason",
)  # fmt: skip


def describe(world: World) -> Obj:
    """Show every book in sums."""
    return {
        "now": world.clock.now(), "frozen": world.clock.frozen, "requests": len(world.log),
        "books": [_describe_book(each) for each in world.books.values()],
    }  # fmt: skip


def usage_records(book: Book, wanted: Obj) -> list[Obj]:
    """List the meter events of a book that equal what is wanted."""
    records = [asdict(each) | {"value": _plain(each.value)} for each in book.usage]
    return [
        each for each in records if all(str(each.get(name)) == value for name, value in wanted.items())
    ]  # fmt: skip


def _describe_book(book: Book) -> Obj:
    pairs: dict[tuple[str, str], list[Usage]] = defaultdict(list)
    for each in book.usage:
        pairs[(each.event_name, each.customer)].append(each)
    return {
        "account": book.account, "livemode": book.livemode, "duplicates_refused": book.duplicates,
        "events_by_state": dict(Counter(each.state for each in book.usage)),
        "totals": [_describe_pair(book, *pair, usage) for pair, usage in pairs.items()],
        "invoices": [
            {name: each[name] for name in _INVOICE}
            for each in book.tables["invoices"].values()
        ],
        "tables": {name: len(table) for name, table in book.tables.items() if table},
    }  # fmt: skip


def _describe_pair(book: Book, event_name: str, customer: str, usage: list[Usage]) -> Obj:
    meters = [each for each in book.tables["meters"].values() if each["event_name"] == event_name]
    counted = [each for each in usage if each.state == "counted"]
    accepted = sum((each.value or Decimal(0) for each in usage), Decimal(0))
    return {
        "event_name": event_name, "customer": customer, "accepted_count": len(usage),
        "accepted_sum": _plain(accepted), "counted_count": len(counted),
        "counted": _plain(total_of(meters[0], counted)) if meters else None,
        "states": dict(Counter(each.state for each in usage)),
    }  # fmt: skip


def _plain(value: Decimal | None) -> str | None:
    return None if value is None else format(value, "f")
