"""Calls as a person reads them: one line for all rows of a request, attempts and corrections together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q
from django.utils.dateparse import parse_datetime

from billing.ledger.requests import FILTERS, first_rows, rows_of_requests
from billing.models import LedgerRow
from enforcement.keys import Scope
from metering.usage import TOKEN_BUCKETS
from tenants.models import Customer, Tenant

CORRECTION = "correction"
END_NAMES = {
    "complete": "complete",
    "client_gone": "caller left",
    "cut": "cut off",
    "timeout": "timed out",
    "reset": "connection reset",
    "unreadable": "unreadable",
    "error_inside": "error inside",
    "provider_error": "provider's error",
    "refused": "refused by provider",
    "not_sent": "never sent",
}


@dataclass(frozen=True, slots=True)
class Call:
    """One call with all its rows, oldest first."""

    rows: Sequence[LedgerRow]
    customer: Customer | None

    @property
    def first(self) -> LedgerRow:
        """The call's first attempt."""
        return self.rows[0]

    @property
    def last(self) -> LedgerRow:
        """The latest truth about the call."""
        return self.rows[-1]

    @property
    def quote_charge_nanousd(self) -> int:
        """The most that its last attempt could be charged."""
        return max(row.quote_charge_nanousd for row in self.rows)

    @property
    def cost_nanousd(self) -> int:
        """What the provider charges us for it."""
        return sum(row.cost_nanousd for row in self.rows)

    @property
    def charge_nanousd(self) -> int:
        """What the customer is billed for it."""
        return sum(row.charge_nanousd for row in self.rows)

    @property
    def end(self) -> str:
        """How its last attempt ended, in words."""
        if self.last.end == "resolved":
            return "resolved"
        attempts = [row for row in self.rows if row.kind != CORRECTION]
        end = (attempts or list(self.rows))[-1].end
        return END_NAMES.get(end, end or "expired")

    @property
    def input_tokens(self) -> int:
        """Tokens that went in, of whatever kind."""
        return sum(_tokens(row, outwards=False) for row in self.rows)

    @property
    def output_tokens(self) -> int:
        """Tokens that came out, of whatever kind."""
        return sum(_tokens(row, outwards=True) for row in self.rows)


@dataclass(frozen=True, slots=True)
class CallPage:
    """Calls, newest first, and where older ones begin."""

    calls: Sequence[Call]
    older: str


def newest_calls(
    tenant: Tenant, scope: Scope, *, count: int, filters: dict[str, str] | None = None, older_than: str = ""
) -> CallPage:
    """Read the newest calls, narrowed by what ``billing.ledger.requests.FILTERS`` names, and ``from`` and ``to``."""
    given = dict(filters or {})
    started = {"gte": _instant(given.pop("from", "")), "lt": _instant(given.pop("to", ""))}
    rows = first_rows(scope).filter(**{FILTERS[name]: value for name, value in given.items()})
    rows = rows.filter(**{f"started_at__{how}": at for how, at in started.items() if at})
    if (place := _place(older_than)) is not None:
        started_at, event_id = place
        rows = rows.filter(Q(started_at__lt=started_at) | Q(started_at=started_at, event_id__lt=event_id))
    found = list(rows.order_by("-started_at", "-event_id")[: count + 1])
    shown = found[:count]
    grouped = rows_of_requests(scope, [row.request_id for row in shown])
    customers = customers_of_rows(tenant, scope, shown)
    calls = [Call(grouped[row.request_id], customers.get(row.customer_id)) for row in shown]
    older = f"{shown[-1].started_at.isoformat()}~{shown[-1].event_id}" if len(found) > count else ""
    return CallPage(calls, older)


def find_call(tenant: Tenant, scope: Scope, request_id: str) -> Call | None:
    """Read one call; None when it is not this tenant's."""
    rows = rows_of_requests(scope, [request_id]).get(request_id)
    if not rows:
        return None
    return Call(rows, customers_of_rows(tenant, scope, rows).get(rows[0].customer_id))


def customers_of_rows(tenant: Tenant, scope: Scope, rows: Iterable[LedgerRow]) -> dict[str, Customer]:
    """The customers that rows name, by id."""
    ids = {row.customer_id for row in rows} - {""}
    ours = Customer.objects.for_scope(tenant, scope.mode)
    return {customer.pk: customer for customer in ours.filter(pk__in=ids)}


def buckets(row: LedgerRow) -> list[tuple[str, int]]:
    """A row's tokens by bucket, empty ones left out."""
    named = [(name.replace("_", " "), getattr(row, f"{name}_tokens")) for name in TOKEN_BUCKETS]
    return [(name, tokens) for name, tokens in named if tokens]


def _tokens(row: LedgerRow, *, outwards: bool) -> int:
    names = [name for name in TOKEN_BUCKETS if (name in OUTWARDS) == outwards]
    return sum(int(getattr(row, f"{name}_tokens")) for name in names)


OUTWARDS = frozenset({"output", "reasoning", "audio_output"})


def _place(text: str) -> tuple[datetime, str] | None:
    started, _, event_id = text.partition("~")
    at = _instant(started)
    return (at, event_id) if at is not None else None


def _instant(text: str) -> datetime | None:
    try:
        at = parse_datetime(text)
    except ValueError:
        return None
    return at if at is not None and at.tzinfo else None
