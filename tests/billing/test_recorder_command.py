"""`manage.py recorder` as a process: it stops cleanly, and says what it did."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from billing.management.commands.recorder import parse_shards
from tests.billing.conftest import Streams, sql
from tests.billing.test_recorder import wait_until

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")

ROOT = Path(__file__).parents[2]


@pytest.fixture
def command(streams: Streams) -> Iterator[list[subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []
    yield started
    for process in started:
        process.kill()
        process.communicate()


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "manage.py", "recorder", *arguments],
        cwd=ROOT,
        env={**os.environ, "FAREBOX_LOG_LEVEL": "INFO"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_it_records_until_told_to_stop(streams: Streams, command: list[subprocess.Popen[str]]) -> None:
    command.append(start())
    streams.append()
    wait_until(lambda: sql("SELECT count(*) FROM ledger_row") == [(1,)])

    command[0].send_signal(signal.SIGTERM)
    said, _ = command[0].communicate(timeout=10)

    assert command[0].returncode == 0
    assert "recorder.started" in said
    assert "recorder.stopped" in said
    assert "Traceback" not in said


def test_once_stops_when_nothing_is_left(streams: Streams, command: list[subprocess.Popen[str]]) -> None:
    for _ in range(5):
        streams.append()
    command.append(start("--once"))

    assert command[0].wait(timeout=20) == 0
    assert sql("SELECT count(*) FROM ledger_row") == [(5,)]


@pytest.mark.chaos
def test_a_killed_recorder_loses_nothing(streams: Streams, command: list[subprocess.Popen[str]]) -> None:
    for _ in range(3_000):
        streams.append()
    command.append(start())
    wait_until(
        lambda: sql("SELECT count(*) FROM pg_stat_activity WHERE usename = 'farebox_recorder'")[0][0] > 0
    )
    command[0].kill()
    command[0].wait()

    command.append(start("--once"))

    assert command[1].wait(timeout=30) == 0
    assert sql("SELECT count(*), sum(cost_nanousd) FROM ledger_row") == [(3_000, 3_000_000)]


def test_shards_are_named_as_a_range() -> None:
    assert parse_shards("0-127") == range(128)
    assert parse_shards("7") == range(7, 8)
    for wrong in ("0-256", "9-3", "x"):
        with pytest.raises(ValueError, match=r"no shards|invalid literal"):
            parse_shards(wrong)
