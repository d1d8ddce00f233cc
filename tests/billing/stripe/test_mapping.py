"""Who a customer is at Stripe: said, found, read again; and never two on one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from billing.models import CustomerMap, StripeConnection
from billing.stripe.catalog import MeterTerms, set_up_meter, subscribe
from billing.stripe.mapping import (
    create_buyer,
    find_buyers,
    map_customer,
    match_by_metadata,
    refresh_mapping,
    refresh_stalest,
    unmap_customer,
    unmapped_customers,
)
from billing.stripe.mapping_import import LINES_MAX, export_mappings_csv, import_mappings_csv
from tenants.errors import AlreadyExists, InvalidInput
from tenants.models import AuditEntry
from tests.billing.stripe.conftest import START, Stripe
from tests.factories import ACTOR, Holding, make_customer


def mapped(connection: StripeConnection, holding: Holding, stripe_customer_id: str) -> CustomerMap:
    """Map a holding's customer."""
    return map_customer(
        connection=connection, customer=holding.customer, actor=ACTOR, stripe_customer_id=stripe_customer_id
    ).row


@pytest.fixture
def priced(here: Stripe, connection: StripeConnection, acme: Holding) -> CustomerMap:
    """Acme's customer on our price."""
    meter = set_up_meter(connection=connection, actor=ACTOR, terms=MeterTerms(currency="usd")).row
    mapping = mapped(connection, acme, here.customer())
    return subscribe(mapping=mapping, meter=meter, actor=ACTOR).row


@pytest.mark.parametrize("wanted", ["cus_none", "sub_1", "", "cus_ü", "../customers"])
def test_who_is_not_at_stripe_is_refused(connection: StripeConnection, acme: Holding, wanted: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        mapped(connection, acme, wanted)
    assert refused.value.field == "stripe_customer_id"
    assert not CustomerMap.objects.exists()


def test_one_at_stripe_cannot_stand_for_two(
    here: Stripe, connection: StripeConnection, acme: Holding
) -> None:
    wanted = here.customer()
    mapped(connection, acme, wanted)
    other = make_customer(acme.tenant, "acme-2")
    with pytest.raises(AlreadyExists):
        map_customer(connection=connection, customer=other, actor=ACTOR, stripe_customer_id=wanted)
    assert list(unmapped_customers(connection)) == [other]


def test_a_customer_made_at_stripe_carries_our_names_and_is_made_once(
    here: Stripe, connection: StripeConnection, acme: Holding
) -> None:
    mapping = create_buyer(
        connection=connection, customer=acme.customer, actor=ACTOR, email="a@acme.example"
    ).row
    [found] = find_buyers(connection, "a@acme.example")
    assert found.metadata == {
        "farebox_external_id": acme.customer.external_id, "farebox_customer": acme.customer.pk
    }  # fmt: skip
    assert (found.id, found.name) == (mapping.stripe_customer_id, acme.customer.name)
    with pytest.raises(AlreadyExists):
        create_buyer(connection=connection, customer=acme.customer, actor=ACTOR)


def test_customers_are_found_by_id_name_address_and_our_id(
    here: Stripe, connection: StripeConnection
) -> None:
    wanted = here.customer(
        name="O'Brien & Söhne", email="o@brien.example", **{"metadata[farebox_external_id]": "ob'1"}
    )
    here.advance(120)
    for text in (wanted, "o@brien.example", "O'Brien", "ob'1", ""):
        assert [buyer.id for buyer in find_buyers(connection, text)] == [wanted]
    assert find_buyers(connection, "cus_none") == []
    assert find_buyers(connection, "nobody' OR name~'O") == []


def test_a_mapping_tells_its_period_and_follows_it(here: Stripe, priced: CustomerMap) -> None:
    assert (priced.state, priced.currency) == ("mapped", "usd")
    assert (priced.period_start, priced.period_end) == (
        datetime.fromtimestamp(START, UTC), datetime(2026, 2, 1, tzinfo=UTC)
    )  # fmt: skip
    here.advance(32 * 86_400)
    assert refresh_mapping(priced).period_end == datetime(2026, 3, 1, tzinfo=UTC)


def test_a_subscription_that_ended_leaves_its_last_period_known(here: Stripe, priced: CustomerMap) -> None:
    here.send("DELETE", f"/v1/subscriptions/{priced.subscription_id}")
    fresh = refresh_mapping(priced)
    assert (fresh.state, fresh.subscription_status) == ("no_subscription", "canceled")
    assert fresh.period_end == priced.period_end


def test_a_deleted_customer_is_noted_and_may_be_mapped_anew(
    here: Stripe, connection: StripeConnection, acme: Holding, priced: CustomerMap
) -> None:
    here.send("DELETE", f"/v1/customers/{priced.stripe_customer_id}")
    assert refresh_mapping(priced).state == "deleted"
    with pytest.raises(InvalidInput):
        mapped(connection, acme, priced.stripe_customer_id)
    fresh = mapped(connection, acme, here.customer())
    assert (fresh.state, fresh.subscription_id, fresh.period_end) == ("no_subscription", "", None)


def test_an_unmapped_customer_is_listed_again(connection: StripeConnection, priced: CustomerMap) -> None:
    assert not unmapped_customers(connection).exists()
    row = unmap_customer(mapping=priced, actor=ACTOR).row
    assert (row.state, row.stripe_customer_id, row.period_end) == ("unmapped", "", None)
    assert unmapped_customers(connection).get() == row.customer
    assert refresh_mapping(row).state == "unmapped"


def test_customers_are_matched_by_what_they_carry_and_the_ambiguous_left(
    here: Stripe, connection: StripeConnection, acme: Holding
) -> None:
    twice = make_customer(acme.tenant, "twice")
    one = here.customer(**{"metadata[farebox_external_id]": acme.customer.external_id})
    for _ in range(2):
        here.customer(**{"metadata[farebox_external_id]": "twice"})
    here.customer()
    made = match_by_metadata(connection=connection, actor=ACTOR)
    assert [(row.customer_id, row.stripe_customer_id) for row in made] == [(acme.customer.pk, one)]
    assert list(unmapped_customers(connection)) == [twice]
    assert match_by_metadata(connection=connection, actor=ACTOR) == []


def test_the_stalest_are_read_first_and_the_fresh_left(here: Stripe, priced: CustomerMap) -> None:
    assert priced.period_end is not None
    CustomerMap.objects.update(period_end=timezone.now() + timedelta(days=9))
    assert refresh_stalest() == 0
    CustomerMap.objects.update(checked_at=timezone.now() - timedelta(hours=7))
    assert refresh_stalest() == 1
    # The stand-in's year is over: a period that ended is asked about again, but not every minute.
    assert refresh_stalest() == 0
    CustomerMap.objects.update(checked_at=timezone.now() - timedelta(minutes=6))
    assert refresh_stalest() == 1


def test_a_refused_key_met_while_refreshing_breaks_the_connection(
    here: Stripe, connection: StripeConnection, priced: CustomerMap
) -> None:
    CustomerMap.objects.update(checked_at=None)
    here.sim("keys", key="rk_test_sim", status="revoked")
    assert refresh_stalest() == 0
    connection.refresh_from_db()
    assert connection.status == "broken"
    assert refresh_stalest() == 0


def test_each_line_of_a_file_stands_alone(here: Stripe, connection: StripeConnection, acme: Holding) -> None:
    make_customer(acme.tenant, "=2+2")
    first, second = here.customer(), here.customer()
    lines = [
        f"{acme.customer.external_id},{first}",
        "nobody,cus_1",
        "=2+2,cus_none",
        f"'=2+2,{second}",
        "idle,",
    ]
    text = "external_id,stripe_customer_id\n" + "\n".join(lines)
    told = import_mappings_csv(connection=connection, actor=ACTOR, text=text)
    assert [line.outcome for line in told] == ["mapped", "failed", "failed", "mapped"]
    again = import_mappings_csv(
        connection=connection, actor=ACTOR, text=export_mappings_csv(acme.tenant, "test")
    )
    assert {line.outcome for line in again} == {"unchanged"}
    assert AuditEntry.objects.filter(action="customer_map.set").count() == 2


@pytest.mark.parametrize(
    "text",
    [
        "",
        "external_id\nx",
        'external_id,stripe_customer_id\n"x',
        "external_id,stripe_customer_id" + "\nx,cus_1" * (LINES_MAX + 1),
    ],
    ids=["empty", "a column short", "no CSV", "too long"],
)
def test_a_file_that_cannot_be_read_is_refused_whole(connection: StripeConnection, text: str) -> None:
    with pytest.raises(InvalidInput):
        import_mappings_csv(connection=connection, actor=ACTOR, text=text)
