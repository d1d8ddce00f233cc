"""Break the hot path's scripts one small change at a time and see whether the tests notice.

Usage: python -m tests.enforcement.mutants [SCRIPT OR PART …]   (many minutes; not part of the suite)
Prints the mutants that survive: a missing test, or a change that no behaviour can tell.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

LUA = Path(__file__).parents[2] / "enforcement" / "lua"
FILES = ("reserve", "dispatched", "settle", "release", "expire", "renew", "parts/opening", "parts/hold", "parts/draws",
         "parts/event", "parts/ending")  # fmt: skip
TESTS = [f"tests/enforcement/test_{name}.py" for name in (
    "reserve", "reserve_clamping", "reserve_first_seen", "reserve_limits", "endings", "expiry",
)]  # fmt: skip
CHANGES = (
    (r" < ", " <= "), (r" <= ", " < "), (r" > ", " >= "), (r" >= ", " > "), (r" == ", " ~= "), (r" ~= ", " == "),
    (r" and ", " or "), (r" or ", " and "), (r"\bnot ", ""), (r" \+ ", " - "), (r" - ", " + "), (r" \* ", " + "),
    (r"math\.min", "math.max"), (r"math\.max", "math.min"), (r"math\.ceil", "math.floor"), (r"fmod", "max"),
    (r"\btrue\b", "false"), (r"\bfalse\b", "true"), (r"'XX', ", ""), (r"\bcost\b", "charge"),
    (r"^(\s*)redis\.call\(.*\)$", r"\1local _ = nil"), (r"^(\s*)return answer\(.*\)$", r"\1local _ = nil"),
    (r"'settled'", "'released'"), (r"'expired'", "'settled'"), (r"'reserved'", "'dispatched'"),
)  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    name: str
    line_no: int
    old: str
    new: str


def mutants(names: list[str]) -> Iterator[Mutant]:
    for name in names:
        for line_no, line in enumerate((LUA / f"{name}.lua").read_text("utf-8").splitlines(), 1):
            if line.lstrip().startswith(("--", "#!")):
                continue
            for pattern, replacement in CHANGES:
                for match in re.finditer(pattern, line):
                    new = line[: match.start()] + match.expand(replacement) + line[match.end() :]
                    if new != line:
                        yield Mutant(name, line_no, line, new)


def survives(mutant: Mutant) -> bool:
    child = os.fork()
    if child == 0:
        os._exit(run(mutant))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def run(mutant: Mutant) -> int:
    from importlib import resources

    from enforcement import calls, hold_calls
    from tests.plugin import VALKEY

    # One server for all: the parent's.
    VALKEY.start = VALKEY.stop = shutil.rmtree = lambda *_, **__: None  # type: ignore[assignment]
    path = LUA / f"{mutant.name}.lua"
    lines = path.read_text("utf-8").splitlines()
    lines[mutant.line_no - 1] = mutant.new
    broken = "\n".join(lines) + "\n"
    whole = Path.read_text

    def read_text(self: Path, *args: str, **options: str) -> str:
        return broken if self == path else whole(self, *args, **options)

    assert resources.files("enforcement") / "lua" == LUA
    Path.read_text = read_text  # type: ignore[method-assign, assignment]
    for script in ("RESERVE", "DISPATCHED", "SETTLE", "RELEASE", "EXPIRE", "RENEW"):
        fresh = calls.Script(script.lower())
        getattr(hold_calls, script).__dict__.update(fresh.__dict__)
    Path.read_text = whole  # type: ignore[method-assign]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        return int(pytest.main(["-x", "-q", "-p", "no:randomly", "-p", "no:cacheprovider", *TESTS]))


def main() -> None:
    names = sys.argv[1:] or list(FILES)
    with contextlib.redirect_stdout(io.StringIO()):
        pytest.main(["--collect-only", "-q", *TESTS])  # so that every child finds the modules imported
    from tests.plugin import VALKEY  # not before pytest has had it

    VALKEY.start()
    assert survives(Mutant("reserve", 1, "#!lua", "#!lua")), "the tests must pass on the scripts as they are"
    survivors = tried = 0
    for mutant in mutants(names):
        tried += 1
        if survives(mutant):
            survivors += 1
            sys.stdout.write(
                f"{mutant.name}:{mutant.line_no}\n  - {mutant.old.strip()}\n  + {mutant.new.strip()}\n"
            )
            sys.stdout.flush()
    VALKEY.stop()
    sys.stdout.write(f"{survivors} of {tried} mutants survive\n")


if __name__ == "__main__":
    main()
