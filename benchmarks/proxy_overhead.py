"""CPU per request of the proxy, JSON and SSE, beside a static raw ASGI answer in the same run, in alternating rounds.

    python -m benchmarks.proxy_overhead [--seconds 4] [--rounds 3] [--in-flight 1 8 64]

Everything is on: authentication, quote, reserve, settle, event, metrics. The prompt has about 300 tokens. CPU time of
the proxy's process is the figure to trust; the ratio to the static answer is what can be compared between machines.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
from typing import Any

import psutil

from benchmarks.load import Load, drive, request_bytes
from config.devservers import free_port
from config.run import UVICORN_OPTIONS
from tests.stack import Process, Stack, running_stack, wait_for

WORDS = 290
# One event every ten milliseconds: each crosses the proxy by itself, as a real model sends them.
SSE_MODEL = "sim-words-100-drip-10"


def cpu_seconds(stack: Stack, name: str) -> float:
    """CPU time of a process and its children so far."""
    process = psutil.Process(stack.processes[name].handle.pid)
    times = [process.cpu_times(), *(child.cpu_times() for child in process.children(recursive=True))]
    return float(sum(each.user + each.system for each in times))


def measure(
    stack: Stack, name: str, url: str, request: bytes, in_flight: int, seconds: float
) -> dict[str, Any]:
    """One round against one process."""
    before = cpu_seconds(stack, name)
    load: Load = asyncio.run(drive(url, request, in_flight=in_flight, seconds=seconds))
    used = cpu_seconds(stack, name) - before
    wrong = {status: count for status, count in load.statuses.items() if status != "200"}
    if wrong or not load.requests:
        raise SystemExit(f"{url}: {load.statuses}")
    return {
        "cpu_us_per_request": used * 1e6 / load.requests,
        "cpu_us_per_event": used * 1e6 / load.chunks if load.chunks else None,
        "requests_per_second": load.requests / load.seconds,
        "p50_ms": load.percentile_ms(50),
        "p99_ms": load.percentile_ms(99),
    }


def median_of(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """The median of each figure over the rounds."""
    return {
        name: round(statistics.median(one[name] for one in rounds), 2)
        if rounds[0][name] is not None
        else None
        for name in rounds[0]
    }


def start_static(stack: Stack) -> str:
    """Start the floor beside the stack."""
    stack.ports["static"] = port = free_port()
    command = [
        sys.executable,
        "-m",
        "uvicorn",
        "benchmarks.static_app:app",
        *UVICORN_OPTIONS,
        "--port",
        str(port),
    ]
    stack.command = lambda name: command if name == "static" else type(stack).command(stack, name)  # type: ignore[method-assign]
    stack.spawn("static")
    assert isinstance(stack.processes["static"], Process)
    wait_for(lambda: stack.answers(stack.address("static")), "the static answer")
    return stack.address("static") + "/"


def main() -> int:
    """Measure and print one JSON document."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--in-flight", type=int, nargs="+", default=[1, 8, 64])
    options = parser.parse_args()
    content = " ".join(f"word{number % 90}" for number in range(WORDS))
    with running_stack(proxies=1, with_worker=False) as stack:
        customer = stack.customer("bench", "1000000.00")
        for model in ("sim-mini", SSE_MODEL):
            stack.model(model)
        floor = start_static(stack)
        url = f"{stack.address('proxy1')}/v1/chat/completions"
        headers = {"authorization": f"Bearer {customer['key']}"}
        bodies = {
            shape: json.dumps(
                {
                    "model": model,
                    "messages": [{"role": "user", "content": content}],
                    "max_tokens": 200,
                    **more,
                }
            ).encode()
            for shape, model, more in (("json", "sim-mini", {}), ("sse", SSE_MODEL, {"stream": True}))
        }
        report: dict[str, Any] = {"prompt_words": WORDS, "rounds": options.rounds, "seconds": options.seconds}
        for in_flight in options.in_flight:
            found: dict[str, list[dict[str, Any]]] = {"static": [], "json": [], "sse": []}
            for _ in range(options.rounds):
                static = request_bytes(floor, bodies["json"], {})
                found["static"].append(measure(stack, "static", floor, static, in_flight, options.seconds))
                for shape, body in bodies.items():
                    request = request_bytes(url, body, headers)
                    found[shape].append(measure(stack, "proxy1", url, request, in_flight, options.seconds))
            figures = {name: median_of(rounds) for name, rounds in found.items()}
            ratio = figures["json"]["cpu_us_per_request"] / figures["static"]["cpu_us_per_request"]
            report[f"in_flight_{in_flight}"] = {**figures, "json_to_static": round(ratio, 2)}
        sys.stdout.write(json.dumps(report, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
