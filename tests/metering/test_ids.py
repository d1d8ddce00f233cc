from __future__ import annotations

from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from metering.ids import (
    SHARDS,
    born_ms_of,
    derived_id,
    encode_base32,
    external_digest,
    make_event_id,
    make_hold_id,
    make_id,
    month_of,
    shard_of,
    tenant_tag,
)

random_bits = st.integers(0, 2**80 - 1)


@given(born_ms=st.integers(0, 2**48 - 1), bits=random_bits)
def test_a_hold_tells_its_birth_and_its_event_too(born_ms: int, bits: int) -> None:
    hold_id = make_hold_id(born_ms, bits)
    assert len(hold_id) == 26
    assert born_ms_of(hold_id) == born_ms_of(make_event_id(hold_id, "settled")) == born_ms


def test_an_event_is_booked_in_the_utc_month_of_its_hold() -> None:
    assert month_of(make_event_id(make_hold_id(1_798_761_599_999, 0), "expired")) == date(2026, 12, 1)
    assert month_of(make_event_id(make_hold_id(1_798_761_600_000, 0), "correction", 2)) == date(2027, 1, 1)


def test_later_holds_sort_later() -> None:
    assert make_hold_id(1, 2**80 - 1) < make_hold_id(2, 0)


@given(bits=random_bits)
def test_ids_are_prefix_and_sixteen_letters(bits: int) -> None:
    prefix, _, letters = make_id("cus", bits).partition("_")
    assert (prefix, len(letters)) == ("cus", 16)


def test_derived_ids_are_a_pure_function_of_all_their_parts() -> None:
    assert derived_id("cus", "ten_a", "test", "acme") == derived_id("cus", "ten_a", "test", "acme")
    assert derived_id("cus", "a", "bc") != derived_id("cus", "ab", "c")


def test_an_external_id_is_known_by_a_digest() -> None:
    assert len(external_digest("acme-1")) == 32
    assert "acme" not in external_digest("acme-1")


def test_base_32_drops_higher_bits() -> None:
    assert encode_base32(32, 2) == "10"
    assert encode_base32(2**80 + 5, 1) == "5"


@given(bits=random_bits)
def test_a_tenants_shard_follows_from_its_id_alone(bits: int) -> None:
    tenant_id = make_id("ten", bits)
    assert shard_of(tenant_id) == shard_of(tenant_tag(tenant_id)) < SHARDS
