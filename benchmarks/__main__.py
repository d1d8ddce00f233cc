"""`make bench`: every benchmark in turn, one JSON document each, into benchmarks/results/."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
BENCHMARKS: tuple[tuple[str, ...], ...] = (
    ("overspend",),
    ("proxy_overhead",),
    ("recorder",),
    ("ledger_chain", "200000"),
    ("replay",),
)


def main() -> int:
    """Run all; fail when one does."""
    RESULTS.mkdir(exist_ok=True)
    failed = []
    for name, *arguments in BENCHMARKS:
        sys.stdout.write(f"{name} … ")
        sys.stdout.flush()
        started = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-m", f"benchmarks.{name}", *arguments], stdout=subprocess.PIPE, check=False
        )
        (RESULTS / f"{name}.json").write_bytes(done.stdout)
        sys.stdout.write(f"{time.monotonic() - started:.0f} s, exit {done.returncode}\n")
        if done.returncode:
            failed.append(name)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
