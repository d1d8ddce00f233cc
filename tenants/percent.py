"""Percentages at the edge; inside they are whole basis points."""

from __future__ import annotations

import re

_PERCENT = re.compile(r"(?P<sign>-?)(?P<whole>\d{1,6})(?:\.(?P<fraction>\d{1,2}))?")


def parse_percent(text: str) -> int:
    """Read a percentage such as ``"12.5"`` into basis points. Raises: ValueError when it is none."""
    match = _PERCENT.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is no percentage with at most two decimals")
    points = int(match["whole"]) * 100 + int((match["fraction"] or "").ljust(2, "0"))
    return -points if match["sign"] else points


def format_percent(basis_points: int) -> str:
    """Write basis points as a percentage with two decimals."""
    whole, fraction = divmod(abs(basis_points), 100)
    return f"{'-' if basis_points < 0 else ''}{whole}.{fraction:02d}"
