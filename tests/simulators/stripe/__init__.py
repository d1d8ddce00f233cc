"""The stand-in Stripe, as a process on loopback."""

from __future__ import annotations
