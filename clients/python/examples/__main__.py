"""Run examples by name, or all: ``FAREBOX_URL=… FAREBOX_API_KEY=fbx_ak_test_… python examples holds usage``."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from pathlib import Path

from farebox import Farebox

HERE = Path(__file__).parent


def main(named: list[str]) -> int:
    """Run examples one after the other. Returns: how many failed."""
    names = named or sorted(path.stem for path in HERE.glob("[!_]*.py"))
    failed = 0
    with Farebox(os.environ["FAREBOX_API_KEY"], base_url=os.environ["FAREBOX_URL"]) as client:
        for name in names:
            print(f"== {name}")
            try:
                importlib.import_module(name).run(client)
            except Exception:  # noqa: BLE001  one example must not hide the others
                traceback.print_exc()
                failed += 1
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
