"""Script calls without I/O: which keys and arguments a script takes and what its reply begins with.

Whoever talks to Redis (the proxy's batching links, the control plane's client) sends a ``Call`` and hands the raw
reply to ``parse_reply``. Keys and arguments are in the order of the contract that opens each Lua file.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from importlib import resources
from typing import Any

import msgspec

from enforcement.errors import EnforcementUnavailable, ShardClosed
from enforcement.keys import shard_key

Argument = str | bytes | int

TOMBSTONE_ENDED_MS = 15 * 60 * 1000
TOMBSTONE_EXPIRED_MS = 48 * 3600 * 1000
HOLDS_PER_CALL_MAX = 100

_USE = re.compile(r"^-- use: ([a-z_]+)$", re.MULTILINE)


class Script:
    """One Lua file of ``enforcement/lua``; a line ``-- use: x`` stands for the text of ``lua/parts/x.lua``."""

    def __init__(self, name: str) -> None:
        folder = resources.files("enforcement") / "lua"
        source = (folder / f"{name}.lua").read_text("utf-8")
        self.name = name
        self.text = _USE.sub(
            lambda use: (folder / "parts" / f"{use[1]}.lua").read_text("utf-8").rstrip(), source
        )
        self.sha = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()

    def __repr__(self) -> str:
        return f"Script({self.name!r})"


class Life(msgspec.Struct, frozen=True):
    """Which life of a shard's data a caller believes in: the serving process and the epoch."""

    run_id: str
    epoch: int


class Call(msgspec.Struct, frozen=True):
    """One run of a script on one shard. The shard's hash, run id and epoch are put in front when it is sent."""

    script: Script
    shard: int
    keys: tuple[str, ...]
    args: tuple[Argument, ...]

    def parts(self, life: Life) -> tuple[Argument, ...]:
        """Everything that follows the script in EVALSHA: the number of keys, the keys, the arguments."""
        return (len(self.keys) + 1, shard_key(self.shard), *self.keys, life.run_id, life.epoch, *self.args)


class Reply(msgspec.Struct, frozen=True):
    """What every reply begins with, and the rest of it."""

    status: str
    seq: int
    epoch: int
    recorded: int  # highest seq of this epoch that the recorder has committed
    now_ms: int
    rest: Sequence[Any]  # integers and bytes, as the script's contract says

    def text(self, place: int) -> str:
        """Read one of the rest as text."""
        return _text(self.rest[place])


def parse_reply(raw: Sequence[Any]) -> Reply:
    """Read a script's reply.

    Raises: ShardClosed when the script found another life of the shard, or one that is not open;
    EnforcementUnavailable when it is no reply of ours.
    """
    reply = read_reply(raw)
    if reply.status == "closed":
        raise ShardClosed(f"the shard is at epoch {reply.epoch} and not open to this caller")
    return reply


def read_reply(raw: Sequence[Any]) -> Reply:
    """Read a script's reply, ``closed`` like any other status. Raises: EnforcementUnavailable."""
    if not isinstance(raw, list) or len(raw) < 5:
        raise EnforcementUnavailable(f"a script answered {raw!r}, which is no reply of ours")
    return Reply(_text(raw[0]), int(raw[1]), int(raw[2]), int(raw[3]), int(raw[4]), raw[5:])


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


class BookedDraw(msgspec.Struct, frozen=True):
    """A budget and window a hold is booked on, as the hold record's ``draws`` names it."""

    budget_id: str
    window_id: str
    measure: str


def format_draws(draws: Iterable[BookedDraw]) -> str:
    """Write draws as the hold record and the stream carry them: ``bud_x:wid:charge,bud_y:wid:cost``."""
    return ",".join(f"{draw.budget_id}:{draw.window_id}:{draw.measure}" for draw in draws)


def parse_draws(text: str | bytes) -> tuple[BookedDraw, ...]:
    """Read a hold record's or a stream entry's draws. A window id may hold colons, never commas."""
    booked = []
    for part in filter(None, _text(text).split(",")):
        budget_id, _, rest = part.partition(":")
        window_id, _, measure = rest.rpartition(":")
        booked.append(BookedDraw(budget_id, window_id, measure))
    return tuple(booked)
