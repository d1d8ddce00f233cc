"""A stand-in Stripe on loopback, a gateway to it, and a tenant connected to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from billing.stripe.gateway import Gateway
from tests.simulators.stripe.conftest import KEY, START, Stripe, answer_problems, run_stripe

__all__ = ["KEY", "START", "Stripe"]


@pytest.fixture(scope="session")
def stripe_running() -> Iterator[Stripe]:
    """One stand-in for the session."""
    with run_stripe() as simulator:
        yield simulator


@pytest.fixture
def stripe(stripe_running: Stripe) -> Iterator[Stripe]:
    """The session's stand-in, emptied, its clock standing at the start of a year."""
    stripe_running.sim("reset")
    stripe_running.sim("clock", now=START, frozen=True)
    yield stripe_running
    # Where Stripe's own description is at hand, no answer may differ from it.
    assert answer_problems(stripe_running) == {}


@pytest.fixture
def gateway(stripe: Stripe) -> Gateway:
    """The stand-in through our own door."""
    return Gateway(KEY, base=stripe.base_url)
