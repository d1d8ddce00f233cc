"""How quickly we call somebody else's service: one bucket of tokens for all processes, by Redis's clock."""

from __future__ import annotations

from redis.exceptions import NoScriptError

from enforcement.calls import Script
from enforcement.control_client import ControlClient, unavailable_on_failure
from enforcement.keys import Scope

TAKE_TOKEN = Script("take_token")
_US_PER_SECOND = 1_000_000


def take_token(client: ControlClient, scope: Scope, name: str, *, per_second: int, burst: int = 1) -> int:
    """Take a token of a named bucket; returns how many ms to wait, 0 = taken. Raises: EnforcementUnavailable."""
    return _run(client, scope, name, interval_us=_US_PER_SECOND // per_second, burst=burst)


def pause(client: ControlClient, scope: Scope, name: str, *, per_second: int, pause_ms: int) -> None:
    """Give out no token of a bucket for a while. Raises: EnforcementUnavailable."""
    _run(client, scope, name, interval_us=_US_PER_SECOND // per_second, debt_us=pause_ms * 1000)


def _run(
    client: ControlClient, scope: Scope, name: str, *, interval_us: int, burst: int = 1, debt_us: int = 0
) -> int:
    parts = (1, scope.sink_pace(name), interval_us, burst, debt_us)
    with unavailable_on_failure():
        try:
            return int(client.redis.execute_command("EVALSHA", TAKE_TOKEN.sha, *parts))
        except NoScriptError:
            return int(client.redis.execute_command("EVAL", TAKE_TOKEN.text, *parts))
