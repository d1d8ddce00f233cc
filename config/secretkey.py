"""Print a fresh key for FAREBOX_SECRET_KEYS: 32 random bytes in URL-safe base 64."""

from __future__ import annotations

import base64
import secrets
import sys


def make_secret_key() -> str:
    """Make one key."""
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


if __name__ == "__main__":
    sys.stdout.write(make_secret_key() + "\n")
