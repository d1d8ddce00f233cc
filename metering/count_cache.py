"""Counts remembered by a digest of what was counted: a growing chat costs only its new turn."""

from __future__ import annotations

import hashlib
from typing import Generic, TypeVar

T = TypeVar("T")


class CountCache(Generic[T]):
    """What was worked out for some bytes under some rule. The bytes themselves are not kept.

    Bounded by entries, in two generations: what is used moves to the young one; when that is full the old one is
    dropped. That is nearly least-recently-used, and a look-up takes no lock.
    """

    def __init__(self, entries_max: int = 131_072) -> None:
        self._generation_max = max(1, entries_max // 2)
        self._young: dict[bytes, T] = {}
        self._old: dict[bytes, T] = {}

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def key_of(self, content: bytes, rule: bytes) -> bytes:
        """Name some bytes under a rule (at most 16 bytes long) by a digest that nobody can make collide."""
        return hashlib.blake2b(content, digest_size=16, person=rule).digest()

    def get(self, key: bytes) -> T | None:
        """Return what was put under a key, or None."""
        found = self._young.get(key)
        if found is None:
            found = self._old.get(key)
            if found is not None:
                self.put(key, found)
        return found

    def put(self, key: bytes, value: T) -> None:
        """Remember a value under a key."""
        if len(self._young) >= self._generation_max:
            self._old, self._young = self._young, {}
        self._young[key] = value
