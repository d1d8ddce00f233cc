"""A lean load generator: raw HTTP/1.1 over kept-alive connections, so that it does not eat the core it measures on."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit

HEADER_END = b"\r\n\r\n"


@dataclass
class Load:
    """What a run saw."""

    requests: int = 0
    chunks: int = 0
    seconds: float = 0.0
    latencies_s: list[float] = field(default_factory=list)
    statuses: dict[str, int] = field(default_factory=dict)

    def percentile_ms(self, percent: int) -> float:
        """A latency percentile in milliseconds."""
        ordered = sorted(self.latencies_s)
        return (
            round(ordered[min(len(ordered) - 1, len(ordered) * percent // 100)] * 1000, 3) if ordered else 0.0
        )


def request_bytes(url: str, body: bytes, headers: dict[str, str]) -> bytes:
    """Encode a POST once."""
    parts = urlsplit(url)
    lines = [
        f"POST {parts.path} HTTP/1.1",
        f"host: {parts.netloc}",
        "content-type: application/json",
        f"content-length: {len(body)}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join(lines).encode() + HEADER_END + body


async def drive(url: str, request: bytes, *, in_flight: int, seconds: float) -> Load:
    """Send the same request over ``in_flight`` connections for a while."""
    load, parts = Load(), urlsplit(url)
    started = time.perf_counter()
    stop_at = started + seconds
    host, port = parts.hostname or "127.0.0.1", parts.port or 80
    await asyncio.gather(*(_connection(host, port, request, stop_at, load) for _ in range(in_flight)))
    load.seconds = time.perf_counter() - started
    return load


async def _connection(host: str, port: int, request: bytes, stop_at: float, load: Load) -> None:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        while (began := time.perf_counter()) < stop_at:
            writer.write(request)
            status, chunks = await _read_answer(reader)
            load.latencies_s.append(time.perf_counter() - began)
            load.requests += 1
            load.chunks += chunks
            load.statuses[status] = load.statuses.get(status, 0) + 1
    finally:
        writer.close()


async def _read_answer(reader: asyncio.StreamReader) -> tuple[str, int]:
    head = (await reader.readuntil(HEADER_END)).lower()
    status = head[9:12].decode()
    if b"transfer-encoding: chunked" not in head:
        length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
        return status, 0
    chunks = 0
    while size := int(await reader.readuntil(b"\r\n"), 16):
        await reader.readexactly(size + 2)
        chunks += 1
    await reader.readexactly(2)
    return status, chunks
