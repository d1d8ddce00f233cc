"""`make month`: live through the full month and write its tables into docs/proof.md."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROOF = ROOT / "docs" / "proof.md"
BEGIN, END = "<!-- month: begin -->", "<!-- month: end -->"


def main() -> int:
    """Run the full form; write its tables when every claim held."""
    with tempfile.TemporaryDirectory() as folder:
        tables = Path(folder) / "tables.md"
        started = time.monotonic()
        command = [sys.executable, "-m", "pytest", "tests/month", "-q", "-s", "-m", "month", *sys.argv[1:]]
        code = subprocess.run(
            command, cwd=ROOT, env={**os.environ, "FAREBOX_MONTH_TABLE": str(tables)}, check=False
        ).returncode
        sys.stdout.write(f"{time.monotonic() - started:.0f} s\n")
        if code == 0:
            write(tables.read_text(encoding="utf-8"))
        return code


def write(text: str) -> None:
    """Put tables between the markers of the page."""
    page = PROOF.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    PROOF.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
