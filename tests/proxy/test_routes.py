"""Routes: what is served is proven at the start, what is not says why, and never goes anywhere."""

from __future__ import annotations

import httpx
import pytest

from proxy.app import is_proxy_path
from proxy.errors import Refusal
from proxy.routes import errors_of, find_dialect, routes_to_prove
from proxy.selftest import canary_for
from proxy.unserved import UNSERVED, why_unserved
from tests.proxy.conftest import Bill, Proxy

UNSERVED_ROUTES = [
    ("POST", "/v1/images/generations", "pictures"),
    ("POST", "/v1/images/edits", "pictures"),
    ("POST", "/v1/videos", "films"),
    ("POST", "/v1/audio/speech", "sound"),
    ("POST", "/v1/audio/transcriptions", "sound"),
    ("GET", "/v1/responses/resp_1", "stored at the provider"),
    ("POST", "/v1/batches", "send each request of the batch by itself"),
    ("GET", "/v1/batches", "send each request of the batch by itself"),
    ("POST", "/v1/files", "put the content into the request"),
    ("POST", "/v1/uploads", "put the content into the request"),
    ("GET", "/v1/realtime", "connection that stays open"),
    ("POST", "/v1/realtime/sessions", "connection that stays open"),
    ("POST", "/v1/assistants", "kept at the provider"),
    ("POST", "/v1/fine_tuning/jobs", "training"),
    ("POST", "/v1/messages/batches", "send each message"),
    ("POST", "/anthropic/v1/messages/batches", "send each message"),
    ("POST", "/anthropic/v1/complete", "POST /v1/messages"),
    ("POST", "/anthropic/v1/files", "put the content into the request"),
    ("POST", "/gemini/v1beta/models/m:batchGenerateContent", "send each request of the batch"),
    ("POST", "/gemini/upload/v1beta/files", "put the content into the request"),
    ("POST", "/gemini/v1beta/cachedContents", "cached at the provider"),
    ("POST", "/bedrock/model/m/converse", "Bedrock signs"),
    ("POST", "/model/anthropic.claude-3/invoke", "Bedrock signs"),
    ("POST", "/openai/deployments/d/chat/completions", "Azure"),
]


@pytest.mark.parametrize(("method", "path", "says"), UNSERVED_ROUTES)
def test_a_route_that_is_not_served_says_why_and_what_to_do(method: str, path: str, says: str) -> None:
    assert is_proxy_path(path)
    with pytest.raises(Refusal) as raised:
        find_dialect(method, path, b"")
    assert raised.value.code == "unsupported_route"
    assert says in raised.value.message
    assert raised.value.message.startswith(f"{method} {path} is not served here: ")


def test_every_reason_is_met_by_a_route() -> None:
    reasons = {why_unserved(path) for _, path, _ in UNSERVED_ROUTES}
    assert {why for _, why in UNSERVED} == reasons


@pytest.mark.parametrize(
    ("path", "where"),
    [
        ("/v1/images/generations", ("error", "code")),
        ("/v1/messages/batches", ("error", "code")),
        ("/anthropic/v1/complete", ("error", "code")),
        ("/bedrock/model/m/converse", ("code",)),
        ("/model/m/invoke", ("code",)),
    ],
)
def test_it_is_refused_in_its_clients_own_shape_and_goes_nowhere(
    proxy: Proxy, bill: Bill, path: str, where: tuple[str, ...]
) -> None:
    before = bill.last()
    answer = httpx.post(f"{proxy.url}{path}", json={})
    assert answer.status_code == 404
    found = answer.json()
    assert (found.get("type") == "error") is ("messages" in path or "anthropic" in path)
    for name in where:
        found = found[name]
    assert found == "unsupported_route"
    assert answer.headers["x-should-retry"] == "false"
    assert ("x-amzn-errortype" in answer.headers) is ("model" in path)
    assert bill.last() == before


@pytest.mark.parametrize(("method", "path"), sorted(routes_to_prove()))
def test_the_canary_is_well_formed_for_its_dialect(method: str, path: str) -> None:
    if method == "GET":
        assert canary_for(path) == b""
    else:
        assert find_dialect(method, path, b"").decode(canary_for(path)).model == "canary"


def test_errors_of_a_list_are_in_the_clients_dialect() -> None:
    as_anthropic = [(b"anthropic-version", b"2023-06-01")]
    assert errors_of("/v1/models", as_anthropic) is errors_of("/v1/messages")
    assert errors_of("/v1/models") is errors_of("/v1/chat/completions")
    assert errors_of("/v1/chat/completions", as_anthropic) is errors_of("/v1/chat/completions")
