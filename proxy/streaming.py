"""Server-sent events on their way through: found whole across chunk borders, with the bytes left as they are.

The framing tolerates what providers really send: CRLF, comments, a byte order mark, several ``data:`` lines, no space
after the colon, and a last event without its empty line.
"""

from __future__ import annotations

import re

from proxy.errors import Unfinished

# A mixed "\n\r\n" is legal. "\r\n\r" at the end of a chunk waits for its "\n".
_END = re.compile(rb"\r\n\r\n|\n\n|\n\r\n|\r\r(?!\n)")
_END_BYTES_MAX = 4
_BOM = b"\xef\xbb\xbf"
# A picture in an event is some megabytes. What never ends must not fill the memory of everybody's proxy.
EVENT_BYTES_MAX = 32 * 1024 * 1024


class Events:
    """Cuts a stream of bytes into events, each with the empty line that ends it."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the events that this chunk completes; joined with ``rest`` they are the bytes that came.

        Raises: Unfinished when an event is larger than any real one.
        """
        rest = self._rest
        if (
            not rest
            and chunk.endswith(b"\n\n")
            and chunk.find(b"\n\n") == len(chunk) - 2
            and b"\r" not in chunk
        ):
            return [chunk]  # one chunk, one event: what providers mostly send
        # What came before holds no end, so none begins before its last bytes: a large event is searched once.
        searched = max(0, len(rest) - _END_BYTES_MAX + 1)
        rest += chunk
        found: list[bytes] = []
        start = 0
        for end in [match.end() for match in _END.finditer(rest, searched)]:
            found.append(bytes(rest[start:end]))
            start = end
        del rest[:start]
        if len(rest) > EVENT_BYTES_MAX:
            raise Unfinished(f"an event of its stream is larger than {EVENT_BYTES_MAX} bytes")
        return found

    def finish(self) -> bytes:
        """Return what no empty line has ended."""
        rest, self._rest = bytes(self._rest), bytearray()
        return rest


def data_of(event: bytes) -> bytes:
    """Return an event's data; empty when it has none (a comment, a lone field)."""
    if event.startswith(b"data: ") and event.endswith(b"\n\n") and event.find(b"\n") == len(event) - 2:
        return event[6:-2]
    lines = []
    for line in event.removeprefix(_BOM).splitlines():
        if line.startswith(b"data:"):
            value = line[5:]
            lines.append(value[1:] if value.startswith(b" ") else value)
    return b"\n".join(lines)


def begins_like_events(body: bytes) -> bool:
    """Tell whether a body that came under another content type is a stream of events all the same."""
    return body.removeprefix(_BOM).lstrip()[:6].startswith((b"data:", b"event:", b":"))
