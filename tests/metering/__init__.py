"""Tests of the arithmetic."""

from __future__ import annotations
