"""A tenant's own webhook as a sink: signed, to public addresses, and judged like any other."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import redis

from billing.models import ExchangeRate, Push, PushDestination
from billing.pushing.destinations import add_rate, format_rate, parse_rate, put_destination
from billing.pushing.dispatching import push_one
from billing.pushing.sealing import seal_all
from billing.pushing.webhook_sink import outcome_of_status
from billing.stripe.outcomes import Verdict
from tenants.errors import AlreadyExists, InvalidInput, UnsafeUpstream
from tenants.publishing import shared_control
from tests.billing.pushing.conftest import CENT, HOUR, TEN, Till
from tests.billing.pushing.shop import make_due
from tests.factories import ACTOR

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")


class Receiver(ThreadingHTTPServer):
    """Keeps what it was sent and answers as told, 204 unless told otherwise."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Receive)
        self.received: list[tuple[bytes, dict[str, str]]] = []
        self.statuses: list[int] = []


class _Receive(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.received.append((body, headers))
        self.send_response(self.server.statuses.pop(0) if self.server.statuses else 204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Stay quiet."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def secret(till: Till, receiver: Receiver, redis_client: redis.Redis) -> Iterator[str]:
    """Acme's destination, made; its signing secret."""
    shared_control.cache_clear()
    url = f"http://127.0.0.1:{receiver.server_address[1]}/usage"
    yield put_destination(tenant=till.tenant, mode="test", actor=ACTOR, url=url, currency="usd").secret
    shared_control.cache_clear()


def sealed(till: Till) -> Push:
    till.book(3 * CENT)
    till.record()
    seal_all(TEN + HOUR)
    return Push.objects.get()


def test_a_push_arrives_signed_under_its_identifier(till: Till, receiver: Receiver, secret: str) -> None:
    push = sealed(till)
    assert push_one(push.pk) == "sent"

    [(body, headers)] = receiver.received
    key = base64.b64decode(secret.removeprefix("whsec_"))
    said = f"{push.identifier}.{headers['webhook-timestamp']}.".encode() + body
    signature = base64.b64encode(hmac.new(key, said, hashlib.sha256).digest()).decode()
    assert headers["webhook-id"] == push.identifier
    assert headers["webhook-signature"] == f"v1,{signature}"
    told = json.loads(body)["data"]
    assert (told["customer"], told["value_units"], told["charge_usd"]) == ("customer-1", 3, "0.03")
    assert Push.objects.get().state == "accepted"
    assert secret not in PushDestination.objects.get().secret


def test_a_refused_signature_stops_the_destination_and_another_secret_mends_it(
    till: Till, receiver: Receiver, secret: str
) -> None:
    push = sealed(till)
    receiver.statuses = [401]
    push_one(push.pk)
    destination = PushDestination.objects.get()
    assert (destination.status, Push.objects.get().state) == ("broken", "pending")
    make_due()
    assert push_one(push.pk) == "not_due"

    put_destination(tenant=till.tenant, mode="test", actor=ACTOR, url=destination.url, currency="usd")
    assert push_one(push.pk) == "sent"
    assert Push.objects.get().state == "accepted"


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (200, Verdict.ACCEPTED), (204, Verdict.ACCEPTED), (302, Verdict.INVALID), (400, Verdict.INVALID),
        (401, Verdict.AUTH), (410, Verdict.AUTH), (409, Verdict.RETRY), (429, Verdict.RETRY),
        (500, Verdict.AMBIGUOUS), (503, Verdict.AMBIGUOUS),
    ],
)  # fmt: skip
def test_a_receivers_status_is_judged(status: int, verdict: Verdict) -> None:
    assert outcome_of_status(status).verdict == verdict


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1.evil.example/x", "https://10.0.0.1/x", "https://localhost/x", "ftp://a.example"]
)
def test_a_webhook_leads_nowhere_inwards(till: Till, url: str) -> None:
    with pytest.raises((InvalidInput, UnsafeUpstream)):
        put_destination(tenant=till.tenant, mode="test", actor=ACTOR, url=url, currency="usd")


def test_a_name_that_turned_inwards_is_refused_when_it_is_called(
    till: Till, receiver: Receiver, secret: str, settings: object
) -> None:
    push = sealed(till)
    settings.FAREBOX_ALLOW_PRIVATE_UPSTREAMS = ()  # type: ignore[attr-defined]

    push_one(push.pk)

    assert receiver.received == []
    assert PushDestination.objects.get().status == "broken"
    assert Push.objects.get().state == "pending"


def test_a_rate_is_exact_and_stays(till: Till) -> None:
    given = {
        "tenant": till.tenant,
        "mode": "test",
        "actor": ACTOR,
        "currency": "EUR",
        "day": date(2026, 11, 1),
    }
    row = add_rate(**given, rate="0.9215")
    assert (row.currency, row.rate_nano, format_rate(row.rate_nano)) == ("eur", 921_500_000, "0.9215")
    with pytest.raises(AlreadyExists):
        add_rate(**given, rate="1")
    assert ExchangeRate.objects.get().rate_nano == 921_500_000
    assert (parse_rate("150"), format_rate(150_000_000_000)) == (150_000_000_000, "150")
    for wrong in ("0", "-1", "1e3", "1.0000000001", "", "nan"):
        with pytest.raises(InvalidInput):
            parse_rate(wrong)
    with pytest.raises(InvalidInput):
        add_rate(**given | {"currency": "usd"}, rate="1")
