"""A base URL leads to the open Internet, or where the installation says."""

from __future__ import annotations

import asyncio
import dataclasses
import socket
from typing import Any

import pytest

from proxy.addresses import Origins, is_public
from proxy.errors import ForbiddenAddress, NotSent
from proxy.settings import Settings, read_settings
from tests.proxy.test_settings import GOOD


@pytest.mark.parametrize(
    "address",
    [
        *(
            "127.0.0.1",
            "10.1.2.3",
            "192.168.0.1",
            "172.16.0.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
        ),
        *(
            "::1",
            "fe80::1%eth0",
            "fd00::1",
            "::ffff:127.0.0.1",
            "64:ff9b::a00:1",
            "2002:7f00:1::",
            "ff02::1",
            "2001:0::1",
        ),
    ],
)
def test_addresses_that_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1", "64:ff9b::808:808", "::ffff:8.8.8.8"])
def test_addresses_that_are(address: str) -> None:
    assert is_public(address)


def settings(*private: str) -> Settings:
    return dataclasses.replace(read_settings(GOOD), private_upstreams=frozenset(private))


@pytest.mark.parametrize(
    "base_url",
    [
        *("https://127.0.0.1/v1", "https://0x7f.1/v1", "https://2130706433/v1", "https://[::ffff:7f00:1]/v1"),
        *(
            "http://8.8.8.8/v1",
            "https://user:pw@8.8.8.8/v1",
            "ftp://8.8.8.8/v1",
            "nonsense",
            "https://localhost/v1",
        ),
    ],
)
async def test_base_urls_that_are_refused(base_url: str) -> None:
    with pytest.raises(ForbiddenAddress):
        await Origins(settings("127.0.0.1:9999")).client_for(base_url, "/chat/completions")


async def test_a_named_private_upstream_is_reached_without_tls() -> None:
    _, url = await Origins(settings("127.0.0.1:*")).client_for(
        "http://127.0.0.1:9100/v1/", "/chat/completions"
    )
    assert str(url) == "http://127.0.0.1:9100/v1/chat/completions"


async def test_a_name_is_pinned_to_what_it_was_judged_by(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [["8.8.8.8"], ["127.0.0.1"]]

    async def lookup(*_: Any, **__: Any) -> list[Any]:
        return [(socket.AF_INET, 0, 0, "", (address, 443)) for address in answers.pop(0)]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", lookup)
    origins = Origins(settings())
    first, _ = await origins.client_for("https://provider.example/v1", "/a")
    again, _ = await origins.client_for("https://provider.example/v1", "/a")
    assert first is again  # one look-up: the second answer was never asked for
    origins.forget("https://provider.example/v1")
    with pytest.raises(ForbiddenAddress, match="private address"):
        await origins.client_for("https://provider.example/v1", "/a")


async def test_one_private_address_among_public_ones_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    async def lookup(*_: Any, **__: Any) -> list[Any]:
        return [(socket.AF_INET, 0, 0, "", (address, 443)) for address in ("8.8.8.8", "10.0.0.1")]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", lookup)
    with pytest.raises(ForbiddenAddress):
        await Origins(settings()).client_for("https://provider.example/v1", "/a")


async def test_a_host_that_does_not_exist_was_sent_nothing() -> None:
    with pytest.raises(NotSent):
        await Origins(settings()).client_for("https://nobody.invalid/v1", "/a")
