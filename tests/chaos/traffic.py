"""Steady traffic in a thread of its own, which remembers every answer whose last byte arrived."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

from benchmarks.callers import Answer, Call, Tally, make_calls
from benchmarks.overspend import prompt
from tests.stack import Stack

MODELS = ("sim-words-20", "sim-words-60-drip-5", "sim-exact-slow-200")


@dataclass
class Traffic:
    """Callers of one customer over all proxies until ``stop``."""

    stack: Stack
    key: str
    concurrency: int = 12
    calls_max: int = 20_000
    tally: Tally = field(default_factory=Tally)

    def __enter__(self) -> Traffic:
        for model in MODELS:
            self.stack.model(model, like="sim-exact" if "exact" in model else "sim-mini")
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Make no more calls and wait for those under way."""
        self._stopping.set()
        self._thread.join(90)
        assert not self._thread.is_alive(), "callers did not come to an end"

    @property
    def answered(self) -> list[Answer]:
        """The calls that were answered to their last byte."""
        return [answer for answer in self.tally.answers if answer.status == 200 and answer.complete]

    def _calls(self) -> Iterator[Call]:
        chance = random.Random(3)
        for _ in range(self.calls_max):
            if self._stopping.is_set():
                return
            body = {
                "model": chance.choice(MODELS),
                "messages": prompt(chance.randint(1, 40)),
                "max_completion_tokens": chance.randint(10, 80),
                "stream": chance.random() < 0.5,
            }
            yield Call(body)

    def _run(self) -> None:
        addresses = [self.stack.address(name) for name in self.stack.proxy_names]
        work = make_calls(addresses, self.key, self._calls(), concurrency=self.concurrency, tally=self.tally)
        asyncio.run(work)
