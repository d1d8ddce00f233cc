"""Mail about a connection: once when it breaks, to those who can mend it."""

from __future__ import annotations

import logging
import smtplib

from celery import shared_task
from django.conf import settings as django_settings
from django.core.mail import send_mail
from django.template.loader import render_to_string
from django.urls import reverse

from billing.models import StripeConnection
from tenants.models import Member

log = logging.getLogger(__name__)

_MENDERS = (Member.Role.OWNER, Member.Role.ADMIN, Member.Role.FINANCE)


def send_broken(connection_id: str) -> bool:
    """Tell a tenant's people that Stripe refuses their key; returns whether the mail left."""
    row = StripeConnection.objects.select_related("tenant").get(pk=connection_id)
    if row.status != StripeConnection.Status.BROKEN:
        return False  # mended meanwhile
    members = Member.objects.filter(tenant=row.tenant, role__in=_MENDERS).select_related("user")
    page = reverse("portal:stripe_connection", kwargs={"slug": row.tenant.slug, "mode": row.mode})
    context = {"connection": row, "link": f"{django_settings.FAREBOX_BASE_URL}{page}"}
    try:
        send_mail(
            f"Stripe refuses {row.tenant.name}'s key",
            render_to_string("emails/stripe_broken.txt", context),
            None,
            [member.user.email for member in members],
        )
    except (OSError, smtplib.SMTPException):
        log.exception("stripe.broken_mail_failed", extra={"connection": row.pk})
        return False
    return True


@shared_task(name="billing.stripe.tell_broken")
def tell_broken(connection_id: str) -> None:
    """Mail those who can give another key."""
    send_broken(connection_id)
