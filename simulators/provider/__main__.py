"""The command line: `python -m simulators.provider --port 9100 --api-key sk-sim-… --bill-file bill.jsonl`."""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import resource
import signal
import sys
from pathlib import Path

import uvloop

from simulators.provider.app import Provider
from simulators.provider.bill import Bill, open_bill
from simulators.provider.wire import Connection

_HOST = "127.0.0.1"
_EXIT_REFUSED = 2


def main() -> int:
    """Serve until told to stop; refuse to start in production, where no bill may come from a simulator."""
    if os.environ.get("FAREBOX_ENV", "").strip().lower() == "production":
        sys.stderr.write("simulators.provider: refusing to start with FAREBOX_ENV=production\n")
        return _EXIT_REFUSED
    options = _parse_arguments()
    # Thousands of streams are as many sockets.
    hard_max = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard_max, hard_max))
    bill = open_bill(options.bill_file)
    # What lives as long as the process needs no collector to look at it.
    gc.collect()
    gc.freeze()
    uvloop.run(_serve(bill, port=options.port, api_key=options.api_key))
    if bill.file is not None:
        bill.file.close()
    return 0


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m simulators.provider", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="port on 127.0.0.1; 0 takes a free one")
    parser.add_argument("--api-key", help="bearer key to ask of callers; without it any caller is served")
    parser.add_argument("--bill-file", type=Path, help="append every record to this file as a JSON line")
    return parser.parse_args()


async def _serve(bill: Bill, *, port: int, api_key: str | None) -> None:
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    provider = Provider(bill, api_key=api_key)
    connections: set[Connection] = set()
    server = await loop.create_server(lambda: Connection(provider, connections), _HOST, port, backlog=4096)
    bound = server.sockets[0].getsockname()[1]
    ready = {"event": "listening", "host": _HOST, "port": bound, "base_url": f"http://{_HOST}:{bound}/v1"}
    sys.stdout.write(json.dumps(ready) + "\n")
    sys.stdout.flush()
    await stopping.wait()
    server.close()
    # First the bill, as of now; then the callers, whose leaving would look like hang-ups.
    for record in list(bill.open.values()):
        bill.close(record, "stopped")
    for connection in list(connections):
        connection.transport.abort()


if __name__ == "__main__":
    sys.exit(main())
