"""Callers: many at once, through several proxies, that retry what may be retried and count what they saw."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

ATTEMPTS_MAX = 2_000
# Contention that passes by itself; a provider's own 429 is an answer like any other.
RETRIED = frozenset(("budget_in_flight", "rate_limited"))


@dataclass(frozen=True)
class Call:
    """One call to make: the body, and how many streamed chunks to read before hanging up (None = all)."""

    body: dict[str, Any]
    hang_up_after: int | None = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Answer:
    """What came back at last."""

    status: int
    code: str
    asked_cap: int
    announced_cap: int | None
    attempts: int
    request_id: str
    complete: bool = True


@dataclass
class Tally:
    """Answers, and every refusal on the way."""

    answers: list[Answer] = field(default_factory=list)
    refusals: Counter[str] = field(default_factory=Counter)

    @property
    def by_status(self) -> dict[str, int]:
        """How many calls ended in each status and code."""
        return dict(Counter(f"{answer.status} {answer.code}".strip() for answer in self.answers))


async def make_calls(
    addresses: Sequence[str],
    key: str,
    calls: Iterable[Call],
    *,
    concurrency: int,
    timeout_s: float = 60.0,
    tally: Tally | None = None,
) -> Tally:
    """Make all calls, ``concurrency`` at a time, in turn over the proxies; contention is retried, all else final."""
    tally, waiting, turn = tally or Tally(), iter(calls), itertools.cycle(addresses)
    limits = httpx.Limits(max_connections=concurrency * 2, max_keepalive_connections=concurrency * 2)
    async with httpx.AsyncClient(limits=limits, timeout=timeout_s) as client:
        await asyncio.gather(*(_caller(client, key, waiting, turn, tally) for _ in range(concurrency)))
    return tally


async def _caller(
    client: httpx.AsyncClient, key: str, waiting: Iterator[Call], turn: Iterator[str], tally: Tally
) -> None:
    for call in waiting:
        tally.answers.append(await _one(client, key, call, turn, tally))


async def _one(client: httpx.AsyncClient, key: str, call: Call, turn: Iterator[str], tally: Tally) -> Answer:
    for attempt in range(1, ATTEMPTS_MAX + 1):
        answer, retry_after_s = await _attempt(client, f"{next(turn)}/v1/chat/completions", key, call)
        answer.attempts = attempt
        if answer.code not in RETRIED:
            return answer
        tally.refusals[answer.code] += 1
        await asyncio.sleep(retry_after_s)
    return answer


async def _attempt(client: httpx.AsyncClient, url: str, key: str, call: Call) -> tuple[Answer, float]:
    headers = {"authorization": f"Bearer {key}", **call.headers}
    asked = int(call.body.get("max_completion_tokens") or call.body.get("max_tokens") or 0)
    try:
        async with client.stream("POST", url, json=call.body, headers=headers) as response:
            complete, chunks, body = True, 0, b""
            async for chunk in response.aiter_bytes():
                chunks += 1
                if response.status_code != 200 or not call.body.get("stream"):
                    body += chunk
                if call.hang_up_after is not None and chunks >= call.hang_up_after:
                    complete = False
                    break
    except httpx.HTTPError as error:
        return Answer(0, type(error).__name__, asked, None, 1, "", complete=False), 0.1
    return _read(response, body, asked, complete=complete)


def _read(response: httpx.Response, body: bytes, asked: int, *, complete: bool) -> tuple[Answer, float]:
    code = ""
    if response.status_code != 200:
        try:
            code = json.loads(body)["error"]["code"] or ""
        except (ValueError, KeyError, TypeError):
            code = "unreadable"
    cap = response.headers.get("farebox-output-cap")
    request_id = response.headers.get("farebox-request-id", "")
    answer = Answer(response.status_code, code, asked, int(cap) if cap else None, 1, request_id, complete)
    # A benchmark is more impatient than the header asks: it wants to see the gate under pressure.
    return answer, min(0.05, float(response.headers.get("retry-after", 0.05)))
