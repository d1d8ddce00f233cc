"""`manage.py recorder`: record usage streams into the ledger until told to stop."""

from __future__ import annotations

import logging
import signal
import threading
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import connections

from billing.ledger.books import Books
from billing.ledger.feed import Feed
from billing.ledger.overload import Watermarks
from billing.ledger.recorder import Recorder
from enforcement.control_client import ControlClient
from metering.ids import SHARDS

log = logging.getLogger("billing.recorder")


def books_parameters() -> dict[str, Any]:
    """Where and as whom the recorder writes: the alias ``recorder``, but on a connection of its own."""
    given = connections["recorder"].settings_dict
    known = {"dbname": "NAME", "user": "USER", "password": "PASSWORD", "host": "HOST", "port": "PORT"}
    parameters = {key: given[name] for key, name in known.items() if given.get(name)}
    return {**given.get("OPTIONS", {}), **parameters}


def parse_shards(text: str) -> range:
    """Read ``0-127`` as the shards from 0 to 127. Raises: ValueError."""
    first, _, last = text.partition("-")
    shards = range(int(first), int(last or first) + 1)
    if not shards or shards[-1] >= SHARDS:
        raise ValueError(f"{text!r} names no shards between 0 and {SHARDS - 1}")
    return shards


class Command(BaseCommand):
    """Record usage streams into the ledger."""

    help = (
        "Record usage streams into the ledger until SIGTERM. Several may run: each shard has one at a time."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take which shards to record, and whether to stop when nothing is left."""
        parser.add_argument("--once", action="store_true", help="record what is there, then stop")
        parser.add_argument(
            "--shards", type=parse_shards, default=range(SHARDS), help="such as 0-127; all unless given"
        )
        parser.add_argument("--backlog-max", type=int, default=Watermarks().backlog_entries_max)
        parser.add_argument("--memory-percent-max", type=int, default=Watermarks().memory_percent_max)

    def handle(self, *_: Any, **options: Any) -> None:
        """Run until SIGTERM or SIGINT; what is in a transaction then is committed or left for the next one."""
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        client = ControlClient(settings.REDIS_URL)
        recorder = Recorder(
            Books(books_parameters()),
            Feed(client),
            shards=options["shards"],
            watermarks=Watermarks(options["backlog_max"], options["memory_percent_max"]),
        )
        log.info("recorder.started", extra={"shards": len(options["shards"]), "once": options["once"]})
        try:
            recorder.drain() if options["once"] else recorder.run(stop)
        finally:
            recorder.close()
            client.close()
            log.info("recorder.stopped", extra=asdict(recorder.figures))
