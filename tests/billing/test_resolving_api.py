"""Unresolved rows resolved over HTTP: once, with a reason and a name, by whoever may, and by nobody else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import redis
from pytest_django import Settings
from rest_framework.test import APIClient

from billing.ledger.queries import differences
from billing.ledger.recorder import Recorder
from billing.models import LedgerRow
from enforcement.hold_calls import HoldRef
from metering.ids import make_hold_id
from tenants import publishing
from tenants.models import AuditEntry
from tests.billing.conftest import STARTED_MS, Streams, body_of
from tests.enforcement.desk import TOTAL, Desk, amounts, draw
from tests.factories import make_api_key, make_holding

pytestmark = [
    pytest.mark.django_db(transaction=True, databases="__all__"),
    pytest.mark.filterwarnings("ignore:No directory at"),  # static files are collected for production only
]

NOTHING = {"as": "nothing", "reason": "the bill of November"}
KNOWN = {"as": "cost", "cost_usd": "0.0000004", "reason": "the bill of November"}  # 400 nano-dollars


@pytest.fixture(autouse=True)
def _own_link(settings: Settings) -> Iterator[None]:
    publishing.shared_control.cache_clear()
    yield
    publishing.shared_control.cache_clear()


class Books:
    """Acme with a budget in Redis, real holds on it, and their rows."""

    def __init__(self, client: redis.Redis, recorder: Recorder) -> None:
        self.holding = make_holding("Acme")
        self.recorder = recorder
        self.desk = Desk(client, self.holding.tenant.scope("test"))
        self.budget_id = self.holding.budget.pk
        self.born_ms = STARTED_MS
        publishing.drain_outbox()
        self.client = client_of(self.holding.api_key)

    def unresolved(self, number: int = 1) -> tuple[str, HoldRef]:
        """A call that was sent and never heard of again: 1,000 at cost, 1,100 charged."""
        body = body_of(request_id=f"req_{number}", customer_id=self.holding.customer.pk, markup_bp=1_000)
        ref, _ = self.desk.sent(
            draw(self.budget_id),
            charge=amounts(110, 11, 90, 10),
            hold_id=make_hold_id(self.born_ms + number, number),
            body=body,
        )
        self.desk.lapse(ref)
        assert self.desk.expire(ref) == ["expired"]
        self.recorder.drain()
        return f"{ref.hold_id}.expired.0", ref

    def resolve(self, event_id: str, given: dict[str, Any], *, by: APIClient | None = None) -> Any:
        return (by or self.client).post(f"/api/v1/ledger/{event_id}/resolve", given, format="json")

    def spent(self) -> int:
        return self.desk.spent(self.budget_id, TOTAL)

    def waiting(self) -> list[dict[str, Any]]:
        found = self.client.get("/api/v1/ledger", {"basis": "unresolved", "resolved": "false"}).json()
        return list(found["data"])


def client_of(secret: str) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")
    return client


@pytest.fixture
def books(redis_client: redis.Redis, recorder: Recorder) -> Books:
    return Books(redis_client, recorder)


def test_a_call_that_was_never_billed_costs_nothing(books: Books) -> None:
    event_id, _ = books.unresolved()
    [waiting] = books.waiting()
    assert (waiting["event_id"], waiting["request_id"], waiting["charge_usd"], waiting["corrections"]) == (
        event_id,
        "req_1",
        "0.0000011",
        [],
    )

    answer = books.resolve(event_id, NOTHING)
    books.recorder.drain()

    correction_id = event_id.replace("expired", "correction")
    assert (answer.status_code, answer.json()) == (
        200,
        {
            "event": event_id,
            "outcome": "resolved",
            "correction": correction_id,
            "cost_usd": "0.00",
            "charge_usd": "0.00",
        },
    )
    assert books.spent() == 0
    row = LedgerRow.objects.get(event_id=correction_id)
    assert (row.cost_nanousd, row.charge_nanousd, row.basis) == (-1_000, -1_100, "none")
    assert books.waiting() == []
    [done] = books.client.get("/api/v1/ledger?resolved=true").json()["data"]
    assert done["corrections"] == [correction_id]
    assert differences() == []


def test_a_known_cost_is_charged_by_the_rows_own_markup(books: Books) -> None:
    event_id, _ = books.unresolved()
    assert books.resolve(event_id, KNOWN).json()["charge_usd"] == "0.00000044"
    books.recorder.drain()
    assert books.spent() == 440
    assert sum(LedgerRow.objects.values_list("charge_nanousd", flat=True)) == 440


def test_who_resolved_it_and_why_is_written_down(books: Books) -> None:
    event_id, _ = books.unresolved()
    books.resolve(event_id, KNOWN)
    entry = AuditEntry.objects.get(action="ledger.resolve")
    assert (entry.object_id, entry.actor_kind, entry.actor_name) == (event_id, "api_key", "tests")
    assert entry.before == {"cost_nanousd": 1_000, "charge_nanousd": 1_100}
    assert entry.after == {"cost_nanousd": 400, "charge_nanousd": 440, "reason": "the bill of November"}


@pytest.mark.parametrize("is_recorded", [False, True])
def test_a_second_resolution_is_told_of_the_first(books: Books, is_recorded: bool) -> None:
    event_id, _ = books.unresolved()
    books.resolve(event_id, KNOWN)
    if is_recorded:
        books.recorder.drain()

    again = books.resolve(event_id, NOTHING)
    books.recorder.drain()

    assert (again.status_code, again.json()["code"]) == (409, "already_resolved")
    assert again.json()["correction"] == event_id.replace("expired", "correction")
    assert books.spent() == 440


def test_a_request_sent_twice_with_its_key_is_answered_twice_alike(books: Books) -> None:
    event_id, _ = books.unresolved()
    books.client.credentials(
        HTTP_AUTHORIZATION=f"Bearer {books.holding.api_key}", HTTP_IDEMPOTENCY_KEY="resolve-1"
    )
    first, second = books.resolve(event_id, KNOWN), books.resolve(event_id, KNOWN)
    assert (first.status_code, second.status_code, first.json()) == (200, 200, second.json())


def test_an_end_that_comes_after_the_resolution_corrects_from_there(books: Books) -> None:
    event_id, ref = books.unresolved()
    books.resolve(event_id, NOTHING)
    books.desk.settle(ref, 700, 770)
    books.recorder.drain()

    assert books.spent() == 770
    assert sum(LedgerRow.objects.values_list("charge_nanousd", flat=True)) == 770
    [done] = books.client.get("/api/v1/ledger?resolved=true").json()["data"]
    assert done["corrections"] == [f"{ref.hold_id}.correction.0", f"{ref.hold_id}.correction.1"]
    assert differences() == []


def test_an_end_that_comes_before_the_resolution_wins(books: Books) -> None:
    event_id, ref = books.unresolved()
    books.desk.settle(ref, 700, 770)
    answer = books.resolve(event_id, NOTHING)
    books.recorder.drain()
    assert (answer.status_code, answer.json()["correction"]) == (409, f"{ref.hold_id}.correction.0")
    assert books.spent() == 770


def test_many_are_resolved_each_with_its_own_outcome(books: Books) -> None:
    (first, _), (second, _), (third, _) = (books.unresolved(number) for number in (1, 2, 3))
    books.resolve(third, NOTHING)
    foreign = make_holding("Globex")
    items = [
        {"event": first, "as": "nothing"},
        {"event": second, "as": "cost", "cost_usd": "0.0000005"},
        {"event": third, "as": "nothing"},
        {"event": first, "as": "cost", "cost_usd": "1"},
        {"event": "nothing-of-the-kind", "as": "nothing"},
    ]
    given = {"reason": "the bill of November", "items": items}

    answer = books.client.post("/api/v1/ledger/resolve", given, format="json").json()
    books.recorder.drain()

    outcomes = ["resolved", "resolved", "already_resolved", "already_resolved", "not_found"]
    assert [item["outcome"] for item in answer["items"]] == outcomes
    assert (answer["resolved"], answer["failed"]) == (2, 3)
    assert books.spent() == 550
    assert differences() == []
    others = client_of(foreign.api_key).post("/api/v1/ledger/resolve", given, format="json").json()
    assert {item["outcome"] for item in others["items"]} == {"not_found"}


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"as": "nothing"}, "reason"),
        ({"as": "nothing", "reason": " "}, "reason"),
        ({"as": "cost", "reason": "a bill"}, "cost_usd"),
        ({"as": "nothing", "cost_usd": "1", "reason": "a bill"}, "cost_usd"),
        ({"as": "cost", "cost_usd": "-1", "reason": "a bill"}, "cost_usd"),
        ({"as": "cost", "cost_usd": 0.1, "reason": "a bill"}, "cost_usd"),
        ({"as": "cost", "cost_usd": "10000.01", "reason": "a bill"}, "cost_usd"),
        ({"as": "guess", "reason": "a bill"}, "as"),
        ({"as": "nothing", "reason": "a bill", "cost": "1"}, "cost"),
    ],
)
def test_a_verdict_that_cannot_be_names_its_field(books: Books, given: dict[str, Any], field: str) -> None:
    event_id, _ = books.unresolved()
    answer = books.resolve(event_id, given)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, field)
    assert books.spent() == 1_100


def test_the_bulk_has_a_bound(books: Books) -> None:
    items = [{"event": "x", "as": "nothing"}] * 501
    answer = books.client.post("/api/v1/ledger/resolve", {"reason": "a bill", "items": items}, format="json")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "items")


@pytest.mark.parametrize(
    "event_id", ["x", "7zzzzzzzzzzzzzzzzzzzzzzzzz.expired.0", "a%00b", "0" * 26 + ".expired.0"]
)
def test_an_event_nobody_knows_is_not_found(books: Books, event_id: str) -> None:
    assert books.resolve(event_id, NOTHING).status_code == 404


def test_what_is_not_unresolved_cannot_be_resolved(books: Books, streams: Streams) -> None:
    event_id, _ = books.unresolved()
    books.resolve(event_id, KNOWN)
    books.recorder.drain()
    answer = books.resolve(event_id.replace("expired", "correction"), NOTHING)
    assert (answer.status_code, answer.json()["code"]) == (409, "wrong_state")


def test_another_tenants_or_modes_rows_are_not_there(books: Books) -> None:
    event_id, _ = books.unresolved()
    globex = client_of(make_holding("Globex").api_key)
    live = client_of(make_api_key(books.holding.tenant, mode="live"))
    for stranger in (globex, live):
        assert books.resolve(event_id, NOTHING, by=stranger).status_code == 404
        assert stranger.get("/api/v1/ledger").json()["data"] == []
    assert books.spent() == 1_100


def test_a_key_needs_the_right_to_write(books: Books) -> None:
    event_id, _ = books.unresolved()
    reader = client_of(make_api_key(books.holding.tenant, scopes=("usage:read",)))
    assert reader.get("/api/v1/ledger").status_code == 200
    assert books.resolve(event_id, NOTHING, by=reader).json()["code"] == "scope_missing"
    writer = client_of(make_api_key(books.holding.tenant, scopes=("usage:write",)))
    assert books.resolve(event_id, NOTHING, by=writer).status_code == 200


def test_while_enforcement_is_away_the_row_stays_as_it_was(books: Books, redis_client: redis.Redis) -> None:
    (first, _), (second, _) = (books.unresolved(number) for number in (1, 2))
    redis_client.flushall()

    answer = books.resolve(first, NOTHING)
    items = [{"event": event_id, "as": "nothing"} for event_id in (first, second)]
    many = books.client.post("/api/v1/ledger/resolve", {"reason": "a bill", "items": items}, format="json")

    assert (answer.status_code, answer["Retry-After"]) == (503, "1")
    assert [item["outcome"] for item in many.json()["items"]] == ["unavailable", "unavailable"]
    assert len(books.waiting()) == 2


def test_rows_are_listed_page_by_page_and_narrowed(books: Books) -> None:
    for number in range(1, 6):
        books.unresolved(number)
    seen, url = [], "/api/v1/ledger?basis=unresolved&resolved=false&limit=2"
    while url:
        page = books.client.get(url).json()
        seen += [row["request_id"] for row in page["data"]]
        url = page["next"]
    assert sorted(seen) == [f"req_{number}" for number in range(1, 6)]
    assert books.client.get("/api/v1/ledger?customer=cus_other").json()["data"] == []
    assert books.client.get("/api/v1/ledger?resolved=maybe").json()["errors"][0]["field"] == "resolved"


def test_the_schema_describes_it(books: Books) -> None:
    paths = APIClient().get("/api/schema").json()["paths"]
    assert paths["/api/v1/ledger/{event_id}/resolve"]["post"]["operationId"] == "ledger_resolve"
    assert paths["/api/v1/ledger/resolve"]["post"]["operationId"] == "ledger_resolve_many"
    assert "resolved" in [one["name"] for one in paths["/api/v1/ledger"]["get"]["parameters"]]
