"""Where a base URL leads: resolved by us, judged by us, and pinned, so that DNS cannot change its mind in between.

One HTTP client per origin, because the pin belongs to the client. Private, loopback, link-local and metadata addresses
are refused unless the installation names their ``host:port``; so is plain http.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from dataclasses import dataclass
from datetime import timedelta

from pyreqwest.client import Client, ClientBuilder
from pyreqwest.http import Url

from proxy.errors import ForbiddenAddress, NotSent
from proxy.settings import Settings

RESOLVE_AGAIN_SECONDS = 60.0
ORIGINS_MAX = 2_000
# Below the 5 s after which common servers close an idle connection: a request written into one that is just closing
# would be in doubt, and in doubt means booked at its quote.
POOL_IDLE_MS = 4_000
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(slots=True)
class Pinned:
    """A client bound to one address of one origin."""

    client: Client
    address: str
    resolved_at: float


class Origins:
    """The HTTP clients of this process, one per origin, each pinned to a judged address."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._pinned: dict[str, Pinned] = {}
        self._urls: dict[tuple[str, str], tuple[Url, str]] = {}

    async def client_for(self, base_url: str, path: str) -> tuple[Client, Url]:
        """Return the client of a base URL and the whole address.

        Raises: NotSent when the host cannot be found, ForbiddenAddress when it may not be reached.
        """
        url, origin = self._urls.get((base_url, path)) or self._parse(base_url, path)
        pinned = self._pinned.get(origin)
        if pinned is None or asyncio.get_running_loop().time() - pinned.resolved_at > RESOLVE_AGAIN_SECONDS:
            pinned = await self._pin(origin, url, pinned)
        return pinned.client, url

    def forget(self, base_url: str) -> None:
        """Resolve a base URL anew the next time: the pinned address did not take a connection."""
        for (known, _), (_, origin) in self._urls.items():
            if known == base_url:
                self._pinned.pop(origin, None)

    def _parse(self, base_url: str, path: str) -> tuple[Url, str]:
        if not Url.is_valid(base_url):
            raise ForbiddenAddress(f"{base_url!r} is no address")
        url = Url.parse(base_url.rstrip("/") + path)
        if url.scheme not in {"http", "https"} or not url.host_str or url.username or url.password:
            raise ForbiddenAddress(f"{base_url!r} is no plain http(s) address")
        origin = f"{url.scheme}://{url.host_str}:{url.port_or_known_default}"
        if len(self._urls) > ORIGINS_MAX:
            self._urls.clear()
        self._urls[base_url, path] = url, origin
        return url, origin

    async def _pin(self, origin: str, url: Url, known: Pinned | None) -> Pinned:
        host, port = url.host_str or "", url.port_or_known_default or 0
        allowed = self._named(host, port)
        if url.scheme == "http" and not allowed:
            raise ForbiddenAddress(f"{origin} would send the credential in the clear: use https")
        addresses = await _resolve(host.strip("[]"), port)
        if not allowed:
            for address in addresses:
                if not is_public(address):
                    raise ForbiddenAddress(
                        f"{origin} leads to the private address {address}, which "
                        "FAREBOX_ALLOW_PRIVATE_UPSTREAMS does not name"
                    )
        now = asyncio.get_running_loop().time()
        if known is not None and known.address in addresses:
            known.resolved_at = now
            return known
        # A client that is replaced is not closed: calls under way keep it until they are done.
        if len(self._pinned) > ORIGINS_MAX:
            self._pinned.clear()
        pinned = Pinned(self._build(url, addresses[0], port), addresses[0], now)
        self._pinned[origin] = pinned
        return pinned

    def _named(self, host: str, port: int) -> bool:
        named = self._settings.private_upstreams
        return f"{host}:{port}" in named or f"{host}:*" in named

    def _build(self, url: Url, address: str, port: int) -> Client:
        settings = self._settings
        builder = (
            ClientBuilder()
            .no_proxy()
            .follow_redirects(enable=False)
            .referer(enable=False)
            .pool_idle_timeout(timedelta(milliseconds=POOL_IDLE_MS))
            .connect_timeout(timedelta(milliseconds=settings.connect_timeout_ms))
            .read_timeout(timedelta(milliseconds=settings.first_byte_timeout_ms))
            .timeout(timedelta(milliseconds=settings.total_timeout_ms))
        )
        if url.domain:
            builder = builder.resolve(url.domain, address, port)
        return builder.build()


async def _resolve(host: str, port: int) -> list[str]:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise NotSent(f"the host {host} cannot be found") from error
    # IPv4 first: a pin is one address, and not every machine has a way out over IPv6.
    return [str(entry[4][0]) for entry in sorted(found, key=lambda entry: entry[0] != socket.AF_INET)]


def is_public(address: str) -> bool:
    """Tell whether an address is one of the open Internet, also when it is an IPv4 address in IPv6 clothes."""
    ip: IpAddress = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        embedded = ip.ipv4_mapped or ip.sixtofour
        if ip in _NAT64:
            embedded = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if ip.teredo is not None:
            return False
        if embedded is not None:
            ip = embedded
    return ip.is_global and not ip.is_multicast
