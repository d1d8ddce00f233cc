"""Mail that the portal sends beside allauth's."""

from __future__ import annotations

import logging
import smtplib

from django.conf import settings as django_settings
from django.core.mail import send_mail
from django.template.loader import render_to_string
from django.urls import reverse

from tenants.actions.members import Invited

log = logging.getLogger(__name__)


def invitation_link(token: str) -> str:
    """The address at which an invitation is accepted."""
    return f"{django_settings.FAREBOX_BASE_URL}{reverse('portal:invitation', args=[token])}"


def send_invitation(invited: Invited) -> bool:
    """Mail an invitation's link; returns whether the mail left."""
    row = invited.row
    context = {"invitation": row, "link": invitation_link(invited.token)}
    try:
        send_mail(
            f"Join {row.tenant.name} on Farebox",
            render_to_string("emails/invitation.txt", context),
            None,
            [row.email],
        )
    except (OSError, smtplib.SMTPException):
        log.exception("invitation could not be mailed", extra={"invitation": row.pk})
        return False
    return True
