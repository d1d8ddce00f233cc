"""Randomness for ids, drawn from the system a page at a time: one system call for many requests."""

from __future__ import annotations

import os

_PAGE_BYTES = 4096
_ID_BYTES = 10


class Randomness:
    """A page of the system's randomness, used up piece by piece; no piece is given twice."""

    __slots__ = ("_page", "_place")

    def __init__(self) -> None:
        self._page = b""
        self._place = 0

    def take_80_bits(self) -> int:
        """Draw the randomness of one id."""
        start = self._place
        if start + _ID_BYTES > len(self._page):
            # A process that is forked must not share what is left of a page: servers fork before they start us.
            self._page, start = os.urandom(_PAGE_BYTES), 0
        self._place = start + _ID_BYTES
        return int.from_bytes(self._page[start : start + _ID_BYTES], "big")


_randomness = Randomness()
take_80_bits = _randomness.take_80_bits
