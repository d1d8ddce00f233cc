"""Beat, the tasks and the command: thin hands over what decides."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from billing.models import Push
from billing.pushing import tasks
from billing.pushing.figures import push_figures
from billing.pushing.pacing import RATE_PER_S
from tests.billing.pushing.shop import Shop

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")


def test_dispatch_hands_out_what_is_due_with_an_end(shop: Shop, monkeypatch: Any) -> None:
    sent: list[tuple[tuple[str, ...], dict[str, float]]] = []
    monkeypatch.setattr(tasks.push, "apply_async", lambda args, **how: sent.append((args, how)))
    shop.sealed(3, 4)

    tasks.dispatch()

    assert {args[0] for args, _ in sent} == set(Push.objects.values_list("pk", flat=True))
    assert all(how["expires"] >= 60 for _, how in sent)
    for args, _ in sent:
        tasks.push(*args)
        tasks.push(*args)  # the broker delivers it twice
    assert shop.counted() == 7


def test_the_command_seals_and_sends_by_hand(shop: Shop) -> None:
    for hours in range(RATE_PER_S["test"] + 2):
        shop.book(1, hours_ago=hours)
    shop.till.record()
    said = StringIO()

    call_command("push", "--once", stdout=said)

    assert shop.counted() == RATE_PER_S["test"] + 2
    assert "sealed: 7 pushes of 1 customers" in said.getvalue()
    assert "sent: " in said.getvalue()


def test_what_waits_is_a_figure(shop: Shop) -> None:
    shop.book(1)
    shop.till.record()
    before = push_figures()
    assert before["farebox_unsealed_oldest_seconds"] > 3600
    assert before["farebox_pushes_pending"] == 0

    tasks.seal()
    after = push_figures()

    assert (after["farebox_pushes_pending"], after["farebox_unsealed_oldest_seconds"]) == (1, 0)
    assert after["farebox_pushes_oldest_unpushed_seconds"] > 0
    assert timezone.now() > Push.objects.get().stamp_at
