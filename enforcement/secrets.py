"""Provider credentials at rest: sealed with AES-256-GCM, bound to the account they belong to.

A token is ``v1.<key id>.<base64url of nonce and ciphertext>``. The first key in hand seals, every key opens, so a key
is rotated by putting the new one in front and resealing what ``needs_reseal`` names.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from enforcement.errors import CredentialError

KEY_BYTES = 32
NONCE_BYTES = 12
_VERSION = "v1"


class CredentialBox:
    """Seals and opens credentials; ``context`` (tenant, mode, account) must be the same at both ends."""

    def __init__(self, keys: Sequence[str]) -> None:
        """Take base64url keys of 32 bytes, the sealing one first.

        Raises: CredentialError when there is none, or one is no such key. The message never holds the key.
        """
        decoded = [_decode_key(place, key) for place, key in enumerate(keys)]
        if not decoded:
            raise CredentialError("no secret key is set: FAREBOX_SECRET_KEYS is empty")
        self._ciphers = {_key_id(key): AESGCM(key) for key in decoded}
        self._sealing_id = _key_id(decoded[0])

    def __repr__(self) -> str:
        return f"CredentialBox({len(self._ciphers)} keys)"

    def seal(self, plain: str, *, context: str) -> str:
        """Encrypt a credential for one context, under the first key."""
        nonce = os.urandom(NONCE_BYTES)
        sealed = self._ciphers[self._sealing_id].encrypt(nonce, plain.encode(), context.encode())
        return f"{_VERSION}.{self._sealing_id}.{_b64encode(nonce + sealed)}"

    def open(self, token: str, *, context: str) -> str:
        """Decrypt a credential.

        Raises: CredentialError when the key is not in hand, the context is another's, or the token was altered.
        """
        key_id, sealed = _split(token)
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise CredentialError(
                f"the credential was sealed with key {key_id}, which is not among the keys in hand"
            )
        try:
            return cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], context.encode()).decode()
        except InvalidTag as error:
            raise CredentialError(
                "the credential does not open: altered, or sealed for another account"
            ) from error

    def needs_reseal(self, token: str) -> bool:
        """Tell whether a token was sealed under another key than the first."""
        return _split(token)[0] != self._sealing_id


def _key_id(key: bytes) -> str:
    return hashlib.sha256(b"farebox key id:" + key).hexdigest()[:8]


def _split(token: str) -> tuple[str, bytes]:
    version, _, rest = token.partition(".")
    key_id, _, body = rest.partition(".")
    try:
        sealed = _b64decode(body)
    except (binascii.Error, ValueError) as error:
        raise CredentialError("the credential is no sealed token") from error
    if version != _VERSION or len(sealed) < NONCE_BYTES:
        raise CredentialError("the credential is no sealed token")
    return key_id, sealed


def _decode_key(place: int, text: str) -> bytes:
    try:
        key = _b64decode(text.strip())
    except (binascii.Error, ValueError) as error:
        raise CredentialError(f"secret key {place + 1} is not base64url") from error
    if len(key) != KEY_BYTES:
        raise CredentialError(f"secret key {place + 1} has {len(key)} bytes, not {KEY_BYTES}")
    return key


def _b64encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _b64decode(text: str) -> bytes:
    raw = text.encode("ascii")
    return base64.b64decode(raw + b"=" * (-len(raw) % 4), altchars=b"-_", validate=True)
