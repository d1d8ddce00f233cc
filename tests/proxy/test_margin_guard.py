"""Calls that a customer would be charged less for than they cost: let through, told of, or refused."""

from __future__ import annotations

from typing import Any

import pytest

from enforcement.policies import Markup, ModelMarkup
from tests.proxy.conftest import Proxy, Tenant, code_of, wait_for

ALARM = 'farebox_alarms_total{alarm="negative_margin"}'
LOSS = Markup(markup_bp=-500)


@pytest.mark.parametrize(("guard", "alarms"), [("off", 0), ("warn", 1)])
def test_a_loss_is_served_and_told_of_where_that_is_wanted(
    acme: Tenant, chat: Any, proxy: Proxy, guard: str, alarms: int
) -> None:
    acme.publish(markup=LOSS, margin_guard=guard)
    before = proxy.metric(ALARM)

    assert chat(acme.key(acme.customer(acme.budget()))).status_code == 200

    assert proxy.metric(ALARM) == before + alarms
    [(_, _, _, body)] = wait_for(acme.rows)
    assert body.quote_charge_nanousd < body.quote_cost_nanousd


def test_a_loss_is_refused_with_both_amounts_and_reaches_no_provider(acme: Tenant, chat: Any) -> None:
    acme.publish(markup=LOSS, margin_guard="refuse")

    refused = chat(acme.key(acme.customer(acme.budget())))

    assert code_of(refused) == (403, "negative_margin")
    assert refused.json()["error"]["message"].count("$") == 2
    assert acme.rows() == []


def test_what_covers_its_cost_is_served_whatever_the_tenants_own_markup(acme: Tenant, chat: Any) -> None:
    acme.publish(markup=LOSS, margin_guard="refuse")
    covered = Markup(models=(ModelMarkup("sim-*", 0),), has_general=False)

    assert chat(acme.key(acme.customer(acme.budget(), markup=covered))).status_code == 200


def test_a_loss_on_one_customer_is_refused_until_its_markup_is_mended(acme: Tenant, chat: Any) -> None:
    acme.publish(margin_guard="refuse")
    key = acme.key(acme.customer(acme.budget(), markup=LOSS))
    assert code_of(chat(key)) == (403, "negative_margin")

    acme.publish(margin_guard="off")

    assert chat(key).status_code == 200
