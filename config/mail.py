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
        return _named(backend=f"{BACKENDS}.filebased.EmailBackend", file_path=unquote(parts.path))
    if parts.scheme not in {"smtp", "smtps"} or not parts.hostname:
        raise EnvError(
            "EMAIL_URL", "is none of smtp://user:password@host:587, smtps://host:465, file:/folder"
        )
    is_tls = parts.scheme == "smtps"
    return _named(
        backend=f"{BACKENDS}.smtp.EmailBackend",
        host=parts.hostname,
        port=parts.port or (SMTPS_PORT if is_tls else SMTP_PORT),
        host_user=unquote(parts.username or ""),
        host_password=unquote(parts.password or ""),
        use_ssl=is_tls,
        use_tls=not is_tls and parts.query != "starttls=no",
        timeout=SECONDS_MAX,
    )


def _named(**values: Any) -> dict[str, Any]:
    return {f"EMAIL_{name.upper()}": value for name, value in values.items()}
