"""Forms that must not be sent twice: what they make is shown once, so a reload must not make it again."""

from __future__ import annotations

import secrets

from django.http import HttpRequest

FIELD = "once"
SENT = "sent_once"
REMEMBERED_MAX = 50


def new_ticket() -> str:
    """Make the ticket that a form carries."""
    return secrets.token_urlsafe(12)


def is_first_time(request: HttpRequest) -> bool:
    """Tell whether the form's ticket is new, and use it up. A form without a ticket is always new."""
    ticket = request.POST.get(FIELD, "")
    if not ticket:
        return True
    sent = request.session.get(SENT, [])
    if ticket in sent:
        return False
    request.session[SENT] = [*sent[1 - REMEMBERED_MAX :], ticket]
    return True
