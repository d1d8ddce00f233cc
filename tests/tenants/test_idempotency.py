"""Idempotency-Key: the same request is answered as before and does nothing again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from config.secretkey import make_secret_key
from enforcement.control import Control
from tenants.actions import customers
from tenants.api.idempotency import ABANDONED_AFTER, KEPT_FOR, drop_old_answers, reseal_answers
from tenants.models import Customer, IdempotentAnswer, Key
from tests.factories import Holding, make_api_key
from tests.tenants.conftest import Api


@pytest.fixture
def client(acme: Holding, open_shard: Callable[[str], Control], api: Api) -> APIClient:
    """A client of Acme, its shard open."""
    open_shard(acme.tenant.pk)
    return api(acme.api_key)


def post(client: APIClient, path: str, body: Any, key: str = "k-1") -> Any:
    return client.post(f"/api/v1{path}", body, format="json", HTTP_IDEMPOTENCY_KEY=key)


def test_the_same_request_is_answered_as_before(client: APIClient, acme: Holding) -> None:
    body = {"customer": acme.customer.pk, "name": "prod"}
    first, second = post(client, "/keys", body), post(client, "/keys", body)
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert second["Idempotent-Replayed"] == "true"
    assert Key.objects.filter(name="prod").count() == 1


def test_the_secret_in_a_kept_answer_is_encrypted(client: APIClient, acme: Holding) -> None:
    secret = post(client, "/keys", {"customer": acme.customer.pk}).json()["key"]
    kept = IdempotentAnswer.objects.get()
    assert secret not in kept.sealed_body
    assert "fbx_" not in kept.sealed_body


def test_the_same_key_with_another_request_is_a_mistake(client: APIClient) -> None:
    post(client, "/customers", {"external_id": "a"})
    other = post(client, "/customers", {"external_id": "b"})
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert not Customer.objects.filter(external_id="b").exists()


def test_keys_of_different_api_keys_do_not_meet(client: APIClient, acme: Holding, api: Api) -> None:
    post(client, "/customers", {"external_id": "a"})
    other = post(api(make_api_key(acme.tenant)), "/customers", {"external_id": "b"})
    assert other.status_code == 201


def test_a_refused_request_frees_its_key(client: APIClient) -> None:
    assert post(client, "/customers", {"external_id": ""}).status_code == 400
    assert post(client, "/customers", {"external_id": "a"}).status_code == 201


def test_a_request_that_is_still_running_is_told_so_until_it_is_abandoned(client: APIClient) -> None:
    body = {"external_id": "a"}
    post(client, "/customers", body)
    Customer.objects.filter(external_id="a").delete()
    IdempotentAnswer.objects.update(status=None, sealed_body="")

    running = post(client, "/customers", body)
    assert (running.status_code, running.json()["code"]) == (409, "request_in_progress")

    IdempotentAnswer.objects.update(created_at=timezone.now() - ABANDONED_AFTER - timedelta(seconds=1))
    assert post(client, "/customers", body).status_code == 201


def test_a_fault_of_ours_frees_the_key(client: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: Any) -> None:
        raise RuntimeError("a fault")

    with monkeypatch.context() as patched:
        patched.setattr(customers, "create_customer", fail)
        with pytest.raises(RuntimeError):
            post(client, "/customers", {"external_id": "a"})
    assert post(client, "/customers", {"external_id": "a"}).status_code == 201


def test_answers_are_kept_for_a_day(client: APIClient) -> None:
    post(client, "/customers", {"external_id": "a"})
    assert drop_old_answers() == 0
    IdempotentAnswer.objects.update(created_at=timezone.now() - KEPT_FOR - timedelta(seconds=1))
    assert post(client, "/customers", {"external_id": "b"}).status_code == 201
    IdempotentAnswer.objects.update(created_at=timezone.now() - KEPT_FOR - timedelta(seconds=1))
    assert drop_old_answers() == 1


def test_kept_answers_outlive_the_secret_key_they_were_sealed_with(client: APIClient, settings: Any) -> None:
    first = post(client, "/customers", {"external_id": "a"})
    settings.FAREBOX_SECRET_KEYS = (make_secret_key(), *settings.FAREBOX_SECRET_KEYS)
    assert reseal_answers() == 1
    assert reseal_answers() == 0
    settings.FAREBOX_SECRET_KEYS = settings.FAREBOX_SECRET_KEYS[:1]
    again = post(client, "/customers", {"external_id": "a"})
    assert (again.json(), again["Idempotent-Replayed"]) == (first.json(), "true")
