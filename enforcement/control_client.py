"""The control plane's link to Redis: sends control scripts one by one or many in one round trip."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import redis
from redis.cluster import RedisCluster
from redis.exceptions import NoScriptError, RedisClusterException, RedisError

from enforcement.calls import Call, Life, Reply, Script, parse_reply, read_reply
from enforcement.control_calls import ControlCall
from enforcement.errors import EnforcementUnavailable
from enforcement.keys import shard_key

CONNECT_SECONDS = 2.0
REPLY_SECONDS = 5.0
CALLS_PER_PIPELINE_MAX = 500

_RUN_ID = re.compile(rb"run_id:(\w+)")


@contextmanager
def unavailable_on_failure() -> Iterator[None]:
    """Turn whatever Redis or the network says into EnforcementUnavailable."""
    try:
        yield
    except (RedisError, RedisClusterException, OSError) as error:  # the second is none of the first
        raise EnforcementUnavailable(f"Redis did not answer as it should: {error}") from error


class ControlClient:
    """A thread-safe sync client of one Redis or one cluster (``redis+cluster://``), for scripts and plain reads."""

    def __init__(self, redis_url: str) -> None:
        options: dict[str, Any] = {
            "socket_connect_timeout": CONNECT_SECONDS,
            "socket_timeout": REPLY_SECONDS,
        }
        self.is_cluster = redis_url.startswith(("redis+cluster://", "rediss+cluster://"))
        self._url = redis_url.replace("+cluster", "", 1) if self.is_cluster else redis_url
        self._options = options
        self._redis: Any = None if self.is_cluster else redis.Redis.from_url(self._url, **options)

    @property
    def redis(self) -> Any:
        """The redis-py client, whose methods are typed for sync and async at once; a cluster is met on first use."""
        if self._redis is None:
            with unavailable_on_failure():
                self._redis = RedisCluster.from_url(self._url, **self._options)
        return self._redis

    def close(self) -> None:
        """Close every connection."""
        if self._redis is not None:
            self._redis.close()

    def run(self, call: ControlCall) -> Reply:
        """Run one script. Raises: ShardClosed, EnforcementUnavailable."""
        with unavailable_on_failure():
            try:
                raw = self.redis.execute_command("EVALSHA", call.script.sha, *call.parts())
            except NoScriptError:
                raw = self.redis.execute_command("EVAL", call.script.text, *call.parts())
        return parse_reply(raw)

    def run_in_life(self, call: Call, *, epoch: int) -> Reply:
        """Run a hot-path script under an epoch and the life of the very process that answers.

        Both commands go over one connection that is not made again in between: a server that was restarted meanwhile
        cannot be taken for the one that was asked. Raises: ShardClosed, EnforcementUnavailable.
        """
        with unavailable_on_failure():
            node = self._node_of(call.shard)
            connection = node.connection_pool.get_connection()
            try:
                raw = _converse(connection, call, epoch)
            finally:
                node.connection_pool.release(connection)
        return parse_reply(raw)

    def now_ms(self) -> int:
        """Redis's clock."""
        with unavailable_on_failure():
            seconds, micros = self.redis.time()
        return int(seconds) * 1000 + int(micros) // 1000

    def run_ids(self, shards: Sequence[int]) -> dict[int, str]:
        """Ask which process serves each shard now."""
        with unavailable_on_failure():
            if not self.is_cluster:
                run_id = str(self.redis.info("server")["run_id"])
                return dict.fromkeys(shards, run_id)
            found = self.redis.info("server", target_nodes=RedisCluster.PRIMARIES)
            nodes = {shard: self.redis.get_node_from_key(shard_key(shard)).name for shard in shards}
        return {shard: str(found[name]["run_id"]) for shard, name in nodes.items()}

    def _node_of(self, shard: int) -> Any:
        if not self.is_cluster:
            return self.redis
        return self.redis.get_redis_connection(self.redis.get_node_from_key(shard_key(shard)))

    def run_many(self, calls: Sequence[ControlCall]) -> list[Any]:
        """Run many scripts in few round trips, each reply raw: one closed shard must not hide the others' replies.

        Raises: EnforcementUnavailable when any script fails.
        """
        replies: list[Any] = []
        for start in range(0, len(calls), CALLS_PER_PIPELINE_MAX):
            replies += self._run_batch(calls[start : start + CALLS_PER_PIPELINE_MAX])
        return replies

    def replies(self, calls: Sequence[ControlCall]) -> list[Reply]:
        """Run many scripts in few round trips; a closed shard is a reply like any other (status ``closed``).

        Raises: EnforcementUnavailable when any script fails.
        """
        return [read_reply(raw) for raw in self.run_many(calls)]

    def statuses(self, calls: Sequence[ControlCall]) -> list[str]:
        """As ``replies``, for those who need the statuses only."""
        return [reply.status for reply in self.replies(calls)]

    def _run_batch(self, calls: Sequence[ControlCall]) -> list[Any]:
        with unavailable_on_failure():
            replies = self._send(calls)
            lost = [place for place, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
            if lost:
                self._teach({calls[place].script.sha: calls[place].script for place in lost})
                for place, reply in zip(lost, self._send([calls[place] for place in lost]), strict=True):
                    replies[place] = reply
            for reply in replies:
                if isinstance(reply, Exception):
                    raise reply
        return replies

    def _send(self, calls: Sequence[ControlCall]) -> list[Any]:
        pipeline = self.redis.pipeline(transaction=False)
        for call in calls:
            pipeline.execute_command("EVALSHA", call.script.sha, *call.parts())
        found: list[Any] = pipeline.execute(raise_on_error=False)
        return found

    def _teach(self, scripts: dict[str, Script]) -> None:
        for script in scripts.values():
            self.redis.script_load(script.text)


def _converse(connection: Any, call: Call, epoch: int) -> Any:
    """Ask a connection's server which process it is, then run the script there."""
    try:
        connection.send_command("INFO", "server")
        found = _RUN_ID.search(connection.read_response())
        parts = call.parts(Life(found[1].decode() if found else "", epoch))
        try:
            connection.send_command("EVALSHA", call.script.sha, *parts)
            return connection.read_response()
        except NoScriptError:
            connection.send_command("EVAL", call.script.text, *parts)
            return connection.read_response()
    except (RedisError, OSError):
        connection.disconnect()
        raise
