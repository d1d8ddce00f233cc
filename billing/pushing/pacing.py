"""How quickly a sink is called: a bucket per connection in Redis, shared by all workers, paused when it asks us to.

Without Redis there is no bucket and pushes go on: each customer's still go one by one, and a sink that is asked too
often says so.
"""

from __future__ import annotations

import logging

from billing.models import Push
from enforcement.errors import EnforcementUnavailable
from enforcement.keys import Scope
from enforcement.pace import pause, take_token
from tenants.publishing import shared_control

log = logging.getLogger(__name__)

# Far below Stripe's own limits (1000/s live, 25/s test), which the tenant's other programs draw on as well.
RATE_PER_S = {"live": 20, "test": 5}
PAUSE_MS = 10_000


def wait_for_turn_ms(push: Push) -> int:
    """Take a turn at the push's sink; returns how long to wait for one, 0 = go."""
    per_second = RATE_PER_S[push.mode]
    try:
        return take_token(
            shared_control().client, _scope(push), _name(push), per_second=per_second, burst=per_second
        )
    except EnforcementUnavailable:
        return 0


def slow_down(push: Push) -> None:
    """Leave the push's sink alone for a while: it said it is asked too often, or does not answer."""
    try:
        pause(
            shared_control().client, _scope(push), _name(push), per_second=RATE_PER_S[push.mode],
            pause_ms=PAUSE_MS,
        )  # fmt: skip
    except EnforcementUnavailable as error:
        log.warning("push.pace_unknown", extra={"why": str(error)})


def _scope(push: Push) -> Scope:
    return Scope(push.tenant_id, "live" if push.mode == "live" else "test")


def _name(push: Push) -> str:
    return str(push.connection_id or push.destination_id)
