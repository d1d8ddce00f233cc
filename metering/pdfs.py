"""How many pages a PDF has, read without rendering it: what a document costs goes by its pages."""

from __future__ import annotations

import binascii
import re
import zlib
from base64 import b64decode

# Beyond this, reading a document would hold up everybody else's request.
PDF_CHARS_MAX = 12_000_000  # of base64
_INFLATED_BYTES_MAX = 16_000_000
_OBJECT_STREAMS_MAX = 2_000
_PAGE = re.compile(rb"/Type\s*/Page(?![a-zA-Z])")
# The page tree's own count, and a linearised file's.
_COUNTS = re.compile(rb"/Count\s+(\d{1,6})|/Linearized\b[^>]{0,200}?/N\s+(\d{1,6})")
# The names above with letters written as numbers, which readers take for the same.
_HIDDEN = re.compile(
    rb"/(?=[A-Za-z]*#)(?:"
    + b"|".join(
        b"".join(b"(?:%c|#%x|#%X)" % (letter, letter, letter) for letter in name)
        for name in (b"Type", b"Page", b"Pages", b"Count", b"ObjStm", b"Encrypt")
    )
    + rb")(?![A-Za-z0-9])"
)
_OBJECT_STREAM = re.compile(rb"/ObjStm\b.{0,400}?stream\r?\n", re.DOTALL)


def pdf_pages(content: str) -> int | None:
    """Count a base64 PDF's pages; None where they cannot be told (encrypted, oversized, no PDF at all).

    Pages of older versions within the file count too, so that the figure is one to bound by.
    """
    if len(content) > PDF_CHARS_MAX:
        return None
    try:
        data = b64decode(content, validate=True)
    except (binascii.Error, ValueError):
        return None
    if b"%PDF-" not in data[:1024] or b"/Encrypt" in data:
        return None
    parts = _inflated(data)
    if parts is None or any(map(_HIDDEN.search, (data, *parts))):
        return None
    listed = sum(len(_PAGE.findall(part)) for part in (data, *parts))
    counted = [int(one or other) for part in (data, *parts) for one, other in _COUNTS.findall(part)]
    return max(listed, *counted, 0) or None


def _inflated(data: bytes) -> list[bytes] | None:
    """The compressed object streams, where newer files keep their pages; None where one cannot be read."""
    parts: list[bytes] = []
    room_bytes = _INFLATED_BYTES_MAX
    for found in _OBJECT_STREAM.finditer(data):
        try:
            parts.append(zlib.decompressobj().decompress(memoryview(data)[found.end() :], room_bytes + 1))
        except zlib.error:
            return None
        room_bytes -= len(parts[-1])
        if room_bytes < 0 or len(parts) > _OBJECT_STREAMS_MAX:
            return None
    return parts
