"""The stand-in provider, as a process on loopback."""

from __future__ import annotations
