from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enforcement.keyring import RANDOM_BITS, make_key, parse_key
from enforcement.policies import key_digest
from metering.ids import ALPHABET, make_id

TENANT = make_id("ten", 0x1234_5678_9ABC_DEF0_1234)


@pytest.mark.parametrize("kind", ["ck", "sk", "ak"])
@pytest.mark.parametrize("mode", ["live", "test"])
def test_a_key_says_whose_it_is(kind: str, mode: str) -> None:
    key = make_key(kind, mode, TENANT, 2**RANDOM_BITS - 1)  # type: ignore[arg-type]
    parsed = parse_key(key)
    assert parsed is not None
    assert (parsed.kind, parsed.mode, parsed.tenant_id) == (kind, mode, TENANT)
    assert parsed.digest == key_digest(key) == hashlib.sha256(key.encode()).hexdigest()
    assert key.startswith(f"fbx_{kind}_{mode}_")
    assert len(key.rsplit("_", 1)[1]) == 45


@given(st.integers(0, 2**RANDOM_BITS - 1), st.integers(0, 70), st.sampled_from(ALPHABET))
def test_one_wrong_letter_is_refused(randomness: int, place: int, letter: str) -> None:
    key = make_key("ck", "test", TENANT, randomness)
    assert len(key) == 74
    spoiled = key[:place] + letter + key[place + 1 :]
    assert (parse_key(spoiled) is None) == (spoiled != key)


@pytest.mark.parametrize(
    "text", ["", "sk-proj-abc", "fbx_ck_test_", "fbx_xx_test_a_b", "fbx_ck_test_" + "a" * 62]
)
def test_other_strings_are_no_keys(text: str) -> None:
    assert parse_key(text) is None
    assert parse_key(make_key("ck", "test", TENANT, 5) + text + "x") is None
