"""Where mail goes, read out of one URL: ``smtp://``, ``smtps://`` or ``file:``."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote, urlsplit

from config.env import EnvError

BACKENDS = "django.core.mail.backends"
SECONDS_MAX = 15
SMTP_PORT, SMTPS_PORT = 587, 465


def mail_settings(url: str) -> dict[str, Any]:
    """Turn EMAIL_URL into Django's settings. ``smtp://`` speaks STARTTLS unless ``?starttls=no``.

    Raises: EnvError for a URL of another kind.
    """
    parts = urlsplit(url)
    if parts.scheme == "file" and parts.path:
        return {"EMAIL_BACKEND": f"{BACKENDS}.filebased.EmailBackend", "EMAIL_FILE_PATH": unquote(parts.path)}
    if parts.scheme not in {"smtp", "smtps"} or not parts.hostname:
        raise EnvError(
            "EMAIL_URL", "is none of smtp://user:password@host:587, smtps://host:465, file:/folder"
        )
    is_tls = parts.scheme == "smtps"
    return {
        "EMAIL_BACKEND": f"{BACKENDS}.smtp.EmailBackend",
        "EMAIL_HOST": parts.hostname,
        "EMAIL_PORT": parts.port or (SMTPS_PORT if is_tls else SMTP_PORT),
        "EMAIL_HOST_USER": unquote(parts.username or ""),
        "EMAIL_HOST_PASSWORD": unquote(parts.password or ""),
        "EMAIL_USE_SSL": is_tls,
        "EMAIL_USE_TLS": not is_tls and parts.query != "starttls=no",
        "EMAIL_TIMEOUT": SECONDS_MAX,
    }
