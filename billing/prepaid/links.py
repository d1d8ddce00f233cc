"""The link by which a customer tops up without an account: signed, expiring, and good for that one customer alone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings as django_settings
from django.core import signing
from django.urls import reverse
from django.utils import timezone

from billing.models import PrepaidBudget
from tenants.errors import InvalidInput

SALT = "farebox.top-up"
LASTS = timedelta(days=7)
DAYS_MAX = 90


@dataclass(frozen=True, slots=True)
class TopUpLink:
    """A link and until when it works."""

    url: str
    expires_at: datetime


def make_link(prepaid: PrepaidBudget, *, lasts: timedelta = LASTS) -> TopUpLink:
    """Make a link for a customer. Raises: InvalidInput when it is to last too long."""
    if not timedelta(0) < lasts <= timedelta(days=DAYS_MAX):
        raise InvalidInput("days", f"a link lasts 1 to {DAYS_MAX} days")
    expires_at = timezone.now() + lasts
    token = signing.dumps([prepaid.pk, int(expires_at.timestamp())], salt=SALT)
    return TopUpLink(django_settings.FAREBOX_BASE_URL + path_of(token), expires_at)


def path_of(token: str) -> str:
    """Where a link leads on this installation."""
    return reverse("top_up", kwargs={"token": token})


def find_by_link(token: str) -> PrepaidBudget | None:
    """The prepaid budget that a link is for; None when it was not made here, is over, or nobody prepays any more."""
    try:
        prepaid_id, expires_s = signing.loads(token, salt=SALT)
    except (signing.BadSignature, ValueError, TypeError):
        return None
    if timezone.now().timestamp() > expires_s:
        return None
    rows = PrepaidBudget.objects.filter(pk=prepaid_id, budget__archived_at=None)
    return rows.select_related("tenant", "customer", "budget").first()
