"""A stand-in Stripe on loopback, a gateway to it, and a tenant connected to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_django import Settings

import config.celery  # noqa: F401 - what is queued goes to our broker, as in a web process
from billing.models import StripeConnection
from billing.stripe.connecting import connect
from billing.stripe.gateway import Gateway
from tests.factories import ACTOR, Holding, make_holding
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


@pytest.fixture
def here(stripe: Stripe, settings: Settings) -> Stripe:
    """The stand-in as this installation's Stripe."""
    settings.FAREBOX_STRIPE_BASE = stripe.base_url
    return stripe


@pytest.fixture
def acme(db: None) -> Holding:
    """Acme with one of each, in test mode."""
    return make_holding("Acme")


@pytest.fixture
def globex(db: None) -> Holding:
    """Globex with one of each, in test mode."""
    return make_holding("Globex")


@pytest.fixture
def connection(here: Stripe, acme: Holding) -> StripeConnection:
    """Acme, connected."""
    return connect(tenant=acme.tenant, mode="test", actor=ACTOR, api_key="rk_test_sim").row
