"""Ids: what they look like and what can be read out of them without a look-up.

A hold id is a ULID, so it tells its birth; an event id is ``<hold id>.<kind>.<number>``, so it tells its month; a
tenant id tells its shard. Randomness is an argument here: this floor has no source of its own.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from datetime import UTC, date, datetime
from functools import lru_cache

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32, lower case
ID_CHARS = 16  # 80 bits
SHARDS = 256
EXTERNAL_ID_CHARS_MAX = 200
_PRINTABLE = re.compile(r"[^\x00-\x1f\x7f]+")
_VALUES = {letter: value for value, letter in enumerate(ALPHABET)}
# Ten bits at a time: several ids are made for every request.
_PAIRS = tuple(first + second for first in ALPHABET for second in ALPHABET)
_SHIFTS = tuple(tuple(range(10 * ((chars - 1) // 2), -1, -10)) for chars in range(65))


def encode_base32(number: int, chars: int) -> str:
    """Write a number in exactly ``chars`` letters, most significant first; higher bits are dropped."""
    pairs = "".join([_PAIRS[(number >> bits) & 1023] for bits in _SHIFTS[chars]])
    return pairs[-chars:]  # an odd length begins in the middle of a pair


def make_id(prefix: str, random_80_bits: int) -> str:
    """Make an opaque id such as ``cus_8k3v0d2m5q7r1t9w``."""
    return f"{prefix}_{encode_base32(random_80_bits, ID_CHARS)}"


def derived_id(prefix: str, *parts: str) -> str:
    """Make an id that is a pure function of its parts, as first-seen customers and their budgets need."""
    digest = hashlib.sha256("\x1f".join(parts).encode()).digest()
    return make_id(prefix, int.from_bytes(digest[:10], "big"))


def is_external_id(text: str) -> bool:
    """Tell whether a tenant may call a customer so: what the proxy lets pass, the control plane must make a row of."""
    return (
        _PRINTABLE.fullmatch(text) is not None and len(text) <= EXTERNAL_ID_CHARS_MAX and text == text.strip()
    )


def external_digest(external_id: str) -> str:
    """The name under which Redis knows a tenant's own customer id: 32 hex digits, no personal data."""
    return hashlib.sha256(external_id.encode()).hexdigest()[:32]


def make_hold_id(born_ms: int, random_80_bits: int) -> str:
    """Make a ULID in lower case: 10 letters of milliseconds, 16 of randomness."""
    return encode_base32(born_ms, 10) + encode_base32(random_80_bits, ID_CHARS)


def born_ms_of(hold_id: str) -> int:
    """Read the birth time out of a hold id (or of an event id, which starts with one)."""
    number = 0
    for letter in hold_id[:10]:
        number = number * 32 + _VALUES[letter]
    return number


def make_event_id(hold_id: str, kind: str, number: int = 0) -> str:
    """Name one row: a hold ends once, so (hold, kind, number) is unique by construction."""
    return f"{hold_id}.{kind}.{number}"


def month_of(event_id: str) -> date:
    """The first day of the UTC month an event is booked in: a pure function of its id."""
    born = datetime.fromtimestamp(born_ms_of(event_id) / 1000, UTC)
    return date(born.year, born.month, 1)


def tenant_tag(tenant_id: str) -> str:
    """The part of a tenant's id that its keys carry."""
    return tenant_id.removeprefix("ten_")


@lru_cache(maxsize=65_536)
def shard_of(tenant_id: str) -> int:
    """The shard (0 to 255) of a tenant: fixed by its id for ever."""
    return zlib.crc32(tenant_tag(tenant_id).encode()) % SHARDS
