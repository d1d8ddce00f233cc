"""Rows worked out again: what agrees, what cannot be known better, and what was booked wrongly."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from billing.ledger.recorder import Recorder
from billing.ledger.replaying import Selection, replay
from metering.base_prices import book_name, find_base, installed_providers
from metering.book_data import every_price
from metering.cost import cost_of
from metering.money import NanoUsd, charge_for
from metering.rates import regional
from metering.usage import Usage
from tenants.base_books import PriceShelf, document_of, keep_installed_book
from tenants.models import BasePrice, Tenant
from tests.billing.conftest import STARTED_MS, Streams, body_of
from tests.factories import make_price, make_tenant

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")

MINI = find_base("openai", "gpt-4o-mini", STARTED_MS)
USAGE = {"input": 1_000, "cache_read": 300, "output": 77, "reasoning": 5}
COST = cost_of(Usage(input_tokens=1_000, cache_read_tokens=300, output_tokens=77, reasoning_tokens=5), MINI)  # type: ignore[arg-type]  # it is known
QUOTE = {
    "quote_cost_nanousd": 900_000,
    "quote_charge_nanousd": 1_080_007,
    "markup_bp": 2_000,
    "markup_fixed_nanousd": 7,
}


@pytest.fixture
def acme(streams: Streams) -> Tenant:
    keep_installed_book()
    tenant = make_tenant("Acme")
    streams.open(tenant.pk)
    return tenant


def charge(cost: int) -> int:
    return int(charge_for(NanoUsd(cost), 2_000, 7))


def book(streams: Streams, acme: Tenant, cost: int, charged: int | None = None, **changes: Any) -> str:
    event = {
        key: changes.pop(key) for key in ("kind", "basis", "hold_id", "number", "corrects") if key in changes
    }
    assert MINI is not None
    body = body_of(**{"price_id": MINI.price_id, "usage": USAGE, **QUOTE, **changes})
    charged = charge(cost) if charged is None else charged
    return streams.append(acme.pk, cost=cost, charge=charged, body=body, **event)


def verdicts(recorder: Recorder) -> dict[str, int]:
    recorder.drain()
    return {verdict.value: count for verdict, count in replay(Selection()).counts.items()}


def test_a_reported_row_follows_from_its_usage(recorder: Recorder, streams: Streams, acme: Tenant) -> None:
    book(streams, acme, COST)
    assert verdicts(recorder) == {"equal": 1}


@pytest.mark.parametrize(
    ("cost", "charged"), [(COST + 1, None), (COST, charge(COST) + 1), (COST - 1, charge(COST)), (0, 0)]
)
def test_a_nano_dollar_off_is_told(
    recorder: Recorder, streams: Streams, acme: Tenant, cost: int, charged: int | None
) -> None:
    event_id = book(streams, acme, cost, charged)
    assert verdicts(recorder) == {"different": 1}
    [found] = replay(Selection()).bad
    assert (found.row.event_id, found.expected_nanousd) == (event_id, (COST, charge(COST)))


def test_a_tenants_own_price_a_region_and_other_models_are_found_by_their_ids(
    recorder: Recorder, streams: Streams, acme: Tenant
) -> None:
    own = make_price(acme, input=10, output=20)
    book(streams, acme, 1, price_id=own.pk, usage={"input": 50_000})
    assert MINI is not None
    dearer = cost_of(Usage(input_tokens=1_000_000), regional(MINI, "us"))
    book(streams, acme, dearer, price_id=f"{MINI.price_id}+us", usage={"input": 1_000_000})
    other = make_price(acme, "other", input=10, output=20)
    extras = {f"other|{other.pk}:input": 200_000, f"other|{other.pk}:output": 100_000}
    book(streams, acme, COST + 4, extras=extras)
    assert verdicts(recorder) == {"equal": 3}


def test_an_estimate_is_held_by_the_hold(recorder: Recorder, streams: Streams, acme: Tenant) -> None:
    book(streams, acme, COST, basis="estimated")
    book(streams, acme, 900_000, basis="estimated", usage={})
    book(streams, acme, 500, 607, basis="estimated", quote_cost_nanousd=500, quote_charge_nanousd=607)
    assert verdicts(recorder) == {"equal": 1, "held": 2}
    book(streams, acme, COST + 1, basis="estimated")
    assert verdicts(recorder) == {"equal": 1, "held": 2, "different": 1}


def test_a_call_that_ended_unknown_is_held_against_its_hold(
    recorder: Recorder, streams: Streams, acme: Tenant
) -> None:
    unknown: dict[str, Any] = {"kind": "expired", "basis": "unresolved", "usage": {}}
    book(streams, acme, 900_000, 1_080_007, **unknown, end="timeout")
    book(streams, acme, 800_000, 960_007, **unknown, end="")
    assert verdicts(recorder) == {"held": 2}
    book(streams, acme, 900_001, 1_080_007, **unknown, end="")
    book(streams, acme, 800_000, 960_007, **unknown, end="timeout")
    assert verdicts(recorder) == {"held": 2, "different": 2}


def test_a_release_costs_nothing(recorder: Recorder, streams: Streams, acme: Tenant) -> None:
    book(streams, acme, 0, 0, kind="released", basis="none", usage={})
    assert verdicts(recorder) == {"equal": 1}
    book(streams, acme, 1, 0, kind="released", basis="none", usage={})
    assert verdicts(recorder) == {"equal": 1, "different": 1}


def expired(streams: Streams, acme: Tenant, hold_id: str) -> str:
    terms: dict[str, Any] = {"kind": "expired", "basis": "unresolved", "usage": {}, "end": ""}
    return book(streams, acme, 900_000, 1_080_007, hold_id=hold_id, **terms)


@pytest.mark.parametrize(("off_nanousd", "verdict"), [(0, "equal"), (1, "different")])
def test_a_late_end_is_judged_by_what_the_hold_comes_to(
    recorder: Recorder, streams: Streams, acme: Tenant, off_nanousd: int, verdict: str
) -> None:
    hold_id = streams.hold_id()
    first = expired(streams, acme, hold_id)
    cost = COST - 900_000 + off_nanousd
    book(streams, acme, cost, charge(COST) - 1_080_007, hold_id=hold_id, kind="correction", corrects=first)
    assert verdicts(recorder) == {"held": 1, verdict: 1}


@pytest.mark.parametrize(("off_nanousd", "verdict"), [(0, "held"), (1, "different")])
def test_a_persons_word_stands_and_its_charge_follows(
    recorder: Recorder, streams: Streams, acme: Tenant, off_nanousd: int, verdict: str
) -> None:
    hold_id = streams.hold_id()
    first = expired(streams, acme, hold_id)
    book(
        streams, acme, 1_234 - 900_000, charge(1_234) - 1_080_007 + off_nanousd, hold_id=hold_id, kind="correction",
        corrects=first, usage={}, end="resolved",
    )  # fmt: skip
    found = verdicts(recorder)
    assert found == ({"held": 2} if verdict == "held" else {"held": 1, "different": 1})


def test_what_cannot_be_priced_or_read_is_told(recorder: Recorder, streams: Streams, acme: Tenant) -> None:
    book(streams, acme, COST, price_id="genai-prices/0.0.0/openai/gpt-4o-mini/base")
    book(streams, acme, COST, extras={"unheard_of": 1})
    streams.append(acme.pk, body=b"no body")
    assert verdicts(recorder) == {"unpriced": 2, "unreadable": 1}


def test_the_command_selects_reports_and_exits_1(recorder: Recorder, streams: Streams, acme: Tenant) -> None:
    globex = make_tenant("Globex")
    streams.open(globex.pk)
    good = book(streams, acme, COST)
    bad = book(streams, globex, COST + 5, request_id="req_bad")
    recorder.drain()
    assert "1 rows: 1 equal" in ask(good)
    assert "1 rows: 1 equal" in ask("--tenant", acme.pk, "--month", "2026-11")
    assert "0 rows" in ask("--month", "2026-10")
    assert "0 rows" in ask("--from", "2026-11-19", "--to", "2026-11-20T00:00:00Z")
    for selection in ((bad,), ("--request", "req_bad"), ("--from", "2026-11-18"), ("--mode", "test")):
        out = StringIO()
        with pytest.raises(SystemExit) as ended:
            call_command("replay", *selection, stdout=out)
        assert ended.value.code == 1
        assert f"different: {bad} of req_bad" in out.getvalue()
    for nonsense in (("ev",), ("--month", "11"), ("--from", "noon"), ("--request", "req_none")):
        with pytest.raises(CommandError):
            call_command("replay", *nonsense)


def ask(*selection: str) -> str:
    out = StringIO()
    call_command("replay", *selection, stdout=out)
    return out.getvalue()


def test_every_installed_price_can_be_put_back_together(acme: Tenant) -> None:
    assert keep_installed_book() == 0
    assert MINI is not None
    kept = BasePrice.objects.get(pk=MINI.price_id)
    assert (kept.provider, kept.model, kept.document) == ("openai", "gpt-4o-mini", document_of(MINI))
    shelf, listed = PriceShelf(), every_price(installed_providers(), book_name())
    shelf.fetch(listed)
    assert len(listed) > 2_000
    for price_id, each in listed.items():
        found = shelf.find(price_id)
        assert found is not None
        assert (found.rates, found.extras_nanousd) == (each.price.rates, each.price.extras_nanousd)
        assert found.per_request_nanousd == each.price.per_request_nanousd
