"""A stream that is one JSON array, cut into its elements as they come; the bytes are left as they are."""

from __future__ import annotations

import re

from proxy.errors import Unfinished
from proxy.streaming import EVENT_BYTES_MAX

_MARK = re.compile(rb'["{}\[\]]')
_IN_STRING = re.compile(rb'["\\]')
_BETWEEN = b"[, \t\r\n"
_QUOTE, _ARRAY, _OPENING = ord('"'), ord("["), b"{["


class Elements:
    """Finds where each element of an array ends, over the borders of chunks."""

    __slots__ = ("_depth", "_in_string", "_is_array", "_read", "_rest")

    def __init__(self) -> None:
        self._rest = bytearray()
        self._read = 0  # how far of it was looked at
        self._depth = 0
        self._in_string = False
        self._is_array = False  # as it begins: an error may be an object of its own

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the pieces that this chunk completes, each up to the end of an element.

        Raises: Unfinished when an element is larger than any real one.
        """
        rest = self._rest
        rest += chunk
        pieces: list[bytes] = []
        start = 0
        while (end := self._next_end()) is not None:
            pieces.append(bytes(rest[start:end]))
            start = end
        del rest[:start]
        self._read -= start
        if len(rest) > EVENT_BYTES_MAX:
            raise Unfinished(f"an element of its stream is larger than {EVENT_BYTES_MAX} bytes")
        return pieces

    def finish(self) -> bytes:
        """Return what no element's end completed: the array's own, or an object that came in its stead."""
        rest, self._rest = bytes(self._rest), bytearray()
        return rest

    def _next_end(self) -> int | None:
        """Read on to the end of an element; None where the bytes end before."""
        rest = self._rest
        while True:
            found = (_IN_STRING if self._in_string else _MARK).search(rest, self._read)
            if found is None:
                self._read = len(rest)
                return None
            mark, after = rest[found.start()], found.end()
            if mark == _QUOTE:
                self._in_string = not self._in_string
            elif self._in_string:  # a backslash: whatever it escapes is no mark
                if after == len(rest):
                    self._read = found.start()
                    return None
                after += 1
            else:
                self._is_array = mark == _ARRAY if self._depth == 0 else self._is_array
                self._depth += 1 if mark in _OPENING else -1
                if self._depth == 1 and self._is_array and mark not in _OPENING:
                    self._read = after
                    return after
            self._read = after


def element_of(piece: bytes) -> bytes:
    """The element that a piece ends with."""
    return piece.lstrip(_BETWEEN)
