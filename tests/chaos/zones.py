"""Time zones made for a test: one whose next midnight is seconds away, so that a day's window turns under load."""

from __future__ import annotations

import struct
import time
from pathlib import Path

DAY_SECONDS = 86_400


def midnight_in(seconds: int, folder: Path, name: str = "Test/Midnight") -> str:
    """Write a zone file (RFC 8536, version 1, one fixed offset) and return the zone's name."""
    offset_seconds = (DAY_SECONDS - seconds - int(time.time())) % DAY_SECONDS
    if offset_seconds > DAY_SECONDS // 2:
        offset_seconds -= DAY_SECONDS
    header = b"TZif" + b"\0" + b"\0" * 15 + struct.pack(">6l", 0, 0, 0, 0, 1, 4)
    body = struct.pack(">lbb", offset_seconds, 0, 0) + b"TST\0"
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(header + body)
    return name
