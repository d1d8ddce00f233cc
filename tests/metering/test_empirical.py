"""Constants of empirical bounds: every one has its reason, and data of another shape is refused."""

from __future__ import annotations

import msgspec
import pytest

from metering.empirical import constant, constants, read_constants

GOOD = b"""
[chat.request_tokens]
value = 4
why = "framing"
source = "recordings"
sample = "12 requests"
date = 2026-11-21
"""


def test_a_constant_is_found_by_dialect_and_name() -> None:
    assert read_constants(GOOD)["chat"]["request_tokens"].value == 4
    assert constant("anthropic", "request_tokens") == constants()["anthropic"]["request_tokens"].value


def test_a_constant_that_is_not_there_is_an_error_and_not_a_zero() -> None:
    with pytest.raises(KeyError):
        constant("anthropic", "request_bytes")


@pytest.mark.parametrize("field", ["value", "why", "source", "sample", "date"])
def test_a_constant_without_one_of_its_fields_is_refused(field: str) -> None:
    lines = [line for line in GOOD.splitlines() if not line.startswith(field.encode())]
    with pytest.raises(msgspec.ValidationError):
        read_constants(b"\n".join(lines))


@pytest.mark.parametrize(
    ("before", "after"),
    [(b"value = 4", b"value = 4.5"), (b"value = 4", b"value = -1"), (b'"framing"', b'""')],
)
def test_a_constant_of_another_shape_is_refused(before: bytes, after: bytes) -> None:
    with pytest.raises(msgspec.ValidationError):
        read_constants(GOOD.replace(before, after))
