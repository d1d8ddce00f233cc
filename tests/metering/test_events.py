from __future__ import annotations

import msgspec
import pytest

from metering.events import EventBody, decode_body, encode_body

BODY = EventBody(
    request_id="req_1",
    attempt=1,
    key_id="key_1",
    customer_id=None,
    account_id="acc_1",
    provider="openai",
    dialect="openai",
    model="gpt-4o",
    price_id="p",
    bound_class="exact",
    quoted_input_tokens=12,
    started_ms=1,
    usage={"input": 3},
)


def test_a_body_reads_back_as_it_was_written() -> None:
    assert decode_body(encode_body(BODY)) == BODY
    assert b"tags" not in encode_body(BODY)


def test_a_poisoned_body_is_an_error() -> None:
    for raw in (b"", b"{}", b'{"request_id":7}'):
        with pytest.raises((msgspec.DecodeError, msgspec.ValidationError)):
            decode_body(raw)
