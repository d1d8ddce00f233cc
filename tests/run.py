"""`make test`: each suite in turn, its seconds beside its budget. `make cov`: the branches of the lower layers."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from dataclasses import dataclass

COVERED = ("metering", "enforcement")


@dataclass(frozen=True)
class Suite:
    """A set of tests by marker, with the seconds it may take on two cores."""

    name: str
    marker: str
    budget_seconds: int
    options: tuple[str, ...] = ()


SUITES = (
    Suite("unit", "not (property or proof or chaos or month)", 240, ("-n", "2", "--dist", "loadscope")),
    Suite("property", "property", 120),
    Suite("proof", "proof", 90),
    Suite("month", "month", 60),
    Suite("chaos", "chaos", 120),
)


def run_suite(suite: Suite, rest: list[str]) -> tuple[int, float]:
    """Run one suite and return its exit code and seconds."""
    started = time.monotonic()
    command = [sys.executable, "-m", "pytest", "-q", "-m", suite.marker, *suite.options, *rest]
    code = subprocess.run(command, check=False).returncode
    return code, time.monotonic() - started


def run_covered() -> int:
    """Run the lower layers' own tests under coverage; fail below 100 % of their branches."""
    coverage = [sys.executable, "-m", "coverage"]
    tests = [*(f"tests/{package}" for package in COVERED), "tests/billing/test_keeper.py"]
    # One order and one seed: what memories and random examples reach must not change from run to run.
    fixed = ["-p", "no:randomly", "--hypothesis-seed=0"]
    run = [
        *coverage,
        "run",
        "--branch",
        f"--source={','.join(COVERED)}",
        "-m",
        "pytest",
        "-q",
        *fixed,
        *tests,
    ]
    if code := subprocess.run(run, check=False).returncode:
        return code
    return subprocess.run(
        [*coverage, "report", "--skip-covered", "-m", "--fail-under=100"], check=False
    ).returncode


def main() -> int:
    """Run the suites; succeed when all of them do."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--cov", action="store_true", help="fail below 100 %% of the branches of the lower layers"
    )
    parser.add_argument("--suite", choices=[suite.name for suite in SUITES], action="append")
    options, rest = parser.parse_known_args()
    if options.cov:
        return run_covered()
    lines, failed = [], False
    for suite in SUITES:
        if options.suite and suite.name not in options.suite:
            continue
        code, seconds = run_suite(suite, rest)
        failed |= code != 0
        late = "" if seconds <= suite.budget_seconds else "  OVER ITS BUDGET"
        verdict = "passed" if code == 0 else f"FAILED ({code})"
        lines.append(f"  {suite.name:10} {seconds:6.1f} s of {suite.budget_seconds} s  {verdict}{late}")
    sys.stdout.write("\nSuites\n" + "\n".join(lines) + "\n")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
