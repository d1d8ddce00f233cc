"""One request and the channel its answer goes back on."""

from __future__ import annotations

from dataclasses import dataclass

from proxy.asgi import Receive, Scope, Send
from proxy.flights import Watch


@dataclass(slots=True, eq=False)
class Exchange:
    """What a request carries through the pipeline; ``code`` and the times end up in log and metrics."""

    scope: Scope
    receive: Receive
    send: Send
    request_id: str
    watch: Watch
    arrived: float  # time.perf_counter
    code: str = "ok"
    started: bool = False  # the answer's headers have been sent
    upstream_seconds: float = 0.0
    hold_id: str = ""
    key_id: str = ""
    model: str = ""
