"""Where pushes go, behind one protocol: Stripe's meters, a signed webhook, a file. A sink sends; it decides nothing."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from io import StringIO
from typing import Protocol, TextIO

from billing.errors import NotConnected
from billing.models import Push
from billing.pushing.webhook_sink import WebhookSink
from billing.stripe.gateway import Gateway, Namespace
from billing.stripe.keys import gateway_of
from billing.stripe.outcomes import ACCEPTED, Outcome, Verdict
from metering.money import format_usd


class UsageSink(Protocol):
    """Takes pushes. Never raises for what the other side says: that is the outcome."""

    def send(self, push: Push) -> Outcome:
        """Hand one push over."""
        ...


class StripeSink:
    """Stripe's meters. v2 replays a repeat for 30 days; v1 knows an identifier for 24 hours."""

    def __init__(self, gateway: Gateway, namespace: Namespace = "v2") -> None:
        self._gateway = gateway
        self._namespace = namespace

    def send(self, push: Push) -> Outcome:
        """Send a push as a meter event."""
        assert push.meter is not None
        assert push.stripe_customer_id
        return self._gateway.send_meter_event(
            push.meter.event_name,
            push.identifier,
            value=push.value_units,
            stripe_customer_id=push.stripe_customer_id,
            at=push.stamp_at,
            namespace=self._namespace,
        )


class Unreachable:
    """Stands for a sink that cannot be opened: nothing is sent."""

    def __init__(self, why: str) -> None:
        self._why = why

    def send(self, push: Push) -> Outcome:
        """Say that the credential does not serve."""
        return Outcome(Verdict.AUTH, code="not_connected", detail=self._why[:300])


CSV_PUSHES_MAX = 100_000
CSV_COLUMNS = (
    "identifier", "customer", "line", "currency", "unit_minor", "value_units", "stamp_at", "bucket_start",
    "bucket_end", "late_from", "charge_usd", "calls", "state",
)  # fmt: skip


class CsvSink:
    """A file or stream of pushes. Each line carries its identifier, so that a second export shows what is known."""

    def __init__(self, stream: TextIO) -> None:
        self._writer = csv.writer(stream)

    def send_header(self) -> None:
        """Write the names of the columns."""
        self._writer.writerow(CSV_COLUMNS)

    def send(self, push: Push) -> Outcome:
        """Write a push as one line."""
        late_from = push.late_from.isoformat() if push.late_from else ""
        self._writer.writerow([
            push.identifier, _harmless(push.customer.external_id), push.line, push.currency, push.unit_minor,
            push.value_units, push.stamp_at.isoformat(), push.bucket_start.isoformat(), push.bucket_end.isoformat(),
            late_from, format_usd(push.charge_nanousd), push.row_count, push.state,
        ])  # fmt: skip
        return ACCEPTED


def csv_lines(pushes: Iterable[Push]) -> Iterator[str]:
    """Export pushes line by line, the columns' names first."""
    stream = StringIO()
    sink = CsvSink(stream)
    sink.send_header()
    yield _taken(stream)
    for push in pushes:
        sink.send(push)
        yield _taken(stream)


def open_sink(push: Push) -> UsageSink:
    """Open the sink that a push is bound for; one that cannot be opened refuses everything."""
    if push.sink == Push.Sink.WEBHOOK:
        assert push.destination is not None
        return WebhookSink(push.destination)
    assert push.connection is not None
    try:
        return StripeSink(gateway_of(push.connection), "v1" if push.namespace == "v1" else "v2")
    except NotConnected as error:
        return Unreachable(str(error))


def _taken(stream: StringIO) -> str:
    text = stream.getvalue()
    stream.seek(0)
    stream.truncate()
    return text


def _harmless(text: str) -> str:
    # A spreadsheet takes what begins like this for a formula.
    return f"'{text}" if text[:1] in {"=", "+", "-", "@", "\t", "\r"} else text
