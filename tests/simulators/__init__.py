"""The simulators, judged from outside through their sockets."""

from __future__ import annotations
