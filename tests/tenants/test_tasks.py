"""What the control plane forgets, and when."""

from __future__ import annotations

from datetime import timedelta

from django.contrib.sessions.models import Session
from django.utils import timezone

from billing.tasks import BEAT as BILLING_BEAT
from config.celery import app
from tenants.models import IdempotentAnswer
from tenants.tasks import BEAT, forget
from tests.factories import Holding


def test_beat_carries_the_work_of_both_packages() -> None:
    app.finalize()
    assert set(app.conf.beat_schedule) == {*BEAT, *BILLING_BEAT}
    assert {entry["task"] for entry in BEAT.values()} <= set(app.tasks)
    assert not set(BEAT) & set(BILLING_BEAT)


def test_kept_answers_and_sessions_are_forgotten_once_nobody_may_ask_for_them(acme: Holding) -> None:
    now = timezone.now()
    for name, age in (("old", timedelta(hours=25)), ("young", timedelta(hours=23))):
        row = IdempotentAnswer.objects.create(tenant=acme.tenant, api_key=acme.key.row, idempotency_key=name)
        IdempotentAnswer.objects.filter(pk=row.pk).update(created_at=now - age)
        Session.objects.create(session_key=name, session_data="", expire_date=now + timedelta(days=1) - age)
    forget()
    assert list(IdempotentAnswer.objects.values_list("idempotency_key", flat=True)) == ["young"]
    assert list(Session.objects.values_list("session_key", flat=True)) == ["young"]
