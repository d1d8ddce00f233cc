"""Servers for the month, and the month itself at a size."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import redis
from pytest_django import Settings

from billing.ledger.recorder import Recorder
from tenants.publishing import shared_control
from tests.billing.conftest import make_recorder, recorder
from tests.billing.stripe.conftest import here, stripe, stripe_running
from tests.month.course import Course
from tests.month.plan import Plan, Size, first_of_next_month
from tests.simulators.stripe.conftest import Stripe

__all__ = ["here", "make_recorder", "recorder", "stripe", "stripe_running"]

Live = Callable[..., Course]


@pytest.fixture
def live(here: Stripe, redis_client: redis.Redis, recorder: Recorder, settings: Settings) -> Live:
    """A hand that lives through a month of a size."""
    from django.utils import timezone

    settings.FAREBOX_STRIPE_EVENTS = "v2"

    def lived(size: Size, *, plant: str = "") -> Course:
        shared_control.cache_clear()
        here.sim("knobs", validation_delay_s=600.0, error_samples_max=1)
        course = Course(
            Plan(size, first_of_next_month(timezone.now())), here, redis_client, recorder, plant=plant
        )
        course.run()
        return course

    return lived
