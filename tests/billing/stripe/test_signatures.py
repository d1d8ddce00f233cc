"""A webhook's body is read only if one of our own secrets signed it a moment ago."""

from __future__ import annotations

import hashlib
import hmac
import json
import time

import pytest

from billing.stripe.gateway import TOLERANCE_S, verified_event

SECRET = "whsec_0123456789abcdef"
BODY = json.dumps({"id": "evt_1", "type": "invoice.paid"}).encode()


def signed(body: bytes = BODY, *, secret: str = SECRET, age_s: int = 0) -> str:
    """Sign a body as Stripe does."""
    at = int(time.time()) - age_s
    digest = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"


def test_what_our_secret_signed_is_read() -> None:
    assert verified_event(BODY, signed(), SECRET) == {"id": "evt_1", "type": "invoice.paid"}


def test_one_of_two_signatures_is_enough_while_a_secret_is_rolled() -> None:
    both = signed() + "," + signed(secret="whsec_other").split(",")[1]
    assert verified_event(BODY, both, SECRET) is not None
    assert verified_event(BODY, both, "whsec_other") is not None


@pytest.mark.parametrize(
    ("signature", "secret"),
    [
        (signed(secret="whsec_other"), SECRET),
        (signed(secret=""), ""),
        (signed(b"{}"), SECRET),
        (signed(age_s=TOLERANCE_S + 60), SECRET),
        (signed(age_s=-TOLERANCE_S - 600), SECRET),
        ("", SECRET),
        ("t=now,v1=00", SECRET),
        ("v1=00", SECRET),
    ],
    ids=[
        "another secret",
        "no secret",
        "another body",
        "too old",
        "to come",
        "nothing",
        "no time",
        "no stamp",
    ],
)
def test_anything_else_is_not(signature: str, secret: str) -> None:
    assert verified_event(BODY, signature, secret) is None


@pytest.mark.parametrize("body", [b"[]", b"no json", b""], ids=["a list", "no json", "empty"])
def test_a_signed_body_that_is_no_event_is_not_read(body: bytes) -> None:
    assert verified_event(body, signed(body), SECRET) is None
