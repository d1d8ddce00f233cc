"""Amounts as the API writes them: decimal dollar strings and percentages, never floats."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from metering.errors import MoneyError
from metering.money import format_usd, parse_usd
from tenants.percent import format_percent, parse_percent


@extend_schema_field({"type": "string", "pattern": r"^\d{1,12}(\.\d{1,9})?$", "examples": ["50.00"]})
class UsdField(serializers.Field[int, Any, str, Any]):
    """Dollars as a decimal string outside, nano-dollars inside."""

    def to_internal_value(self, data: Any) -> int:
        """Read dollars exactly; a JSON number with a fraction has lost its exactness already and is refused."""
        if isinstance(data, bool) or not isinstance(data, str | int):
            raise serializers.ValidationError('send a decimal string such as "50.00"')
        try:
            amount_nanousd = parse_usd(str(data))
        except MoneyError as error:
            raise serializers.ValidationError(str(error)) from error
        if amount_nanousd < 0:
            raise serializers.ValidationError("an amount here is never negative")
        return int(amount_nanousd)

    def to_representation(self, value: int) -> str:
        """Write dollars exactly."""
        return format_usd(value)


@extend_schema_field({"type": "string", "pattern": r"^-?\d{1,6}(\.\d{1,2})?$", "examples": ["20.00"]})
class PercentField(serializers.Field[int, Any, str, Any]):
    """A percentage as a decimal string outside, basis points inside."""

    def to_internal_value(self, data: Any) -> int:
        """Read a percentage with at most two decimals."""
        if isinstance(data, bool) or not isinstance(data, str | int):
            raise serializers.ValidationError('send a percentage as a decimal string such as "20.00"')
        try:
            return parse_percent(str(data))
        except ValueError as error:
            raise serializers.ValidationError(str(error)) from error

    def to_representation(self, value: int) -> str:
        """Write a percentage exactly."""
        return format_percent(value)
