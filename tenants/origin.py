"""From where a request came: what audit entries say of it, and rate limits go by."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from contextvars import ContextVar

from django.conf import settings as django_settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase

_address: ContextVar[str] = ContextVar("farebox_origin", default="")


def current_address() -> str:
    """The address that the request at hand came from; empty outside of requests."""
    return _address.get()


def client_address(request: HttpRequest, trusted: tuple[str, ...]) -> str:
    """The nearest address that is not one of our own proxies; ``X-Forwarded-For`` counts only from those."""
    peer = str(request.META.get("REMOTE_ADDR", ""))
    networks = [ipaddress.ip_network(network, strict=False) for network in trusted]
    hops = [hop.strip() for hop in request.headers.get("X-Forwarded-For", "").split(",") if hop.strip()]
    while hops and _is_within(peer, networks):
        peer = hops.pop()
    return peer


class RequestOrigin:
    """Middleware: remembers where a request came from until it is answered."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer with the address at hand."""
        token = _address.set(_kept(client_address(request, django_settings.FAREBOX_TRUSTED_PROXIES)))
        try:
            return self.get_response(request)
        finally:
            _address.reset(token)


def _kept(address: str) -> str:
    """Keep what is an address; whatever else stands in a header is not written down."""
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        return ""


def _is_within(address: str, networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> bool:
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(ip in network for network in networks)
