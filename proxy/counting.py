"""The provider's own count of a prompt, asked for before the quote where an account wants that.

A door of its own, which leads to the counting paths alone: what goes through it is answered with a number and billed
nothing, so that it needs no hold. It goes by the same judged and pinned addresses, under the same credential, as the
door that calls go through. A count that does not come in time, or is no count, leaves the bound that was worked out
here.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from pyreqwest.exceptions import PyreqwestError

from enforcement.policies import ProviderAccount
from metering.count_cache import CountCache
from metering.errors import UsageError
from proxy.addresses import Origins
from proxy.bodies import aside
from proxy.errors import NotSent, Unfinished, UpstreamError
from proxy.metrics import Metrics
from proxy.providers.base import Countable, CountingRequest, Traits

COUNTING_SECONDS = 2.0
COUNT_BYTES_MAX = 65_536
COUNTS_MAX = 65_536
_HEADERS = (
    ("content-type", "application/json"),
    ("accept-encoding", "identity"),
    ("user-agent", "farebox"),
)
# Anthropic's, Gemini's and OpenAI's: each of them counts, and none of them generates.
_COUNTING_PATHS = re.compile(
    r"(/v1)?/messages/count_tokens|/v1(beta)?/models/[A-Za-z0-9._-]+:countTokens|(/v1)?/responses/input_tokens"
)

log = logging.getLogger("farebox.proxy")


class CountingDoor:
    """Sends prompts to be counted, to counting paths and nowhere else."""

    def __init__(self, origins: Origins) -> None:
        self._origins = origins
        self.asked = 0  # how often anybody came here; the self-test wants to see none

    async def send(
        self, account: ProviderAccount, request: CountingRequest, headers: Iterable[tuple[str, str]]
    ) -> bytes:
        """Send one request and read its whole answer. Raises: NotSent; Unfinished, also for a refusal."""
        self.asked += 1
        if not _COUNTING_PATHS.fullmatch(request.path):
            raise NotSent(f"{request.path} counts nothing")
        client, url = await self._origins.client_for(account.base_url, request.path)
        try:
            built = client.post(url).headers([*_HEADERS, *headers]).body_bytes(request.body)
            async with built.streamed_read_buffer_limit(0).build_streamed() as response:
                if response.status != 200:
                    raise Unfinished(f"a count was answered with status {response.status}")
                parts = bytearray()
                while (chunk := await response.body_reader.read_chunk()) is not None:
                    parts += bytes(chunk)
                    if len(parts) > COUNT_BYTES_MAX:
                        raise Unfinished(f"a count came with more than {COUNT_BYTES_MAX} bytes")
                return bytes(parts)
        except (PyreqwestError, ValueError) as error:
            # Not chained: the message may quote a header, and that may be the credential.
            raise Unfinished(f"a count did not come: {type(error).__name__}") from None


@dataclass(frozen=True, slots=True)
class Asking:
    """One prompt to be counted, and the account that asks."""

    account: ProviderAccount
    model: str
    traits: Traits
    headers: Iterable[tuple[str, str]] = field(repr=False)
    body_bytes: int = 0


class Counts:
    """Counts of prompts, remembered by a digest of what was counted."""

    def __init__(self, door: CountingDoor, metrics: Metrics) -> None:
        self._door = door
        self._metrics = metrics
        self._known: CountCache[int] = CountCache(COUNTS_MAX)

    async def find(self, call: Countable, asking: Asking) -> int | None:
        """Return the provider's count of a call's prompt in tokens; None where there is none to be had."""
        request = await aside(asking.body_bytes, call.counting, asking.model, asking.traits)
        if request is None:
            return None
        # Whoever asks has its own answer: what one tenant had counted tells another nothing.
        # Headers count too: a beta may change the figure.
        headers = sorted(asking.headers)
        named = f"{asking.account.account_id}\n{asking.account.base_url}\n{request.path}\n{headers}\n"
        key = self._known.key_of(named.encode() + request.body, b"count")
        known = self._known.get(key)
        if known is None:
            known = await self._ask(call, asking, request)
            if known is not None:
                self._known.put(key, known)
        else:
            self._metrics.counts["remembered"] += 1
        return known

    async def _ask(self, call: Countable, asking: Asking, request: CountingRequest) -> int | None:
        try:
            async with asyncio.timeout(COUNTING_SECONDS):
                counted = call.read_count(await self._door.send(asking.account, request, asking.headers))
        except (UpstreamError, UsageError, TimeoutError) as error:
            self._metrics.counts["failed"] += 1
            log.warning("a prompt was not counted by its provider", extra={"why": str(error) or "too slow"})
            return None
        self._metrics.counts["counted"] += 1
        return counted
