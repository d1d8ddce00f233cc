"""The bill: one record a request, exact sums, and a file that outlives the process."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import httpx
import pytest

from simulators.provider.prices import bill_nanousd, decimal_usd
from tests.simulators.provider.conftest import WORDS, Simulator, run_simulator, wait_until


@pytest.mark.parametrize(
    ("model", "nanousd"),
    [("sim-mini", 22_250), ("sim-exact", 102_250), ("sim-exact-slow-5", 102_250), ("sim-words-3", 22_250)],
)
def test_the_price_table_is_exact_integers(model: str, nanousd: int) -> None:
    assert bill_nanousd(model, prompt=6, cached=5, completion=10) == nanousd


def test_amounts_are_written_without_rounding() -> None:
    assert [decimal_usd(amount) for amount in (0, 1, 1_500_000_000, 10_000_000_000)] == [
        "0.00", "0.000000001", "1.50", "10.00",
    ]  # fmt: skip


def test_prices_are_told_in_dollars_per_million(sim: Simulator) -> None:
    told = sim.http.get("/_sim/prices").json()
    by_model = {each.pop("model"): each for each in told["patterns"] + told["models"]}
    assert by_model["sim-exact*"] == by_model["sim-exact"]
    shared = {"input": "1.00", "cached_input": "0.25", "cache_write_5m": "1.25", "cache_write_1h": "2.00"}
    assert by_model["sim-exact"] == shared | {"output": "10.00"}
    assert by_model["sim-*"] == by_model["sim-mini"] == shared | {"output": "2.00"}


def test_every_request_has_one_record_and_the_totals_are_their_sums(sim: Simulator) -> None:
    for model in ("sim-words-3", "sim-words-3", "sim-exact", "sim-error-429", "sim-nope"):
        sim.ask(model, max_tokens=5)
    sim.stream("sim-cut-2")
    sim.http.get("/v1/models")
    sim.http.get("/v1/unknown")
    records, bill = sim.records(), sim.bill()
    assert len({record["seq"] for record in records}) == bill["count"] == 8
    assert bill["billed_nanousd"] == sum(record["billed_nanousd"] for record in records)
    assert bill["by_status"]["200"]["count"] == 5
    assert bill["by_model"]["sim-words-3"] == {
        "count": 2, "prompt_tokens": 18, "completion_tokens": 6, "cached_tokens": 0, "reasoning_tokens": 0,
        "cache_write_5m_tokens": 0, "cache_write_1h_tokens": 0, "billed_nanousd": 30_000, "billed_usd": "0.00003",
    }  # fmt: skip
    assert bill["by_end"]["cut"]["count"] == 1


def test_a_record_carries_what_it_can_be_matched_by(sim: Simulator) -> None:
    headers = {"x-client-request-id": "hold_1", "idempotency-key": "once", "x-request-id": "mine"}
    sim.ask("sim-mini", headers=headers)
    record = sim.only_record()
    assert (record["hold_id"], record["idempotency_key"], record["caller_request_id"]) == (
        "hold_1",
        "once",
        "mine",
    )


def test_the_log_shows_what_is_open_and_what_ended_last(sim: Simulator) -> None:
    sim.ask("sim-words-1")
    sim.ask("sim-words-2")
    body = json.dumps({"model": "sim-hang", "messages": WORDS}).encode()
    address = httpx.URL(sim.base_url)
    with socket.create_connection((address.host, address.port or 80)) as caller:
        caller.sendall(b"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
        wait_until(lambda: sim.bill()["open"] == 1)
        log = sim.http.get("/_sim/log?last=1").json()
    assert [record["model"] for record in log["open"]] == ["sim-hang"]
    assert [record["model"] for record in log["ended"]] == ["sim-words-2"]


def test_a_reset_empties_the_bill_and_drops_what_is_open(sim: Simulator) -> None:
    sim.ask("sim-mini")
    assert sim.http.post("/_sim/reset").json()["count"] == 0
    assert sim.records() == []


def test_the_bill_file_has_every_record_and_survives_the_process(tmp_path: Path) -> None:
    path = tmp_path / "bill.jsonl"
    seen = []
    for _ in range(2):
        with run_simulator("--bill-file", str(path)) as sim:
            sim.ask("sim-mini")
            sim.stream("sim-cut-2")
            seen += sim.records()
    assert [json.loads(line) for line in path.read_text().splitlines()] == seen
    assert len({record["request_id"] for record in seen}) == 4
