"""System checks: what ``manage.py check`` says of an installation before it serves.

farebox.E001  FAREBOX_SECRET_KEYS holds something that is no key
farebox.W001  a Redis is reached without TLS over a network (deployment only)
farebox.W002  a PostgreSQL is reached without TLS over a network (deployment only)
farebox.W003  the base price book is old (deployment only)
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.utils import timezone

from enforcement.errors import CredentialError
from enforcement.secrets import CredentialBox
from metering.price_book import latest_change

PRICE_BOOK_DAYS_MAX = 180
_ENCRYPTED = frozenset({"require", "verify-ca", "verify-full"})
_VARIABLES = {"default": "DATABASE_URL", "owner": "DATABASE_OWNER_URL", "recorder": "DATABASE_RECORDER_URL"}


@register(Tags.security)
def check_secret_keys(app_configs: Any, **kwargs: Any) -> Sequence[CheckMessage]:
    """Each secret key is 32 bytes in URL-safe base 64."""
    try:
        CredentialBox(settings.FAREBOX_SECRET_KEYS)
    except CredentialError as error:
        hint = "Make one with `python -m config.secretkey`."
        return [Error(f"FAREBOX_SECRET_KEYS: {error}", hint=hint, id="farebox.E001")]
    return []


@register(Tags.security, deploy=True)
def check_redis_is_encrypted(app_configs: Any, **kwargs: Any) -> Sequence[CheckMessage]:
    """Policies with sealed credentials, and every event, go over this wire."""
    urls = {"REDIS_URL": settings.REDIS_URL, "CELERY_BROKER_URL": settings.CELERY_BROKER_URL}
    return [
        Warning(
            f"{name} leads to {urlsplit(url).hostname} without TLS.",
            hint="Use rediss:// (or rediss+cluster://), a socket, or a loopback address.",
            id="farebox.W001",
        )
        for name, url in urls.items()
        if urlsplit(url).scheme in {"redis", "redis+cluster"} and not is_here(urlsplit(url).hostname or "")
    ]


@register(Tags.security, deploy=True)
def check_postgresql_is_encrypted(app_configs: Any, **kwargs: Any) -> Sequence[CheckMessage]:
    """The books, and everybody's sessions, go over this wire."""
    return [
        Warning(
            f"{_VARIABLES[alias]} leads to {database['HOST']} and does not ask for TLS.",
            hint="Add sslmode=verify-full (or at least require), or use a socket or a loopback address.",
            id="farebox.W002",
        )
        for alias, database in settings.DATABASES.items()
        if alias in _VARIABLES
        and database.get("OPTIONS", {}).get("sslmode") not in _ENCRYPTED
        and not is_here(database.get("HOST", ""))
    ]


@register(deploy=True)
def check_prices_are_recent(app_configs: Any, **kwargs: Any) -> Sequence[CheckMessage]:
    """A call is never cheaper than we think because a provider raised a price that we have not heard of."""
    today = timezone.now().date()
    known = latest_change(today)
    if known is not None and (today - known).days <= PRICE_BOOK_DAYS_MAX:
        return []
    return [
        Warning(
            f"The base price book knows of no price change since {known}.",
            hint="Lock and install a newer genai-prices, or set the prices in use with PUT /api/v1/prices.",
            id="farebox.W003",
        )
    ]


def is_here(host: str) -> bool:
    """Tell whether a host is this machine: a socket (its folder, or nothing at all) or a loopback address."""
    if not host or host.startswith("/") or host == "localhost":
        return True
    try:
        return all(ipaddress.ip_address(one).is_loopback for one in host.split(","))
    except ValueError:
        return False
