"""Zero overspend, by the simulator's own bill: the cap under concurrency, clamping, cuts, hang-ups and silence.

    python -m benchmarks.overspend [--case exact|clamp|faults] [--latency-ms 1000] [--plant check-then-increment]

Traffic goes through two proxy processes. Exit code 1 when a claim does not hold, so that a planted fault can be seen
to fail. Bounded: at most 500 calls a case.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

from benchmarks.callers import Call, Tally, make_calls
from metering.money import format_usd, parse_usd
from tests.evidence import compare
from tests.stack import Stack, running_stack

CALLS = 500
CONCURRENCY = 100
LIMIT_USD = "0.50"
CLAMP_CUSTOMERS, CLAMP_CONCURRENCY = 10, 12
# 2 + 4 + 94 words = 100 prompt tokens at $1 and 990 output tokens at $10 a million: one cent, to the nano-dollar.
CENT_WORDS, CENT_CAP = 94, 990


def claim(found: list[str], holds: bool, text: str) -> None:  # noqa: FBT001  # reads as a sentence at the call
    """Note a claim that does not hold."""
    if not holds:
        found.append(text)


def prompt(words: int) -> list[dict[str, str]]:
    """A conversation of one message with so many words."""
    return [{"role": "user", "content": " ".join(f"word{number}" for number in range(words))}]


def addresses(stack: Stack) -> list[str]:
    """Where the proxies are."""
    return [stack.address(name) for name in stack.proxy_names]


def served(stack: Stack, models: Callable[[str], bool]) -> list[dict[str, Any]]:
    """The simulator's records of one case."""
    return [record for record in stack.bill_records() if models(record["model"])]


def books(stack: Stack, customer: dict[str, Any]) -> dict[str, dict[str, int]]:
    """The ledger of one customer: rows and sums by basis."""
    sums: dict[str, dict[str, int]] = defaultdict(lambda: {"rows": 0, "cost_nanousd": 0})
    for row in stack.rows("customer_id = %s", customer["customer"]["id"]):
        sums[row["basis"]]["rows"] += 1
        sums[row["basis"]]["cost_nanousd"] += row["cost_nanousd"]
    return dict(sums)


def summary(
    stack: Stack, customer: dict[str, Any], tally: Tally, bill: list[dict[str, Any]]
) -> dict[str, Any]:
    """What every case prints."""
    budget = stack.budget(customer["budget"]["id"])
    billed = sum(record["billed_nanousd"] for record in bill)
    return {
        "limit_usd": budget["limit_usd"],
        "billed_by_simulator_usd": format_usd(billed),
        "overspend_usd": format_usd(max(0, billed - parse_usd(budget["limit_usd"]))),
        "utilisation": round(billed / parse_usd(budget["limit_usd"]), 4),
        "calls_that_reached_the_provider": len(bill),
        "answers": tally.by_status,
        "refusals_retried": dict(tally.refusals),
        "spent_usd": budget["spent_usd"],
        "held_usd": budget["held_usd"],
        "ledger": books(stack, customer),
    }


def case_exact(stack: Stack, latency_ms: int) -> tuple[dict[str, Any], list[str]]:
    """Fixed cost of one cent, limit of fifty: exactly fifty calls are served."""
    customer = stack.customer(f"exact-{latency_ms}", LIMIT_USD, on_exhaustion="refuse")
    before = len(stack.bill_records())
    model = stack.model(f"sim-exact-slow-{latency_ms}" if latency_ms else "sim-exact", like="sim-exact")
    calls = [
        Call({"model": model, "messages": prompt(CENT_WORDS), "max_completion_tokens": CENT_CAP})
    ] * CALLS
    tally = asyncio.run(make_calls(addresses(stack), customer["key"], calls, concurrency=CONCURRENCY))
    stack.wait_until_quiet()
    bill = stack.bill_records()[before:]
    found: list[str] = []
    report = summary(stack, customer, tally, bill)
    claim(found, len(bill) == 50, f"{len(bill)} calls reached the provider, not 50")
    claim(
        found,
        report["billed_by_simulator_usd"] == "0.50",
        f"${report['billed_by_simulator_usd']} billed, not $0.50",
    )
    claim(found, report["spent_usd"] == "0.50", f"${report['spent_usd']} in the books, not $0.50")
    claim(found, report["held_usd"] == "0.00", f"${report['held_usd']} still held")
    claim(found, len(tally.answers) == CALLS, f"{len(tally.answers)} callers were answered, not {CALLS}")
    claim(found, tally.by_status == {"200": 50, "402 budget_exceeded": 450}, f"answers: {tally.by_status}")
    return report, found


def case_clamp(stack: Stack, _latency_ms: int) -> tuple[dict[str, Any], list[str]]:
    """Caps of 1 to 4,000 tokens, JSON and SSE, on budgets that may clamp: never over, every cut announced."""
    model = stack.model("sim-exact", like="sim-exact")
    chance = random.Random(7)
    found: list[str] = []
    reports = []
    for number in range(CLAMP_CUSTOMERS):
        customer = stack.customer(f"clamp-{number}", "0.20", on_exhaustion="clamp")
        before = len(stack.bill_records())
        calls = [clamp_call(model, chance) for _ in range(CALLS // CLAMP_CUSTOMERS)]
        tally = asyncio.run(
            make_calls(addresses(stack), customer["key"], calls, concurrency=CLAMP_CONCURRENCY)
        )
        stack.wait_until_quiet()
        report = summary(stack, customer, tally, stack.bill_records()[before:])
        rows = stack.rows("customer_id = %s", customer["customer"]["id"])
        clamped = {row["request_id"] for row in rows if row["output_cap_source"] == "clamped"}
        shortened = {answer.request_id for answer in tally.answers if answer.announced_cap is not None}
        report |= {"clamped": len(clamped), "announced": len(shortened)}
        claim(found, report["overspend_usd"] == "0.00", f"${report['overspend_usd']} over the limit")
        claim(found, report["held_usd"] == "0.00", f"${report['held_usd']} still held")
        billed = parse_usd(report["billed_by_simulator_usd"])
        claim(found, parse_usd(report["spent_usd"]) == billed, "the books differ from the simulator's bill")
        claim(found, clamped == shortened, f"{len(clamped)} clamped, {len(shortened)} announced")
        reports.append(report)
    claim(found, any(report["clamped"] for report in reports), "nothing was clamped: the case shows nothing")
    return sum_up(reports), found


def clamp_call(model: str, chance: random.Random) -> Call:
    """A call of any size."""
    body = {
        "model": model,
        "messages": prompt(chance.randint(1, 200)),
        "max_completion_tokens": chance.randint(1, 4000),
        "stream": chance.random() < 0.5,
    }
    return Call(body)


def sum_up(reports: list[dict[str, Any]]) -> dict[str, Any]:
    """One line for several customers."""
    answers: Counter[str] = Counter()
    for report in reports:
        answers.update(report["answers"])
    return {
        "customers": len(reports),
        "limit_usd": reports[0]["limit_usd"],
        "overspend_usd": max(report["overspend_usd"] for report in reports),
        "utilisation": [report["utilisation"] for report in reports],
        "answers": dict(answers),
        "clamped": sum(report["clamped"] for report in reports),
        "announced": sum(report["announced"] for report in reports),
        "held_usd": max(report["held_usd"] for report in reports),
    }


FAULTS = (
    *("sim-cut-5", "sim-nousage", "sim-words-40", "sim-words-40-drip-2", "sim-mini", "sim-zerousage"),
    *(
        "sim-error-500",
        "sim-error-429",
        "sim-reset",
        "sim-reasoning-9",
        "sim-cached-20",
        "sim-usage-not-last",
    ),
)


def case_faults(stack: Stack, _latency_ms: int) -> tuple[dict[str, Any], list[str]]:
    """Cuts, hang-ups, errors and missing usage: reported rows equal the bill, the others are never below it."""
    customer = stack.customer("faults", "5.00", on_exhaustion="refuse")
    before = len(stack.bill_records())
    chance = random.Random(11)
    calls = []
    for _ in range(CALLS):
        model, stream = stack.model(chance.choice(FAULTS)), chance.random() < 0.6
        body = {
            "model": model,
            "messages": prompt(chance.randint(1, 60)),
            "max_completion_tokens": 80,
            "stream": stream,
        }
        hang_up = chance.randint(1, 6) if stream and "drip" in model and chance.random() < 0.7 else None
        calls.append(Call(body, hang_up_after=hang_up))
    tally = asyncio.run(make_calls(addresses(stack), customer["key"], calls, concurrency=40))
    stack.wait_until_quiet(120)
    bill = stack.bill_records()[before:]
    report = summary(stack, customer, tally, bill)
    comparison = compare(stack.rows("customer_id = %s", customer["customer"]["id"]), bill)
    report["against_the_bill"] = comparison.by_basis
    return report, [*comparison.broken, *held_at_end(report)]


def held_at_end(report: dict[str, Any]) -> list[str]:
    """Nothing may be held once quiet."""
    return [] if report["held_usd"] == "0.00" else [f"${report['held_usd']} still held"]


CASES = {"exact": case_exact, "clamp": case_clamp, "faults": case_faults}


def run(cases: list[str], latencies_ms: list[int], plant: str = "") -> int:
    """Run cases on one stack; print a JSON line each; return how many claims did not hold."""
    broken = 0
    proxy_app = "benchmarks.planted:app" if plant else "proxy.app:app"
    with running_stack(proxies=2, proxy_app=proxy_app) as stack:
        for name in cases:
            for latency_ms in latencies_ms if name == "exact" else [0]:
                report, found = CASES[name](stack, latency_ms)
                line = {
                    "case": name,
                    "latency_ms": latency_ms,
                    **report,
                    "holds": not found,
                    "broken": found[:10],
                }
                sys.stdout.write(json.dumps(line, default=str) + "\n")
                sys.stdout.flush()
                broken += len(found)
    return broken


def main() -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--case", choices=sorted(CASES), action="append")
    parser.add_argument("--latency-ms", type=int, action="append")
    parser.add_argument("--plant", choices=["check-then-increment"], default="")
    options = parser.parse_args()
    return int(run(options.case or list(CASES), options.latency_ms or [0, 1000], options.plant) > 0)


if __name__ == "__main__":
    sys.exit(main())
