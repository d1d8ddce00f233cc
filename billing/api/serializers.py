"""The books as JSON: every amount a decimal dollar string, every row in full."""

from __future__ import annotations

import zoneinfo
from collections.abc import Sequence
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from billing.ledger.usage import UsageGroup, UsageQuestion
from billing.models import LedgerRow
from metering.money import format_usd
from metering.usage import TOKEN_BUCKETS
from tenants.percent import format_percent


@extend_schema_field({"type": "string", "pattern": r"^-?\d{1,12}(\.\d{1,9})?$", "examples": ["0.00042"]})
class SignedUsdField(serializers.CharField):
    """Dollars as a decimal string; a correction may be below zero."""


class QuoteOut(serializers.Serializer[Any]):
    """The most the attempt could cost, as it was reserved."""

    cost_usd = SignedUsdField()
    charge_usd = SignedUsdField()
    bound_class = serializers.CharField()
    input_tokens = serializers.IntegerField()
    output_cap = serializers.IntegerField()
    output_cap_source = serializers.CharField()


class RowOut(serializers.Serializer[Any]):
    """One ledger row: an attempt that reached a provider, or a correction."""

    event_id = serializers.CharField()
    kind = serializers.CharField()
    basis = serializers.CharField()
    corrects = serializers.CharField(allow_null=True)
    attempt = serializers.IntegerField()
    account = serializers.CharField()
    provider = serializers.CharField()
    dialect = serializers.CharField()
    model = serializers.CharField()
    response_model = serializers.CharField()
    started_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)
    booked_at = serializers.DateTimeField()
    end = serializers.CharField()
    stream = serializers.BooleanField()
    upstream_status = serializers.IntegerField(allow_null=True)
    upstream_request_id = serializers.CharField()
    quote = QuoteOut()
    tokens = serializers.DictField(child=serializers.IntegerField())
    extras = serializers.DictField(child=serializers.IntegerField())
    price_id = serializers.CharField()
    markup_percent = serializers.CharField()
    markup_fixed_usd = SignedUsdField()
    cost_usd = SignedUsdField()
    charge_usd = SignedUsdField()
    budgets = serializers.ListField(child=serializers.DictField(child=serializers.CharField()))


class RequestOut(serializers.Serializer[Any]):
    """One call with all its rows; the amounts are their sums."""

    request_id = serializers.CharField()
    customer = serializers.CharField(allow_null=True)
    key = serializers.CharField()
    run = serializers.CharField(allow_null=True)
    model = serializers.CharField()
    started_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)
    attempts = serializers.IntegerField()
    basis = serializers.CharField()
    tags = serializers.DictField(child=serializers.CharField())
    cost_usd = SignedUsdField()
    charge_usd = SignedUsdField()
    rows = RowOut(many=True)


class UsageGroupOut(serializers.Serializer[Any]):
    """One group of usage; the dimensions asked for stand beside these fields under their own names."""

    start = serializers.DateTimeField(allow_null=True)
    attempts = serializers.IntegerField()
    tokens = serializers.DictField(child=serializers.IntegerField())
    quote_cost_usd = SignedUsdField()
    cost_usd = SignedUsdField()
    charge_usd = SignedUsdField()


def row_shape(row: LedgerRow) -> dict[str, Any]:
    """A row in full."""
    return dict(
        RowOut(
            {
                **{name: getattr(row, name) for name in _PLAIN},
                "corrects": row.corrects or None,
                "account": row.account_id,
                "quote": {
                    "cost_usd": format_usd(row.quote_cost_nanousd),
                    "charge_usd": format_usd(row.quote_charge_nanousd),
                    "bound_class": row.bound_class,
                    "input_tokens": row.quoted_input_tokens,
                    "output_cap": row.output_cap,
                    "output_cap_source": row.output_cap_source,
                },
                "tokens": {name: getattr(row, f"{name}_tokens") for name in TOKEN_BUCKETS},
                "markup_percent": format_percent(row.markup_bp),
                "markup_fixed_usd": format_usd(row.markup_fixed_nanousd),
                "cost_usd": format_usd(row.cost_nanousd),
                "charge_usd": format_usd(row.charge_nanousd),
                "budgets": [
                    {"budget": budget_id, "window": window_id, "measure": measure}
                    for budget_id, window_id, measure in row.draws
                ],
            }
        ).data
    )


def request_shape(rows: Sequence[LedgerRow], tags: dict[str, dict[str, str]]) -> dict[str, Any]:
    """A call from its rows, in the order they were booked. Its basis is the last thing known about it."""
    first, last = rows[0], rows[-1]
    return {
        "request_id": first.request_id,
        "customer": first.customer_id or None,
        "key": first.key_id,
        "run": first.run_id or None,
        "model": last.model,
        "started_at": min(row.started_at for row in rows),
        "ended_at": max((row.ended_at for row in rows if row.ended_at), default=None),
        "attempts": sum(row.kind != "correction" for row in rows),
        "basis": last.basis,
        "tags": tags.get(first.tag_set_id, {}),
        "cost_usd": format_usd(sum(row.cost_nanousd for row in rows)),
        "charge_usd": format_usd(sum(row.charge_nanousd for row in rows)),
        "rows": [row_shape(row) for row in rows],
    }


def usage_shape(question: UsageQuestion, group: UsageGroup) -> dict[str, Any]:
    """One group of usage under the names it was asked by."""
    zone = zoneinfo.ZoneInfo(question.zone)
    return {
        "start": group.starts_at and group.starts_at.astimezone(zone),
        **dict(zip(question.group_by, group.names, strict=True)),
        "attempts": group.attempts,
        "tokens": {name: group.sums[f"{name}_tokens"] for name in TOKEN_BUCKETS},
        "quote_cost_usd": format_usd(group.sums["quote_cost_nanousd"]),
        "cost_usd": format_usd(group.sums["cost_nanousd"]),
        "charge_usd": format_usd(group.sums["charge_nanousd"]),
    }


_PLAIN = (
    "event_id", "kind", "basis", "attempt", "provider", "dialect", "model", "response_model", "started_at", "ended_at",
    "booked_at", "end", "stream", "upstream_status", "upstream_request_id", "extras", "price_id",
)  # fmt: skip
