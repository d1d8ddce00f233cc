"""An account at Google: known by both of its names, tried with its key, refused in Google's own way."""

from __future__ import annotations

import json

import pytest
from django.test import override_settings

from tenants import providers
from tenants.probing import probe_account
from tests.factories import Holding, make_account
from tests.tenants.test_probing import _Listing, listing

__all__ = ["listing"]
LISTED = {"models": [{"name": "models/gemini-2.5-flash"}, {"name": "models/gemma-3-27b-it"}]}
REJECTED = {
    "error": {"code": 400, "status": "INVALID_ARGUMENT", "details": [{"reason": "API_KEY_INVALID"}]},
}


def test_google_is_known_by_both_of_its_names() -> None:
    assert providers.canonical("Gemini") == "google"
    known = providers.find("google")
    assert known is not None
    assert known.base_urls["gemini"] == "https://generativelanguage.googleapis.com"


@override_settings(FAREBOX_ALLOW_PRIVATE_UPSTREAMS=("127.0.0.1:*",))
@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (200, LISTED, ""),
        (400, REJECTED, "provider_auth_failed"),
        (403, {}, "provider_auth_failed"),
        (400, {"error": {"details": "none"}}, "provider_error"),
        (404, [], "provider_error"),
    ],
)
def test_an_account_is_tried_with_its_key(
    acme: Holding, listing: str, status: int, body: object, code: str
) -> None:
    account = make_account(
        acme.tenant, name="gem", provider="google", base_url=listing, api_key="k1", dialect="gemini"
    )
    _Listing.status, _Listing.body = status, json.dumps(body).encode()
    result = probe_account(account)
    assert result.code == code
    assert result.works is (not code)
    assert _Listing.seen[-1][0].startswith("/base/v1beta/models?")
    if result.works:
        assert result.models == ("gemini-2.5-flash", "gemma-3-27b-it")
