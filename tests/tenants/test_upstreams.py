"""Where a provider account may lead."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import httpx
import pytest
from django.test import override_settings

from tenants import probing
from tenants.errors import InvalidInput, UnsafeUpstream
from tenants.upstreams import checked_base_url, leads_to_private, warnings_for
from tests.factories import Holding, make_account


@pytest.fixture(autouse=True)
def _no_private_upstreams() -> Iterator[None]:
    with override_settings(FAREBOX_ALLOW_PRIVATE_UPSTREAMS=()):
        yield


@pytest.mark.parametrize(
    "url",
    [
        "http://api.openai.com/v1",
        "https://127.0.0.1/v1",
        "https://127.1/v1",
        "https://2130706433/v1",
        "https://0x7f000001/v1",
        "https://0177.0.0.1/v1",
        "https://10.0.0.8/v1",
        "https://192.168.1.1:8443/v1",
        "https://172.16.0.1/v1",
        "https://169.254.169.254/latest/meta-data",
        "https://100.64.0.1/v1",
        "https://0.0.0.0/v1",
        "https://[::1]/v1",
        "https://[::ffff:127.0.0.1]/v1",
        "https://[64:ff9b::7f00:1]/v1",
        "https://[fe80::1%25eth0]/v1",
        "https://[fd00::1]/v1",
        "https://localhost/v1",
        "https://localhost./v1",
        "https://metadata.google.internal/v1",
        "https://intranet/v1",
        "https://user:secret@api.openai.com/v1",
        "https://224.0.0.1/v1",
        "https://256.1.1.1/v1",
    ],
)
def test_a_url_that_leads_inwards_or_in_clear_text_is_refused(url: str) -> None:
    with pytest.raises(UnsafeUpstream):
        checked_base_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "", "openai", "ftp://api.openai.com", "https://", "https://api.openai.com:0/v1", "https://a b.com/v1",
        "https://api.openai.com:99999/v1", "https://api.openai.com/v1?x=1", "https://api.openai.com/v1#x",
        "https://api.openai.com\\@127.0.0.1/v1", "https://[::1/v1",
    ],
)  # fmt: skip
def test_what_is_no_base_url_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput):
        checked_base_url(url)


def test_public_addresses_pass_with_any_port() -> None:
    assert checked_base_url("https://api.openai.com/v1/") == "https://api.openai.com/v1"
    assert checked_base_url("https://llm.example.com:8443/v1") == "https://llm.example.com:8443/v1"
    assert checked_base_url("https://8.8.8.8/v1") == "https://8.8.8.8/v1"


@override_settings(FAREBOX_ALLOW_PRIVATE_UPSTREAMS=("127.0.0.1:9100",))
def test_only_the_private_address_that_is_named_is_allowed() -> None:
    assert checked_base_url("http://127.0.0.1:9100/v1") == "http://127.0.0.1:9100/v1"
    assert leads_to_private("http://127.0.0.1:9100/v1")
    assert not leads_to_private("https://api.openai.com/v1")
    with pytest.raises(UnsafeUpstream):
        checked_base_url("http://127.0.0.1:9101/v1")


def test_a_base_url_that_is_probably_a_slip_is_warned_of() -> None:
    assert "/v1" in warnings_for("other", "openai", "https://llm.example.com")[0]
    assert warnings_for("other", "openai", "https://llm.example.com/openai/v1") == []
    assert warnings_for("anthropic", "anthropic", "https://api.anthropic.com/v1") != []
    assert warnings_for("anthropic", "anthropic", "https://api.anthropic.com") == []
    assert warnings_for("perplexity", "openai", "https://api.perplexity.ai") == []
    assert warnings_for("azure-deployments", "openai", "https://one.openai.azure.com/openai") == []


def test_a_public_name_that_resolves_inwards_is_not_connected_to(
    acme: Holding, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a name that was public when it was set and points inwards now
    account = make_account(acme.tenant, name="rebound", base_url="https://rebound.example.com/v1")
    inward = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.8", 443))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: inward)
    monkeypatch.setattr(httpx.Client, "stream", lambda *_, **__: pytest.fail("a connection was made"))

    found = probing.probe_account(account)

    assert not found.works
    assert "10.0.0.8" in found.message
    assert account.pk in found.message
