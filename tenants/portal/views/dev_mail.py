"""Development only: the mail that would have been sent, on a page."""

from __future__ import annotations

import email
import email.policy
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings as django_settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

SHOWN_MAX = 50
# What Django's file backend writes after each message.
_SEPARATOR = re.compile(rb"^-{79}\n", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Letter:
    """One mail as it would have arrived."""

    subject: str
    recipient: str
    date: str
    body: str


@require_safe
def dev_mail(request: HttpRequest) -> HttpResponse:
    """Show the newest mail. Raises: Http404 outside development."""
    if not django_settings.DEVELOPMENT:
        raise Http404("no such page")
    folder = Path(django_settings.FAREBOX_HOME) / "mail"
    return render(
        request, "portal/dev_mail.html", {"letters": list(letters(folder))[:SHOWN_MAX], "folder": folder}
    )


def letters(folder: Path) -> Iterator[Letter]:
    """Read a folder of the file backend, newest first."""
    files = sorted(folder.glob("*.log"), key=lambda path: (path.stat().st_mtime, path.name), reverse=True)
    for path in files[:SHOWN_MAX]:
        for raw in reversed([part for part in _SEPARATOR.split(path.read_bytes()) if part.strip()]):
            message = email.message_from_bytes(raw, policy=email.policy.default)
            body = message.get_body(("plain",))
            yield Letter(
                str(message["subject"]),
                str(message["to"]),
                str(message["date"]),
                str(body.get_content()) if body else "",
            )
