"""The command line: `python -m simulators.stripe --port 9200 --key rk_test_acme@acct_acme`."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
from pathlib import Path

from simulators.provider.wire import Connection
from simulators.stripe.app import Simulator
from simulators.stripe.checking import Checker, load_checker
from simulators.stripe.store import World

_HOST = "127.0.0.1"
_EXIT_REFUSED = 2
_TICK_S = 0.05


def main() -> int:
    """Serve until told to stop; refuse to start in production, where no invoice may come from a simulator."""
    if os.environ.get("FAREBOX_ENV", "").strip().lower() == "production":
        sys.stderr.write("simulators.stripe: refusing to start with FAREBOX_ENV=production\n")
        return _EXIT_REFUSED
    options = _parse_arguments()
    checker, reason = None, "it was told not to"
    if not options.no_check:
        checker, reason = load_checker(options.openapi)
    if checker is None:
        sys.stderr.write(f"simulators.stripe: not checking against Stripe's OpenAPI: {reason}\n")
    asyncio.run(_serve(World(options.key), checker, port=options.port, pay_here=options.pay_here))
    return 0


def _parse_arguments() -> argparse.Namespace:
    data = Path(os.environ.get("FAREBOX_DATA", "data"))
    parser = argparse.ArgumentParser(prog="python -m simulators.stripe", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="port on 127.0.0.1; 0 takes a free one")
    parser.add_argument(
        "--key", action="append", default=[], metavar="KEY[@ACCOUNT]",
        help="an API key that exists besides the default ones; may be given again",
    )  # fmt: skip
    parser.add_argument(
        "--openapi", type=Path, default=data / "stripe-openapi-reduced.json",
        help="Stripe's interface, to check requests and answers against",
    )  # fmt: skip
    parser.add_argument("--pay-here", action="store_true", help="serve the pages of checkout sessions")
    parser.add_argument("--no-check", action="store_true", help="do not check against Stripe's OpenAPI")
    return parser.parse_args()


async def _serve(world: World, checker: Checker | None, *, port: int, pay_here: bool) -> None:
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    simulator = Simulator(world, checker)
    connections: set[Connection] = set()
    server = await loop.create_server(lambda: Connection(simulator, connections), _HOST, port, backlog=1024)
    bound = server.sockets[0].getsockname()[1]
    world.pays_at = f"http://{_HOST}:{bound}" if pay_here else ""
    ready = {
        "event": "listening", "host": _HOST, "port": bound, "base_url": f"http://{_HOST}:{bound}",
        "checked": checker is not None,
    }  # fmt: skip
    sys.stdout.write(json.dumps(ready) + "\n")
    sys.stdout.flush()
    ticking = loop.create_task(_tick(world))
    await stopping.wait()
    ticking.cancel()
    server.close()
    for connection in list(connections):
        connection.transport.abort()


async def _tick(world: World) -> None:
    """Do what is due while nobody asks."""
    while True:
        world.clock.run_due()
        await asyncio.sleep(_TICK_S)


if __name__ == "__main__":
    sys.exit(main())
