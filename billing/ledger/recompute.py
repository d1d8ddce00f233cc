"""A row's amounts worked out again from what stands on it: buckets, extras, price id and markup. Pure.

What nobody can work out again (a person's word, a call that ended unknown) is held against what was held for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from metering.cost import cost_of
from metering.errors import UnpricedModel
from metering.money import NanoUsd, charge_for
from metering.rates import Price
from metering.usage import TOKEN_BUCKETS, Usage

FindPrice = Callable[[str], Price | None]


class Verdict(StrEnum):
    """What became of one row."""

    EQUAL = "equal"  # to the nano-dollar
    HELD = "held"  # agrees with what was held: nothing better is known
    DIFFERENT = "different"
    UNPRICED = "unpriced"  # its price id is kept nowhere, or does not price what was used
    UNREADABLE = "unreadable"  # its event's body could not be read: the amount alone was booked


class Row(NamedTuple):
    """What of a ledger row recomputing needs, in the order of ``COLUMNS``."""

    event_id: str
    hold_id: str
    kind: str
    basis: str
    request_id: str
    end: str
    price_id: str
    cost_nanousd: int
    charge_nanousd: int
    quote_cost_nanousd: int
    quote_charge_nanousd: int
    markup_bp: int
    markup_fixed_nanousd: int
    epoch: int
    seq: int
    extras: dict[str, int]
    tokens: tuple[int, ...]  # by metering.usage.TOKEN_BUCKETS

    @property
    def used_prices(self) -> Iterable[str]:
        """Its price id and those of other models that worked on the same call."""
        yield self.price_id
        for name in self.extras:
            if "|" in name:
                yield name.partition("|")[2].rpartition(":")[0]


COLUMNS = (*(name for name in Row._fields if name != "tokens"), *(f"{name}_tokens" for name in TOKEN_BUCKETS))
_PLAIN = len(Row._fields) - 1


def row_of(values: Sequence[Any]) -> Row:
    """Make a row of ``COLUMNS`` as they were read."""
    return Row._make((*values[:_PLAIN], tuple(values[_PLAIN:])))


@dataclass(frozen=True, slots=True)
class Outcome:
    """One row's verdict, with what it should have come to where that differs."""

    row: Row
    verdict: Verdict
    expected_nanousd: tuple[int, int] | None = None  # cost, charge
    why: str = ""


def recompute_hold(rows: Sequence[Row], find: FindPrice) -> list[Outcome]:
    """Work out all rows of one hold; a correction is judged by what the hold comes to with it."""
    outcomes: list[Outcome] = []
    cost_nanousd = charge_nanousd = 0
    for row in rows if len(rows) == 1 else sorted(rows, key=lambda each: (each.epoch, each.seq)):
        before = (cost_nanousd, charge_nanousd) if row.kind == "correction" else (0, 0)
        cost_nanousd, charge_nanousd = before[0] + row.cost_nanousd, before[1] + row.charge_nanousd
        outcomes.append(_judge(row, (cost_nanousd, charge_nanousd), find))
    return outcomes


def _judge(row: Row, booked: tuple[int, int], find: FindPrice) -> Outcome:
    """Judge what a hold has come to with one row."""
    if row.basis == "none":
        return _compare(row, booked, (0, 0), Verdict.EQUAL)
    if not row.price_id:
        return Outcome(row, Verdict.UNREADABLE, why="no price id: the event's body could not be read")
    if row.basis == "unresolved":
        return _against_hold(row, booked)
    if row.end == "resolved":
        # A person's word: its cost cannot be worked out, its charge can.
        charge_nanousd = charge_for(NanoUsd(booked[0]), row.markup_bp, row.markup_fixed_nanousd)
        return _compare(row, booked, (booked[0], charge_nanousd), Verdict.HELD)
    if row.basis == "estimated" and booked == _at_hold(row):
        return Outcome(row, Verdict.HELD)
    return _worked_out(row, booked, find)


def _worked_out(row: Row, booked: tuple[int, int], find: FindPrice) -> Outcome:
    try:
        cost_nanousd = _cost_of(row, find)
    except UnpricedModel as error:
        return Outcome(row, Verdict.UNPRICED, why=str(error))
    if row.basis != "estimated":
        charge_nanousd = charge_for(NanoUsd(cost_nanousd), row.markup_bp, row.markup_fixed_nanousd)
        return _compare(row, booked, (cost_nanousd, charge_nanousd), Verdict.EQUAL)
    cost_nanousd = min(cost_nanousd, row.quote_cost_nanousd)
    charge_nanousd = charge_for(NanoUsd(cost_nanousd), row.markup_bp, row.markup_fixed_nanousd)
    expected = cost_nanousd, min(charge_nanousd, row.quote_charge_nanousd)
    return _compare(row, booked, expected, Verdict.EQUAL)


def _compare(row: Row, booked: tuple[int, int], expected: tuple[int, int], agreed: Verdict) -> Outcome:
    if booked == expected:
        return Outcome(row, agreed)
    return Outcome(row, Verdict.DIFFERENT, expected, "does not follow from its usage, price and markup")


def _against_hold(row: Row, booked: tuple[int, int]) -> Outcome:
    held = row.quote_cost_nanousd, row.quote_charge_nanousd
    # A hold whose proxy died tells the quote as it was asked for; a budget may have clamped it since.
    fits = booked == held if row.end else 0 <= booked[0] <= held[0] and 0 <= booked[1] <= held[1]
    return (
        Outcome(row, Verdict.HELD) if fits else Outcome(row, Verdict.DIFFERENT, held, "is not what was held")
    )


def _at_hold(row: Row) -> tuple[int, int]:
    charge_nanousd = charge_for(NanoUsd(row.quote_cost_nanousd), row.markup_bp, row.markup_fixed_nanousd)
    return row.quote_cost_nanousd, min(charge_nanousd, row.quote_charge_nanousd)


def _cost_of(row: Row, find: FindPrice) -> int:
    own: dict[str, int] = {}
    others: dict[str, dict[str, int]] = {}
    for name, count in row.extras.items():
        model, bar, rest = name.partition("|")
        if bar:
            price_id, _, bucket = rest.rpartition(":")
            others.setdefault(f"{model}|{price_id}", {})[f"{bucket}_tokens"] = count
        else:
            own[name] = count
    usage = _usage(dict(zip(_FIELDS, row.tokens, strict=True)), tuple(own.items()))
    cost_nanousd = int(cost_of(usage, _price(find, row.price_id)))
    for name, tokens in others.items():
        cost_nanousd += cost_of(_usage(tokens), _price(find, name.partition("|")[2]))
    return cost_nanousd


def _usage(tokens: dict[str, int], extras: tuple[tuple[str, int], ...] = ()) -> Usage:
    return Usage(**tokens, extras=extras)


def _price(find: FindPrice, price_id: str) -> Price:
    price = find(price_id)
    if price is None:
        raise UnpricedModel("the kept prices", price_id)
    return price


_FIELDS = tuple(f"{name}_tokens" for name in TOKEN_BUCKETS)
