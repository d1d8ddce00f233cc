"""`make mutate`: break the pricing engine one small change at a time and see how many changes its tests notice.

mutmut is installed into an environment of its own in a temporary folder (never from the lock) that sees this one's
packages. Without it, because there is no network, this says so and passes. Fails below 90 % killed.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import venv
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ENGINE = ("money", "rates", "cost", "quote")
TESTS = (
    *("money", "rates", "cost", "quote", "quote_parts", "prices", "price_book"),
    *("answered_prices", "gemini_usage", "base_prices", "evasions"),
)
KILLED_PERCENT_MIN = 90
MINUTES_MAX = 20
_RESULT = re.compile(r"^\s*(\S+): (.+)$", re.MULTILINE)
_CONFIGURATION = """\
[tool.mutmut]
source_paths = ["metering"]
only_mutate = [{engine}]
pytest_add_cli_args_test_selection = [{tests}]
pytest_add_cli_args = ["-p", "no:randomly", "-p", "no:django", "-p", "no:xdist", "--hypothesis-seed=0"]
[tool.pytest.ini_options]
asyncio_mode = "auto"
markers = ["property", "proof", "chaos"]
"""


def install(folder: Path) -> Path | None:
    """Make mutmut's environment; None where it cannot be had."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    done = subprocess.run(
        [python, "-m", "pip", "install", "-q", "mutmut>=3.8,<4"], capture_output=True, check=False
    )
    if done.returncode:
        sys.stderr.write(done.stderr.decode(errors="replace")[-800:] + "\n")
        return None
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    link = folder / "lib" / version / "site-packages" / "farebox.pth"
    link.write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin" / "mutmut"


def copy_engine(folder: Path) -> None:
    """Copy what is changed and what judges it: neither needs a server."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "metering", folder / "metering", ignore=ignored)
    shutil.copytree(ROOT / "tests" / "metering", folder / "tests" / "metering", ignore=ignored)
    (folder / "tests" / "__init__.py").touch()
    tests = [f"tests/metering/test_{name}.py" for name in TESTS]
    configuration = _CONFIGURATION.format(
        engine=", ".join(f'"metering/{name}.py"' for name in ENGINE),
        tests=", ".join(f'"{test}"' for test in tests if (folder / test).exists()),
    )
    (folder / "pyproject.toml").write_text(configuration)


def judge(mutmut: Path, folder: Path) -> Counter[str]:
    """Run every mutant, print the ones that lived, return how many met which end."""
    run = [mutmut, "run", "--max-children", str(os.cpu_count() or 1)]
    done = subprocess.run(run, cwd=folder, capture_output=True, timeout=MINUTES_MAX * 60, check=False)
    if done.returncode:
        sys.stderr.write(done.stdout.decode(errors="replace")[-3000:] + "\n")
        raise SystemExit(1)
    told = subprocess.run(
        [mutmut, "results", "--all", "true"], cwd=folder, capture_output=True, text=True, check=True
    ).stdout
    ends = Counter[str]()
    for name, end in _RESULT.findall(told):
        ends[end] += 1
        if end not in ("killed", "timeout", "caught by type check"):
            shown = subprocess.run(
                [mutmut, "show", name], cwd=folder, capture_output=True, text=True, check=False
            )
            lines = [line for line in shown.stdout.splitlines() if re.match(r"[-+](?![-+])", line)]
            sys.stdout.write("\n".join([f"{end}: {name}", *lines]) + "\n")
    return ends


def main() -> int:
    """Mutate and judge."""
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    with tempfile.TemporaryDirectory(prefix="farebox-mutants-") as place:
        mutmut = install(Path(place) / "environment")
        if mutmut is None:
            sys.stdout.write("SKIPPED: mutmut cannot be installed here\n")
            return 0
        folder = Path(place) / "copy"
        folder.mkdir()
        copy_engine(folder)
        ends = judge(mutmut, folder)
    killed = sum(ends[end] for end in ("killed", "timeout", "caught by type check"))
    percent = 100 * killed / ends.total() if ends.total() else 0.0
    sys.stdout.write(f"{killed} of {ends.total()} mutants killed ({percent:.1f} %): {dict(ends)}\n")
    return int(percent < KILLED_PERCENT_MIN)


if __name__ == "__main__":
    sys.exit(main())
