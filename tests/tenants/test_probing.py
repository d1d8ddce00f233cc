"""Trying an account: each provider is asked what its data says, with its key where it takes it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import ClassVar

import pytest
from django.test import override_settings

from tenants import providers
from tenants.probing import probe_account
from tests.factories import Holding, make_account


class _Listing(BaseHTTPRequestHandler):
    seen: ClassVar[list[tuple[str, str | None, str | None]]] = []
    body = b'{"data": [{"id": "tiny-1"}]}'
    status = 200

    def do_GET(self) -> None:
        self.seen.append((self.path, self.headers["authorization"], self.headers["api-key"]))
        self.send_response(self.status)
        self.send_header("content-length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def listing() -> Iterator[str]:
    _Listing.seen, _Listing.status, _Listing.body = [], 200, b'{"data": [{"id": "tiny-1"}]}'
    server = HTTPServer(("127.0.0.1", 0), _Listing)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/base"
    server.shutdown()
    server.server_close()
    thread.join()


@override_settings(FAREBOX_ALLOW_PRIVATE_UPSTREAMS=("127.0.0.1:*",))
def test_every_openai_like_provider_is_asked_where_and_how_its_data_says(acme: Holding, listing: str) -> None:
    for name, known in providers.KNOWN.items():
        if "openai" not in known.base_urls:
            continue
        account = make_account(
            acme.tenant, name=name, provider=name, base_url=listing, api_key="k1", dialect="openai"
        )
        result = probe_account(account)
        assert result.works, (name, result)
        assert result.models == (("tiny-1",) if known.lists_models else ())
        path = f"/base{known.models_path}" + (f"?{known.query}" if known.query else "")
        by_azure = name.startswith("azure")
        expected = (path, None, "k1") if by_azure else (path, "Bearer k1", None)
        assert _Listing.seen[-1] == expected, name


@override_settings(FAREBOX_ALLOW_PRIVATE_UPSTREAMS=("127.0.0.1:*",))
def test_a_provider_that_lists_nothing_still_tells_whether_the_key_is_taken(
    acme: Holding, listing: str
) -> None:
    account = make_account(acme.tenant, name="p", provider="perplexity", base_url=listing, api_key="k1")
    _Listing.body = b"<html>"
    assert probe_account(account).works
    _Listing.status = 401
    assert probe_account(account).code == "provider_auth_failed"
