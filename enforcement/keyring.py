"""Keys that callers present: making one and telling a well-formed one from a typo, without a look-up.

``fbx_<ck|sk|ak>_<live|test>_<tenant tag>_<39 letters of randomness><6 letters of check>``. The tenant tag leads to
the shard; the check is a digest, not a secret: it refuses typos, the randomness refuses guesses.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Literal, cast

from enforcement.keys import Mode
from enforcement.policies import key_digest
from metering.ids import ALPHABET, ID_CHARS, encode_base32, tenant_tag

KeyKind = Literal["ck", "sk", "ak"]

RANDOM_BITS = 195
RANDOM_CHARS = RANDOM_BITS // 5
CHECK_CHARS = 6
_CHECK_BITS = CHECK_CHARS * 5

_KEY = re.compile(
    r"fbx_(?P<kind>ck|sk|ak)_(?P<mode>live|test)"
    rf"_(?P<tag>[{ALPHABET}]{{{ID_CHARS}}})_[{ALPHABET}]{{{RANDOM_CHARS}}}(?P<check>[{ALPHABET}]{{{CHECK_CHARS}}})"
)


@dataclass(frozen=True, slots=True)
class ParsedKey:
    """What a well-formed key says about itself; whether it exists, only its digest's policy tells."""

    kind: KeyKind
    mode: Mode
    tenant_id: str
    digest: str


def make_key(kind: KeyKind, mode: Mode, tenant_id: str, random_195_bits: int) -> str:
    """Make a key from 195 bits of randomness, which the caller draws from the system."""
    head = f"fbx_{kind}_{mode}_{tenant_tag(tenant_id)}_{encode_base32(random_195_bits, RANDOM_CHARS)}"
    return head + _check_of(head)


def parse_key(text: str) -> ParsedKey | None:
    """Read a key; None when it is malformed or its check does not match."""
    match = _KEY.fullmatch(text)
    if match is None or _check_of(text[:-CHECK_CHARS]) != match["check"]:
        return None
    return ParsedKey(
        kind=cast("KeyKind", match["kind"]),
        mode=cast("Mode", match["mode"]),
        tenant_id=f"ten_{match['tag']}",
        digest=key_digest(text),
    )


def _check_of(head: str) -> str:
    first_32_bits = int.from_bytes(hashlib.sha256(head.encode()).digest()[:4], "big")
    return encode_base32(first_32_bits >> (32 - _CHECK_BITS), CHECK_CHARS)
