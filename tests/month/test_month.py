"""What was charged is what is invoiced, carried or held back, exactly, by Stripe's own count, whatever went wrong."""

from __future__ import annotations

import os
import sys

import pytest

from tests.month.conftest import Live
from tests.month.plan import FULL, SMALL
from tests.month.verdict import judge, table

pytestmark = [pytest.mark.django_db(transaction=True, databases="__all__"), pytest.mark.month]

TABLE_FILE = os.environ.get("FAREBOX_MONTH_TABLE", "")


def test_a_months_money_is_all_accounted_for(live: Live) -> None:
    judgement = judge(live(FULL if TABLE_FILE else SMALL))

    text = table(judgement)
    sys.stdout.write(f"\n{text}\n")
    assert judgement.wrong == []
    assert judgement.facts["events counted"] > 0
    assert judgement.facts["workers killed"] > 0
    assert judgement.facts["repeats refused by Stripe"] + judgement.facts["attempts"] > 0
    if TABLE_FILE:
        with open(TABLE_FILE, "w", encoding="utf-8") as file:
            file.write(text)


@pytest.mark.skipif(bool(TABLE_FILE), reason="the planted fault is shown by the small form")
def test_a_fresh_identifier_per_attempt_does_not_pass(live: Live) -> None:
    judgement = judge(live(SMALL, plant="identifier"))

    assert any("belong to no push" in each for each in judgement.wrong)
    assert any("atto are due" in each or "were counted" in each for each in judgement.wrong)
