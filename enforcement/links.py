"""Which link a shard's calls take: one Redis alone, or the primary of a cluster that serves the shard's slot."""

from __future__ import annotations

import asyncio
from typing import Any

from redis.asyncio.cluster import RedisCluster
from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisClusterException, RedisError

from enforcement.calls import Argument, Call, Life
from enforcement.connection import Link, ReplyError
from enforcement.errors import EnforcementUnavailable, OutOfMemory, UnsafeRedis
from enforcement.keys import shard_key

_CLUSTER = "+cluster://"
# redis-py must not retry, decode or ask for push messages: the link does the first and needs none of the others.
_PLAIN: dict[str, Any] = {"protocol": 2, "decode_responses": False, "retry": Retry(NoBackoff(), 0)}


class Links:
    """Sends calls to the node of their shard. ``redis+cluster://`` (or ``rediss+``) in the URL means a cluster.

    Raises (all methods): EnforcementUnavailable when the node cannot do its part within the time-out.
    """

    def __init__(self, url: str, *, timeout_ms: int) -> None:
        self._timeout_ms = timeout_ms
        self._url = url.replace(_CLUSTER, "://", 1)
        self._cluster: RedisCluster | None = None
        self._links: dict[tuple[str, int], Link] = {}
        self._alone: Link | None = None
        if _CLUSTER not in url:
            pool = ConnectionPool.from_url(self._url, **_PLAIN)
            self._alone = Link(pool.make_connection, timeout_ms=timeout_ms)

    async def start(self) -> None:
        """Connect to what is there, so that a wrong or unsafe Redis is known at start-up. Raises: UnsafeRedis."""
        if self._alone is not None:
            await self._alone.connect()
            return
        await self._learn_topology()
        for node in self._topology().get_primaries():
            await self._link_to(node.host, int(node.port)).connect()

    async def close(self) -> None:
        """Drop every connection."""
        closing = [link.close() for link in self._links.values()]
        if self._alone is not None:
            closing.append(self._alone.close())
        if self._cluster is not None:
            closing.append(self._cluster.aclose())
        await asyncio.gather(*closing)

    async def run(self, call: Call, epoch: int) -> Any:
        """Run a script under an epoch and the life of the process that answers; returns its raw reply.

        Raises: ShardClosed where the node does not serve this epoch's shard.
        """
        link = await self._link_of(call.shard)
        reply = await link.send(self._evalsha(call, link, epoch))
        if not isinstance(reply, ReplyError):
            return reply
        return await self._settle_error(call, epoch, link, reply)

    async def read(self, shard: int, *command: Argument) -> Any:
        """Send one read command to the node of a shard."""
        link = await self._link_of(shard)
        reply = await link.send(command)
        if _is(reply, "MOVED"):
            link = await self._moved_link(shard)
            reply = await link.send(command)
        if isinstance(reply, ReplyError):
            raise EnforcementUnavailable(f"Redis answered {reply}")
        return reply

    async def run_id_of(self, shard: int) -> str:
        """The life of the process that serves a shard now."""
        return (await self._link_of(shard)).run_id

    async def _settle_error(self, call: Call, epoch: int, link: Link, error: ReplyError) -> Any:
        """Load what was not loaded, follow a slot that moved; anything else is no Redis.

        So is a slot on the move (ASK, TRYAGAIN): its keys are on two nodes, and a script needs all of them on one.
        """
        reply: Any = error
        if _is(error, "MOVED"):
            link = await self._moved_link(call.shard)
            reply = await link.send(self._evalsha(call, link, epoch))
        if _is(reply, "NOSCRIPT"):
            reply = await link.send(self._eval(call, link, epoch))
        if _is(reply, "OOM"):
            raise OutOfMemory(f"{call.script.name}: Redis is above its maxmemory")
        if isinstance(reply, ReplyError):
            raise EnforcementUnavailable(f"{call.script.name}: Redis answered {reply}")
        return reply

    @staticmethod
    def _evalsha(call: Call, link: Link, epoch: int) -> tuple[Argument, ...]:
        return ("EVALSHA", call.script.sha, *call.parts(Life(link.run_id, epoch)))

    @staticmethod
    def _eval(call: Call, link: Link, epoch: int) -> tuple[Argument, ...]:
        return ("EVAL", call.script.text, *call.parts(Life(link.run_id, epoch)))

    async def _link_of(self, shard: int) -> Link:
        link = self._alone
        if link is None:
            if self._cluster is None:
                await self._learn_topology()
            topology = self._topology()
            node = topology.nodes_manager.get_node_from_slot(topology.keyslot(shard_key(shard)))
            link = self._link_to(node.host, int(node.port))
        if not link.is_connected:
            try:
                await link.connect()
            except UnsafeRedis as error:
                raise EnforcementUnavailable(str(error)) from error
        return link

    async def _moved_link(self, shard: int) -> Link:
        await self._learn_topology()
        return await self._link_of(shard)

    async def _learn_topology(self) -> None:
        try:
            if self._cluster is None:
                cluster = RedisCluster.from_url(self._url, **_PLAIN)
                await cluster.initialize()
                self._cluster = cluster
            else:
                await self._cluster.nodes_manager.initialize()
        except (OSError, RedisError, RedisClusterException) as error:
            raise EnforcementUnavailable(
                f"the cluster does not tell its slots: {type(error).__name__}"
            ) from error

    def _topology(self) -> RedisCluster:
        assert self._cluster is not None
        return self._cluster

    def _link_to(self, host: str, port: int) -> Link:
        link = self._links.get((host, port))
        if link is None:
            node = self._topology().get_node(host=host, port=port)
            if node is None:
                raise EnforcementUnavailable(f"the cluster has no node {host}:{port}")

            def make_connection() -> AbstractConnection:
                return node.connection_class(**node.connection_kwargs)

            link = self._links[host, port] = Link(make_connection, timeout_ms=self._timeout_ms)
        return link


def _is(reply: object, name: str) -> bool:
    return isinstance(reply, ReplyError) and str(reply).startswith(name)
