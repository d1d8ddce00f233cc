"""Trying a provider account: one harmless request with its credential, and what came of it in plain words.

Names are resolved here and every address is judged before anything is sent: a public name may point inwards.
"""

from __future__ import annotations

from dataclasses import dataclass

SECONDS_MAX = 10.0
SHOWN_CHARS_MAX = 300


@dataclass(frozen=True, slots=True)
class Trial:
    """What trying an account came to."""

    is_good: bool
    heading: str
    detail: str
    took_ms: int = 0
