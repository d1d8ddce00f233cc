"""A row's amounts as arithmetic that can be followed by hand: buckets times unit prices, then the markup.

What it comes to is judged by ``billing.ledger.recompute``, as ``manage.py replay`` judges it; here are the steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from billing.ledger.recompute import COLUMNS, FindPrice, Outcome, Row, recompute_hold, row_of
from billing.models import LedgerRow
from metering.cost import extra_nanousd
from metering.errors import UnpricedModel
from metering.money import NANOUSD_PER_USD, TOKENS_PER_MTOK, format_usd
from metering.rates import Price
from metering.usage import TOKEN_BUCKETS, Usage
from tenants.base_books import PriceShelf
from tenants.percent import format_percent


@dataclass(frozen=True, slots=True)
class Factor:
    """One product: so many tokens at a price per million, or so many units at a price each."""

    name: str
    count: int
    usd_each: str
    per: str
    usd: str


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """The steps from usage to charge, and whether what is booked follows from them."""

    factors: list[Factor]
    markup_percent: str
    markup_fixed_nanousd: int
    outcome: Outcome


def arithmetic_of(rows: Sequence[LedgerRow]) -> dict[str, Arithmetic]:
    """Work out the rows of a call, by event id; those of a hold are judged together."""
    plain = [row_of([getattr(row, name) for name in COLUMNS]) for row in rows]
    shelf = PriceShelf()
    shelf.fetch({price_id for row in plain for price_id in row.used_prices})
    found: dict[str, Arithmetic] = {}
    for hold_id in {row.hold_id for row in plain}:
        for outcome in recompute_hold([row for row in plain if row.hold_id == hold_id], shelf.find):
            row = outcome.row
            found[row.event_id] = Arithmetic(
                factors_of(row, shelf.find), format_percent(row.markup_bp), row.markup_fixed_nanousd, outcome
            )
    return found


def factors_of(row: Row, find: FindPrice) -> list[Factor]:
    """The products that a row's cost is the sum of; none where a price is kept nowhere or lacks a rate."""
    price = find(row.price_id)
    if price is None:
        return []
    tokens = dict(zip(TOKEN_BUCKETS, row.tokens, strict=True))
    own = {name: count for name, count in row.extras.items() if "|" not in name}
    try:
        found = _of_tokens(tokens, price)
        found += [_unit(name, count, extra_nanousd(price, name)) for name, count in own.items() if count]
        if price.per_request_nanousd:
            found.append(_unit("request", 1, price.per_request_nanousd))
        return found + _elsewhere(row, find)
    except UnpricedModel:
        return []


def _of_tokens(tokens: dict[str, int], price: Price, of: str = "") -> list[Factor]:
    prompt_tokens = Usage(
        **{f"{name}_tokens": count for name, count in tokens.items()}, extras=()
    ).all_input_tokens
    found = []
    for name, count in tokens.items():
        if count:
            rate_nanousd = price.rate_for(name).at(prompt_tokens)
            usd = _scaled_text(count * rate_nanousd, TOKENS_PER_MTOK)
            label = f"{name.replace('_', ' ')} tokens{of}"
            found.append(Factor(label, count, format_usd(rate_nanousd), "a million", usd))
    return found


def _elsewhere(row: Row, find: FindPrice) -> list[Factor]:
    """Tokens of other models that worked on the call: extras called ``model|price:bucket``."""
    used: dict[tuple[str, str], dict[str, int]] = {}
    for name, count in row.extras.items():
        model, bar, rest = name.partition("|")
        if bar:
            price_id, _, bucket = rest.rpartition(":")
            used.setdefault((model, price_id), {})[bucket] = count
    found = []
    for (model, price_id), tokens in used.items():
        price = find(price_id)
        if price is None:
            raise UnpricedModel("the kept prices", price_id)
        found += _of_tokens(tokens, price, f" of {model}")
    return found


def _unit(name: str, count: int, each_nanousd: int) -> Factor:
    return Factor(
        name.replace("_", " "), count, format_usd(each_nanousd), "each", format_usd(count * each_nanousd)
    )


def _scaled_text(nanousd: int, parts: int) -> str:
    """Write nano-dollars divided by a power of ten as decimal dollars, exactly."""
    whole, fraction = divmod(nanousd, NANOUSD_PER_USD * parts)
    places = len(str(NANOUSD_PER_USD * parts)) - 1
    return f"{whole}.{f'{fraction:0{places}d}'.rstrip('0').ljust(2, '0')}"
