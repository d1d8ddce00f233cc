"""Under /api/ every answer is JSON, also where no view answers; a fault of ours has an id that the log has too."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from django.test import Client
from rest_framework.test import APIClient

from tenants.api import customers
from tests.factories import Holding


def problem(answer: Any) -> dict[str, Any]:
    assert answer["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = json.loads(answer.content)
    assert body["status"] == answer.status_code
    assert body["type"] == body["docs"] == f"http://127.0.0.1:8000/docs/errors#{body['code']}"
    return body


@pytest.mark.parametrize(
    "path", ["/api/v1/nothing", "/api/nothing", "/api/v1/", "/api/v2/customers", "/api/"]
)
@pytest.mark.parametrize("method", ["get", "post", "put", "delete"])
def test_an_unknown_address_is_a_problem_document(path: str, method: str) -> None:
    body = problem(getattr(Client(), method)(path))
    assert (body["status"], body["code"]) == (404, "not_found")
    assert f"{method.upper()} {path}" in body["detail"]


def test_an_unknown_page_of_the_portal_is_a_page(db: None) -> None:
    answer = Client().get("/nothing-here/")
    assert (answer.status_code, answer["Content-Type"]) == (404, "text/html; charset=utf-8")


def test_a_method_that_is_not_allowed_is_named(acme: Holding) -> None:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {acme.api_key}")
    answer = client.put("/api/v1/customers", {}, format="json")
    assert problem(answer)["code"] == "method_not_allowed"
    assert answer["Allow"] == "GET, POST, HEAD, OPTIONS"
    page = Client(enforce_csrf_checks=True).post("/api/docs")
    assert (problem(page)["code"], page["Allow"]) == ("method_not_allowed", "GET, HEAD")
    assert problem(Client().delete("/api/schema"))["code"] == "method_not_allowed"


@pytest.mark.parametrize(
    ("body", "kind", "status", "code"),
    [
        (b"{", "application/json", 400, "parse_error"),
        (b"a=1", "application/x-www-form-urlencoded", 415, "unsupported_media_type"),
    ],
)
def test_a_body_that_is_no_json_is_a_problem_document(
    acme: Holding, body: bytes, kind: str, status: int, code: str
) -> None:
    headers = {"Authorization": f"Bearer {acme.api_key}"}
    found = problem(Client().post("/api/v1/customers", body, content_type=kind, headers=headers))
    assert (found["status"], found["code"]) == (status, code)


def test_a_host_that_is_not_ours_is_a_problem_document(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "django.security")
    assert problem(Client().get("/api/v1/customers", headers={"host": "evil.example"}))["status"] == 400


def test_a_fault_of_ours_has_an_id_that_the_log_has(
    acme: Holding, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("the very reason")

    monkeypatch.setattr(customers.CustomersView, "get", fail)
    client = Client(raise_request_exception=False)
    answer = client.get("/api/v1/customers", headers={"Authorization": f"Bearer {acme.api_key}"})
    body = problem(answer)
    assert (body["status"], body["code"]) == (500, "internal_error")
    assert "the very reason" not in answer.content.decode()
    [record] = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert record.request_id == body["request_id"] == answer["Farebox-Request-Id"]  # type: ignore[attr-defined]
    assert record.exc_info is not None
    assert "the very reason" in str(record.exc_info[1])
