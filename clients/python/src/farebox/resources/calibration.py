"""calibration: written by generate.py from the OpenAPI schema."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Any, cast

from farebox.shapes import UNSET, Unset, given
from farebox.transport import Ask, AsyncSender, Sender


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationOut:
    """One model's quotes against what was reported, by the class of its bounds."""

    provider: str
    model: str
    bound_class: str
    calls: int
    input_tokens: MeasureOut
    output_tokens: MeasureOut
    cost_usd: MeasureOut
    more: dict[str, Any] = field(default_factory=dict)  # what this version does not know


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationPageOut:
    """Calibration since a UTC day. ``shares`` has one class per edge, and a last one for what lay above its bound."""

    since: date
    edges_permille: tuple[int, ...]
    models: tuple[CalibrationOut, ...]
    more: dict[str, Any] = field(default_factory=dict)  # what this version does not know


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureOut:
    """A bound against what was reported; amounts are tokens, or dollars for ``cost``."""

    bound: str
    actual: str
    above_count: int
    unneeded_percent: int | None
    share_permille: dict[str, int | None]
    shares: tuple[int, ...]
    more: dict[str, Any] = field(default_factory=dict)  # what this version does not know


class Calibration:
    """The resource calibration, sync."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    def read(
        self, *, days: int | Unset = UNSET, model: str | Unset = UNSET, provider: str | Unset = UNSET
    ) -> CalibrationPageOut:
        """Compare bounds and holds with what providers reported, by model."""
        ask = Ask("GET", "/api/v1/calibration", query=given(days=days, model=model, provider=provider))
        return cast("CalibrationPageOut", self._sender.call(ask, CalibrationPageOut))


class AsyncCalibration:
    """The resource calibration, async."""

    def __init__(self, sender: AsyncSender) -> None:
        self._sender = sender

    async def read(
        self, *, days: int | Unset = UNSET, model: str | Unset = UNSET, provider: str | Unset = UNSET
    ) -> CalibrationPageOut:
        """Compare bounds and holds with what providers reported, by model."""
        ask = Ask("GET", "/api/v1/calibration", query=given(days=days, model=model, provider=provider))
        return cast("CalibrationPageOut", await self._sender.call(ask, CalibrationPageOut))
