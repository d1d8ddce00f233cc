"""The webhook sender: signs as Stripe does, to loopback only, and tries again what was not taken."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from urllib.parse import urlsplit

from simulators.stripe.store import Book, Obj, World, make_id

_LOOPBACK = frozenset({"127.0.0.1", "localhost"})


class Sender:
    """Delivers events and writes down how it went."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._sending: set[asyncio.Task[None]] = set()
        world.send = self.offer

    def offer(self, book: Book, endpoint: Obj, event: Obj) -> None:
        """Send an event to an endpoint, or hold it while sending is paused."""
        if self._world.knobs.webhooks_paused:
            self._world.held.append((book, endpoint, event))
            return
        self.deliver(book, endpoint, event, signing={})

    def deliver(self, book: Book, endpoint: Obj, event: Obj, *, signing: Obj, tries: int = 0) -> None:
        """Start a delivery; `signing` may misplace its time or forge its signature."""
        entry: Obj = {
            "event": event["id"], "type": event["type"], "endpoint": endpoint["id"], "url": endpoint["url"],
            "try": tries + 1, "at": self._world.clock.now(), "status": None, "error": None,
        }  # fmt: skip
        self._world.deliveries.append(entry)
        body = json.dumps(_in_version(event, endpoint), indent=2).encode()
        signature = sign(body, book.secrets.get(endpoint["id"], []), signing=signing)
        task = asyncio.get_running_loop().create_task(
            self._send(book, endpoint, event, (entry, body, signature))
        )
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _send(self, book: Book, endpoint: Obj, event: Obj, parcel: tuple[Obj, bytes, str]) -> None:
        entry, body, signature = parcel
        try:
            async with asyncio.timeout(self._world.knobs.webhook_timeout_s):
                entry["status"] = await _post(endpoint["url"], body, signature)
        except (OSError, TimeoutError, ValueError) as error:
            entry["error"] = repr(error)
        if entry["status"] is not None and 200 <= entry["status"] < 300:
            if "pending_webhooks" in event:
                event["pending_webhooks"] -= 1
            return
        delays_s, tries = self._world.knobs.webhook_retry_delays_s, entry["try"]
        if tries <= len(delays_s) and endpoint["status"] == "enabled":
            due_s = self._world.clock.now() + delays_s[tries - 1]
            self._world.clock.at(
                due_s, lambda: self.deliver(book, endpoint, event, signing={}, tries=tries)
            )  # fmt: skip


def sign(body: bytes, keys: list[str], *, signing: Obj) -> str:
    """Write a Stripe-Signature header by the wall's clock, which is the one its reader has."""
    at_s = int(time.time() + float(signing.get("offset_s", 0)))
    secrets = ["whsec_forged"] if signing.get("forged") else keys
    signed = f"{at_s}.".encode() + body
    parts = [hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest() for secret in secrets]
    return ",".join([f"t={at_s}", *(f"v1={part}" for part in parts), f"v0={make_id('v')[2:]}"])


def _in_version(event: Obj, endpoint: Obj) -> Obj:
    version = endpoint.get("api_version")
    return event | {"api_version": version} if version and event["object"] == "event" else event


async def _post(url: str, body: bytes, signature: str) -> int:
    parts = urlsplit(url)
    if parts.scheme != "http" or parts.hostname not in _LOOPBACK:
        raise ValueError(f"{url} is not on loopback")
    reader, writer = await asyncio.open_connection("127.0.0.1", parts.port or 80)
    try:
        target = parts.path or "/"
        target += f"?{parts.query}" if parts.query else ""
        head = (
            f"POST {target} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json; charset=utf-8\r\n"
            f"User-Agent: Stripe/1.0 (+https://stripe.com/docs/webhooks)\r\nStripe-Signature: {signature}\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        writer.write(head.encode() + body)
        await writer.drain()
        status_line = await reader.readline()
        await reader.read()
        return int(status_line.split()[1])
    except IndexError:
        raise ValueError("the endpoint hung up without an answer") from None
    finally:
        writer.close()
