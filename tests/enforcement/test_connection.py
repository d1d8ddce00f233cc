"""Links: one write a tick, replies in order, and every way a connection can end."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import redis

from enforcement.calls import Call, Script
from enforcement.connection import BACKOFF_S, CROWD_CALLS, Link, ReplyError, check_server, parse_info
from enforcement.errors import EnforcementUnavailable, OutcomeUnknown, UnsafeRedis
from enforcement.links import Links
from tests.enforcement.desk import ACME, Desk


@pytest.fixture
async def links(redis_client: redis.Redis, redis_url: str) -> AsyncIterator[Links]:
    links = Links(redis_url, timeout_ms=2_000)
    await links.start()
    yield links
    await links.close()


@pytest.fixture
async def hasty_links(redis_client: redis.Redis, redis_url: str) -> AsyncIterator[Links]:
    """Links that soon lose patience, for the tests of just that."""
    links = Links(redis_url, timeout_ms=300)
    await links.start()
    yield links
    await links.close()


def link_of(links: Links) -> Link:
    assert links._alone is not None
    return links._alone


async def test_calls_of_one_tick_leave_in_one_write_and_come_back_in_order(
    links: Links, redis_client: Any
) -> None:
    link = link_of(links)
    writes: list[bytes] = []
    writer = link._writer
    assert writer is not None
    whole = writer.write

    def write(data: Any) -> None:
        writes.append(data)
        whole(data)

    writer.write = write  # type: ignore[method-assign]
    replies = await asyncio.gather(*(link.send(("ECHO", str(number))) for number in range(500)))
    assert replies == [str(number).encode() for number in range(500)]
    assert len(writes) == 1
    await link.send(("PING",))
    assert len(writes) == 2


async def test_where_calls_crowd_the_next_write_waits_for_company(links: Links) -> None:
    link = link_of(links)
    writer = link._writer
    assert writer is not None
    writes: list[bytes] = []
    whole = writer.write
    writer.write = lambda data: (writes.append(data), whole(data))[1]  # type: ignore[method-assign, func-returns-value]
    waiting = [link.send(("ECHO", str(number))) for number in range(CROWD_CALLS)]
    await asyncio.sleep(0)
    assert len(writes) == 1
    first = link.send(("ECHO", "first"))
    await asyncio.sleep(0)
    second = link.send(("ECHO", "second"))
    assert await asyncio.gather(first, second) == [b"first", b"second"]
    assert len(writes) == 2, "the two went out one by one"
    await asyncio.gather(*waiting)


async def test_links_to_a_cluster_that_were_never_started_can_be_closed() -> None:
    await Links("redis+cluster://127.0.0.1:1", timeout_ms=100).close()


async def test_an_error_reply_is_a_value_of_its_own_call(links: Links) -> None:
    link = link_of(links)
    first, wrong, last = link.send(("ECHO", "a")), link.send(("NOSUCH",)), link.send(("ECHO", "b"))
    assert (await first, await last) == (b"a", b"b")
    assert isinstance(await wrong, ReplyError)


async def test_a_cancelled_call_does_not_shift_the_replies(links: Links) -> None:
    link = link_of(links)
    first, second = link.send(("ECHO", "a")), link.send(("ECHO", "b"))
    first.cancel()
    assert await second == b"b"


async def test_a_late_reply_fails_every_call_and_the_link_connects_anew(
    hasty_links: Links, redis_client: Any
) -> None:
    link = link_of(hasty_links)
    redis_client.client_pause(700, all=True)
    calls = [link.send(("ECHO", "a")) for _ in range(3)]
    for call in calls:
        with pytest.raises(OutcomeUnknown):
            await call
    assert not link.is_connected
    with pytest.raises(EnforcementUnavailable):
        await link.connect()  # signing in takes too long as well
    with pytest.raises(EnforcementUnavailable, match="not due"):
        await link.connect()
    await asyncio.sleep(0.5)
    await link.connect()
    assert await link.send(("ECHO", "b")) == b"b"
    assert link._pause_s == 0.0


async def test_steady_answers_keep_the_watch_quiet(hasty_links: Links) -> None:
    link = link_of(hasty_links)
    for _ in range(8):
        assert await link.send(("PING",)) == b"PONG"
        await asyncio.sleep(0.05)
    slow = link.send(("BLPOP", "nothing", "0.2"))
    await asyncio.sleep(0.15)
    assert await slow is None
    await asyncio.sleep(0.35)
    assert link.is_connected


async def test_a_connection_that_the_server_closes_fails_what_waits(links: Links, redis_client: Any) -> None:
    link = link_of(links)
    waiting = link.send(("BLPOP", "nothing", "0"))
    await asyncio.sleep(0.05)
    redis_client.client_kill_filter(_type="normal", skipme=True)
    with pytest.raises(OutcomeUnknown, match="closed"):
        await waiting
    await link.connect()
    assert await link.send(("PING",)) == b"PONG"


async def test_closing_a_link_fails_what_waits(redis_client: redis.Redis, redis_url: str) -> None:
    links = Links(redis_url, timeout_ms=300)
    await links.start()
    waiting, cancelled = (link_of(links).send(("PING",)) for _ in range(2))
    cancelled.cancel()
    await links.close()
    with pytest.raises(OutcomeUnknown):
        await waiting
    await links.close()


async def test_a_call_on_a_lost_link_fails_and_takes_nobodys_reply(links: Links) -> None:
    link = link_of(links)
    await link.close()
    with pytest.raises(EnforcementUnavailable, match="lost"):
        await link.send(("ECHO", "a"))
    await link.connect()
    assert await link.send(("ECHO", "b")) == b"b"


async def test_a_link_lost_before_its_write_sends_nothing(links: Links) -> None:
    link = link_of(links)
    call = link.send(("ECHO", "a"))
    await link.close()
    await asyncio.sleep(0)
    with pytest.raises(OutcomeUnknown):
        await call


async def test_a_redis_that_turns_unsafe_is_unavailable_to_calls(links: Links, redis_client: Any) -> None:
    await link_of(links).close()
    redis_client.config_set("maxmemory-policy", "allkeys-lru")
    try:
        with pytest.raises(EnforcementUnavailable, match="allkeys-lru"):
            await links.read(0, "PING")
    finally:
        redis_client.config_set("maxmemory-policy", "noeviction")


async def test_connecting_twice_at_once_makes_one_connection(redis_client: Any, redis_url: str) -> None:
    links = Links(redis_url, timeout_ms=300)
    before = len(redis_client.client_list())
    await asyncio.gather(*(links.start() for _ in range(5)))
    assert len(redis_client.client_list()) == before + 1
    await links.close()


async def test_a_redis_that_may_evict_is_refused(redis_client: Any, redis_url: str) -> None:
    redis_client.config_set("maxmemory-policy", "allkeys-lru")
    links = Links(redis_url, timeout_ms=300)
    try:
        with pytest.raises(UnsafeRedis, match="allkeys-lru"):
            await links.start()
    finally:
        redis_client.config_set("maxmemory-policy", "noeviction")
    await links.close()


def test_a_server_that_is_too_old_is_refused() -> None:
    check_server({"redis_version": "7.0.15", "maxmemory_policy": "noeviction"})
    with pytest.raises(UnsafeRedis, match="too old"):
        check_server({"redis_version": "6.2.14", "maxmemory_policy": "noeviction"})
    with pytest.raises(UnsafeRedis, match="too old"):
        check_server({})
    assert parse_info("# Server\r\nredis_version:7.2.4\r\n") == {"redis_version": "7.2.4"}


async def test_nobody_listening_is_unavailable_with_a_growing_pause() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    links = Links(f"redis://127.0.0.1:{port}/0", timeout_ms=300)
    link = link_of(links)
    pauses = []
    for _ in range(8):
        link._retry_at_s = 0.0
        with pytest.raises(EnforcementUnavailable):
            await links.read(0, "PING")
        pauses.append(link._pause_s)
    assert pauses[:3] == [BACKOFF_S[0], 2 * BACKOFF_S[0], 4 * BACKOFF_S[0]]
    assert pauses[-1] == BACKOFF_S[1]
    await links.close()


@pytest.fixture
def liar() -> Iterator[int]:
    """A server that signs a client in and then says nonsense."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            info = b"run_id:x\r\nredis_version:7.2.4\r\nmaxmemory_policy:noeviction\r\n"
            while b"\r\nINFO\r\n" not in (data := connection.recv(65536)):
                connection.sendall(b"+OK\r\n" * data.count(b"*"))
            connection.sendall(b"$%d\r\n%s\r\n" % (len(info), info))
            connection.recv(65536)
            connection.sendall(b"!nonsense\r\n")
            connection.recv(65536)

    thread = threading.Thread(target=serve)
    thread.start()
    yield listener.getsockname()[1]
    thread.join(5)
    listener.close()


async def test_nonsense_on_the_wire_ends_the_connection(liar: int) -> None:
    links = Links(f"redis://127.0.0.1:{liar}/0", timeout_ms=2_000)
    await links.start()
    with pytest.raises(OutcomeUnknown, match="broke"):
        await link_of(links).send(("PING",))
    await links.close()


async def test_a_script_that_is_not_loaded_is_sent_whole(links: Links, redis_client: redis.Redis) -> None:
    desk = Desk(redis_client)
    script = Script("renew")
    call = Call(script, ACME.shard, (f"{{s{ACME.shard}}}:deadlines",), (1_000,))
    redis_client.script_flush()
    replies = await asyncio.gather(*(links.run(call, desk.epoch) for _ in range(3)))
    assert [reply[0] for reply in replies] == [b"renewed"] * 3
    assert redis_client.script_exists(script.sha) == [True]


async def test_a_script_that_fails_is_unavailable(links: Links, redis_client: redis.Redis) -> None:
    desk = Desk(redis_client)
    call = Call(Script("renew"), ACME.shard, ("no",), ("not a number",))
    with pytest.raises(EnforcementUnavailable, match="renew"):
        await links.run(call, desk.epoch)


async def test_the_life_of_the_server_is_known(links: Links, redis_client: Any) -> None:
    assert await links.run_id_of(ACME.shard) == str(redis_client.info("server")["run_id"])
