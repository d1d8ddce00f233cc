"""The Lua files keep to their own contracts: headers, callers, and checks before writes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from enforcement.calls import BookedDraw, Call, Script, format_draws, parse_draws, parse_reply
from enforcement.decisions import FirstSeen, Idempotency, Judged, Settlement
from enforcement.errors import EnforcementUnavailable, ShardClosed
from enforcement.hold_calls import (
    HoldRef,
    dispatched_call,
    expire_call,
    release_call,
    renew_call,
    reserve_call,
    settle_call,
)
from enforcement.keys import shard_in, shard_key
from enforcement.policies import RateLimit
from tests.enforcement.desk import ACME, Desk, draw

LUA = Path(__file__).parents[2] / "enforcement" / "lua"
SCRIPTS = sorted(path.stem for path in LUA.glob("*.lua"))
HOT = ("reserve", "dispatched", "settle", "release", "expire", "renew")
MARKER = "-- writes from here"
WRITES = re.compile(
    r"redis\.call\(\s*'(HSET|HSETNX|HDEL|HINCRBY|DEL|SET|ZADD|ZREM|XADD|INCR|PEXPIRE|PERSIST|ZREMRANGEBYSCORE)'"
)

REF = HoldRef(
    ACME, "h1", (BookedDraw("bud_a", "d1", "charge"), BookedDraw("bud_b", "d1", "cost")), ("lim_a",), "dig"
)


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_script_opens_with_its_contract(name: str) -> None:
    lines = (LUA / f"{name}.lua").read_text().splitlines()
    assert lines[0].startswith("#!lua")
    assert lines[1].startswith(f"-- {name}.lua: ")
    header = "\n".join(line for line in lines[1:] if line.startswith("--"))
    for word in ("KEYS", "ARGV", "Returns", "Errors", "Keeps", "Order"):
        assert re.search(rf"^-- {word}\b", header, re.MULTILINE), word


@pytest.mark.parametrize("name", HOT)
def test_nothing_is_written_before_the_last_check(name: str) -> None:
    text = (LUA / f"{name}.lua").read_text()
    checks, _, _ = text.partition(MARKER)
    assert text.count(MARKER) == 1
    written = [line for line in checks.splitlines() if WRITES.search(line)]
    # The one exception ends the script in the same breath: it tells the keeper what to load.
    allowed = ("KEYS[4], ARGV[6] .. ':'", "budget.key, 'pending_limit'", "budget.key, 'limit', 'opening'")
    assert all(any(part in line for part in allowed) for line in written)
    assert len(written) == (3 if name == "reserve" else 0)


@pytest.mark.parametrize("name", HOT)
def test_what_is_open_can_always_end(name: str) -> None:
    first = (LUA / f"{name}.lua").read_text().splitlines()[0]
    assert first == ("#!lua" if name == "reserve" else "#!lua flags=allow-oom")


@pytest.mark.parametrize("name", HOT)
def test_money_is_never_joined_to_a_string_nor_encoded(name: str) -> None:
    text = Script(name).text
    assert "cjson" not in text
    assert "tostring" not in text


def fixed_arguments(name: str) -> int:
    """How many arguments the header numbers, run_id and epoch included."""
    text = (LUA / f"{name}.lua").read_text()
    header = text[text.index("-- ARGV") : text.index("-- Returns")]
    numbers = [
        int(number)
        for number in re.findall(r"(?:^-- ARGV\s+|\s)(\d+)(?:\.\.\d+)? [a-z(]", header, re.MULTILINE)
    ]
    return max(numbers)


def whole_reservation() -> Call:
    desk = Desk.__new__(Desk)
    desk.scope = ACME
    reservation = desk.reservation(
        draw("bud_a"),
        draw("bud_b"),
        hold_id="h1",
        judged=[Judged("k", 1)],
        rates=[RateLimit("lim_a", 1, 1, 1), RateLimit("lim_none")],
        first_seen=FirstSeen("acme-1", "cus_1", draw("bud_b")),
        idempotency=Idempotency("dig", "body"),
    )
    return reserve_call(reservation, ttl_ms=1)


SETTLEMENT = Settlement(cost_nanousd=1, charge_nanousd=1, basis="reported", body=b"")


@pytest.mark.parametrize(
    ("call", "repeated_args", "keys"),
    [
        # keys: fixed ones, then budgets, policies, two a rate, idempotency, four of a first-seen customer
        (whole_reservation(), 2 * 9 + 1 + 3, 3 + 2 + 1 + 2 + 1 + 4),
        (dispatched_call(REF, attempt="a", lease_ms=1), 0, 2 + 1),
        (settle_call(REF, SETTLEMENT), 0, 3 + 1 + 2 + 1 + 1),
        (release_call(REF), 0, 3 + 1 + 2 + 1 + 1),
        (expire_call(ACME.shard, [REF, REF]), 2 * 3, 2 + 2 * 5),
        (renew_call(ACME.shard, [REF, REF], lease_ms=1), 2 * 2, 1 + 2 * 2),
    ],
)
def test_callers_pass_what_the_header_names(call: Call, repeated_args: int, keys: int) -> None:
    assert 2 + len(call.args) - repeated_args == fixed_arguments(call.script.name)
    assert len(call.keys) == keys
    tags = {key[: key.index("}")] for key in call.keys if key != "k"}
    assert len(tags) == 1


def test_a_script_line_that_uses_a_part_stands_for_its_text() -> None:
    script = Script("renew")
    assert "-- use:" not in script.text
    assert "local function next_seq" in script.text
    assert repr(script) == "Script('renew')"


def test_draws_are_written_and_read_alike() -> None:
    draws = (BookedDraw("bud_a", "total:0", "charge"), BookedDraw("bud_b", "m1", "cost"))
    assert format_draws(draws) == "bud_a:total:0:charge,bud_b:m1:cost"
    assert parse_draws(format_draws(draws)) == parse_draws(format_draws(draws).encode()) == draws
    assert parse_draws("") == ()


def test_a_reply_begins_the_same_for_every_script() -> None:
    reply = parse_reply([b"granted", 5, 2, 3, 1_000, b"x", 7])
    assert (reply.status, reply.seq, reply.epoch, reply.recorded, reply.now_ms) == ("granted", 5, 2, 3, 1_000)
    assert (reply.text(0), reply.rest[1]) == ("x", 7)
    with pytest.raises(ShardClosed, match="epoch 2"):
        parse_reply(["closed", 5, 2, 3, 1_000])
    for nonsense in (None, b"OK", [b"granted"]):
        with pytest.raises(EnforcementUnavailable):
            parse_reply(nonsense)  # type: ignore[arg-type]


def test_a_status_nobody_knows_is_unavailable() -> None:
    from enforcement.hold_replies import read_end, read_reserve

    reply = parse_reply([b"novel", 5, 2, 3, 1_000])
    desk = Desk.__new__(Desk)
    desk.scope = ACME
    with pytest.raises(EnforcementUnavailable, match="novel"):
        read_reserve(reply, desk.reservation(hold_id="h1"))
    with pytest.raises(EnforcementUnavailable, match="novel"):
        read_end(reply, "h1", (0, 0))
    corrected_twice = parse_reply([b"already_ended", 5, 2, 3, 1_000, b"settled", 2, 5, 5])
    assert read_end(corrected_twice, "h1", (0, 0))[1] is None


def test_a_key_tells_its_shard() -> None:
    assert shard_in(shard_key(213)) == 213
    assert shard_in(ACME.tenant_policy()) == ACME.shard
