"""What a tenant sets for pushing by itself: a webhook that takes its pushes, and what a dollar is in its currencies."""

from __future__ import annotations

import base64
import re
import secrets
from dataclasses import dataclass
from datetime import date

from django.db import IntegrityError, transaction

from billing.models import ExchangeRate, PushDestination
from billing.pushing.currencies import USD, unit_minor_of
from billing.pushing.webhook_sink import SECRET_BYTES, SECRET_PREFIX
from tenants.actions.provider_accounts import credential_box
from tenants.actions.recording import Actor, Trail
from tenants.errors import AlreadyExists, InvalidInput
from tenants.models import Tenant
from tenants.upstreams import checked_base_url

_CURRENCY = re.compile(r"[a-z]{3}", re.ASCII)
_RATE = re.compile(r"(?P<whole>\d{1,9})(?:\.(?P<fraction>\d{1,9}))?", re.ASCII)
RATE_PLACES = 9


@dataclass(frozen=True, slots=True)
class MadeDestination:
    """A destination and its signing secret, which is shown once."""

    row: PushDestination
    secret: str


def put_destination(*, tenant: Tenant, mode: str, actor: Actor, url: str, currency: str) -> MadeDestination:
    """Send a tenant's pushes to its webhook from now on, with a fresh secret.

    Raises: InvalidInput, UnsafeUpstream for where a URL may not lead; AlreadyExists where pushes have another currency.
    """
    where, paid_in = checked_base_url(url), checked_currency(currency)
    secret = SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()
    with transaction.atomic():
        row = PushDestination.objects.select_for_update().filter(tenant=tenant, mode=mode).first()
        before = {"url": row.url, "status": row.status} if row else None
        if row is not None and row.currency != paid_in and row.pushes.exists():
            raise AlreadyExists(
                f"pushes were sealed in {row.currency} already; a destination keeps its currency"
            )
        row = row or PushDestination(tenant=tenant, mode=mode)
        row.url, row.currency, row.unit_minor = where, paid_in, unit_minor_of(paid_in)
        row.secret = credential_box().seal(secret, context=row.secret_context)
        row.status, row.why = PushDestination.Status.ACTIVE, ""
        row.save()
        after = {"url": row.url, "status": row.status, "currency": row.currency}
        Trail(tenant, mode, actor).audit("push_destination.put", row, before=before, after=after)
    return MadeDestination(row, secret)


def add_rate(*, tenant: Tenant, mode: str, actor: Actor, currency: str, day: date, rate: str) -> ExchangeRate:
    """Say what a dollar is in a currency from a day on. Raises: InvalidInput; AlreadyExists, for no rate is changed."""
    name = checked_currency(currency)
    if name == USD:
        raise InvalidInput("currency", "a dollar is a dollar; rates are of other currencies")
    rate_nano = parse_rate(rate)
    try:
        with transaction.atomic():
            row = ExchangeRate.objects.create(
                tenant=tenant, mode=mode, currency=name, day=day, rate_nano=rate_nano
            )
            after = {"currency": name, "day": day.isoformat(), "rate": rate}
            Trail(tenant, mode, actor).audit("exchange_rate.add", row, after=after)
    except IntegrityError as error:
        raise AlreadyExists(
            f"{name} has a rate of {day} already, and what was billed by it stands; give one of a later day"
        ) from error
    return row


def parse_rate(text: str) -> int:
    """Read how much of a currency a dollar is, exactly: ``"0.921"`` is 921,000,000 billionths. Raises: InvalidInput."""
    found = _RATE.fullmatch(text.strip())
    rate_nano = int(found["whole"] + (found["fraction"] or "").ljust(RATE_PLACES, "0")) if found else 0
    if rate_nano == 0:
        raise InvalidInput(
            "rate", f"{text[:40]!r} is no rate: write digits and at most nine decimals, above zero"
        )
    return rate_nano


def format_rate(rate_nano: int) -> str:
    """Write a rate as a plain decimal."""
    whole, fraction = divmod(rate_nano, 10**RATE_PLACES)
    return f"{whole}.{fraction:0{RATE_PLACES}d}".rstrip("0").rstrip(".")


def checked_currency(text: str) -> str:
    """Read a currency's ISO code. Raises: InvalidInput."""
    name = text.strip().lower()
    if _CURRENCY.fullmatch(name) is None:
        raise InvalidInput("currency", f"{text[:20]!r} is no currency such as eur")
    return name
