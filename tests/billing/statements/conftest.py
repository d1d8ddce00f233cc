"""Statements are tried on the till that pushes are."""

from __future__ import annotations

from tests.billing.pushing.conftest import till

__all__ = ["till"]
