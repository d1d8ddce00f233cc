"""``GET /internal/metrics`` of the web process, for a scraper: by token, or without one from this machine alone."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from secrets import compare_digest

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from billing.metrics import metrics_text
from tenants.publishing import shared_control

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
# Whoever sends these is a reverse proxy: the address it comes from says nothing about who asks.
_FORWARDED = ("X-Forwarded-For", "Forwarded", "X-Real-IP", "Via")


PATH = "/internal/metrics"


class InternalMetrics:
    """Middleware that answers the scraper before hosts are checked: it asks by address, not by name."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer the one path; all else goes on."""
        is_ours = request.path == PATH and request.method == "GET"
        return metrics_page(request) if is_ours else self.get_response(request)


def metrics_page(request: HttpRequest) -> HttpResponse:
    """Answer with every figure of the workers' side, or 403."""
    if not may_scrape(request):
        return HttpResponse(
            "Send `Authorization: Bearer` with FAREBOX_METRICS_TOKEN; where that is unset, ask from this machine.\n",
            status=403,
            content_type="text/plain; charset=utf-8",
        )
    return HttpResponse(metrics_text(shared_control().client), content_type=CONTENT_TYPE)


def may_scrape(request: HttpRequest) -> bool:
    """Tell whether a request may read the figures: a token, where one is set, is the only way."""
    if settings.FAREBOX_METRICS_TOKEN:
        expected = f"Bearer {settings.FAREBOX_METRICS_TOKEN}"
        return compare_digest(request.headers.get("Authorization", "").encode(), expected.encode())
    if any(name in request.headers for name in _FORWARDED):
        return False
    try:
        return ipaddress.ip_address(request.META.get("REMOTE_ADDR") or "").is_loopback
    except ValueError:
        return False  # a socket's peer has no address
