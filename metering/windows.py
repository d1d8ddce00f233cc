"""Budget windows in any IANA zone: which one an instant falls in, and which one follows.

A window's id carries its kind and first second, so that it is the same on every machine without a look-up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

WindowKind = Literal["day", "week", "month", "anniversary", "total"]

# The end of a window that never ends: far enough, and exact as a Lua double.
NEVER_MS = 2**53 - 1


@dataclass(frozen=True, slots=True)
class WindowSpec:
    """How a budget's time is cut: a kind, an IANA zone and, for an anniversary month, its day (1 to 31)."""

    kind: WindowKind
    zone: str = "UTC"
    anchor_day: int = 1


@dataclass(frozen=True, slots=True)
class Window:
    """One span: ``start_ms`` inclusive, ``end_ms`` exclusive, milliseconds since the epoch."""

    window_id: str
    start_ms: int
    end_ms: int


def window_at(spec: WindowSpec, at_ms: int) -> Window:
    """Return the window an instant falls in.

    Raises: WindowError for an unknown zone or an anchor day outside 1 to 31.
    """
    raise NotImplementedError


def window_after(spec: WindowSpec, window: Window) -> Window:
    """Return the window that starts where this one ends; ``total`` is followed by itself."""
    raise NotImplementedError
