"""The ASGI callable of the data plane: a router that denies by default, the probes, and the start and end of it all."""

from __future__ import annotations

import logging
import os
import time

from enforcement.errors import EnforcementError, EnforcementUnavailable, ShardClosed
from enforcement.keys import Scope as TenantScope
from metering.ids import make_id
from proxy.asgi import Receive, Scope, Send
from proxy.errors import GateOpen, ProxyError, Refusal
from proxy.exchange import Exchange
from proxy.flights import Watch
from proxy.gateway import Gateway
from proxy.logs import configure_logging, log_request
from proxy.models import find_list
from proxy.randomness import take_80_bits
from proxy.responses import send_json, send_refusal, send_whole
from proxy.routes import PREFIXES, errors_of, find_dialect, routes_to_prove
from proxy.selftest import prove_gate
from proxy.settings import read_settings

log = logging.getLogger("farebox.proxy")

PROBES = frozenset(("/healthz", "/readyz", "/metrics"))


def is_proxy_path(path: str) -> bool:
    """Tell whether a path is the data plane's."""
    return path.startswith(PREFIXES) or path in PROBES


class Application:
    """One proxy process; everything it needs is made when the server starts it."""

    def __init__(self) -> None:
        self._gateway: Gateway | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection's event: the lifespan, or one request."""
        if scope["type"] == "http":
            await self._serve(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        path, gateway = scope["path"], self._gateway
        if path in PROBES:
            await self._probe(path, send)
            return
        exchange = Exchange(
            scope, receive, send, make_id("req", take_80_bits()), Watch(), time.perf_counter()
        )
        if gateway is None:
            raise RuntimeError("the proxy was not started: run it under a server that sends the lifespan")
        await gateway.flights.run(self._answer(exchange, gateway), exchange.watch)

    async def _answer(self, exchange: Exchange, gateway: Gateway) -> None:
        """Serve a request and turn what went wrong into an error in the caller's own dialect."""
        try:
            await self._route(exchange, gateway)
        except Refusal as refusal:
            await self._refuse(exchange, gateway, refusal)
        except EnforcementUnavailable as error:
            why = f"budgets cannot be checked right now: {error}"
            closed = Refusal("enforcement_unavailable", why, retry_after_ms=1_000)
            await self._refuse(exchange, gateway, closed)
        except Exception:
            log.exception("a request failed", extra={"request_id": exchange.request_id})
            await self._refuse(
                exchange, gateway, Refusal("internal_error", "Farebox failed; the call is in its log")
            )
        finally:
            elapsed_seconds = time.perf_counter() - exchange.arrived
            gateway.metrics.requests[exchange.code] += 1
            gateway.metrics.overhead_seconds.observe(elapsed_seconds - exchange.upstream_seconds)
            log_request(exchange, elapsed_seconds)

    @staticmethod
    async def _route(exchange: Exchange, gateway: Gateway) -> None:
        method, path = exchange.scope["method"], exchange.scope["path"]
        wanted = find_list(method, path, exchange.scope["headers"])
        if wanted is not None:
            await gateway.models.serve(exchange, wanted)
            return
        dialect = find_dialect(method, path, exchange.scope["query_string"])
        await gateway.pipeline.serve(exchange, dialect)

    @staticmethod
    async def _refuse(exchange: Exchange, gateway: Gateway, refusal: Refusal) -> None:
        exchange.code = refusal.code
        if not exchange.started:
            await send_refusal(
                exchange.send,
                refusal,
                shape=errors_of(exchange.scope["path"], exchange.scope["headers"]),
                request_id=exchange.request_id,
                docs_url=gateway.settings.docs_url(refusal.code),
            )

    async def _probe(self, path: str, send: Send) -> None:
        gateway = self._gateway
        if path == "/healthz":
            await send_json(send, 200, {"status": "alive"})
        elif gateway is None:
            await send_json(send, 503, {"status": "not started"})
        elif path == "/metrics":
            text = gateway.metrics.text().encode()
            await send_whole(send, 200, text, [(b"content-type", b"text/plain; version=0.0.4")])
        else:
            why = "stopping" if gateway.flights.closing else await self._why_not_ready(gateway)
            await send_json(send, 503 if why else 200, {"status": why or "ready"})

    @staticmethod
    async def _why_not_ready(gateway: Gateway) -> str:
        try:
            await gateway.holds.read_policies((TenantScope("ten_0000000000000000", "test").tenant_policy(),))
        except ShardClosed:
            return ""  # Redis is there; a shard that is being rebuilt refuses its own tenants alone
        except EnforcementError as error:
            return str(error)
        return ""

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            settings = read_settings(os.environ)
            configure_logging(settings.log_level)
            self._gateway = Gateway(settings)
            await self._gateway.start()
            await prove_gate(self, self._gateway, routes_to_prove())
        except (ProxyError, EnforcementError) as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._gateway.close()
        await send({"type": "lifespan.shutdown.complete"})


app = Application()
__all__ = ["Application", "GateOpen", "app", "is_proxy_path"]
