"""The command line: `python -m simulators.replay --port 9200 --data /path/to/recordings`."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import uvicorn

from simulators.replay.app import Replay

_EXIT_REFUSED = 2


def main() -> int:
    """Serve until told to stop; refuse to start in production, where no answer may come from a recording."""
    if os.environ.get("FAREBOX_ENV", "").strip().lower() == "production":
        sys.stderr.write("simulators.replay: refusing to start with FAREBOX_ENV=production\n")
        return _EXIT_REFUSED
    parser = argparse.ArgumentParser(prog="python -m simulators.replay", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="port on 127.0.0.1")
    parser.add_argument("--data", type=Path, required=True, help="folder of the recorded rows")
    options = parser.parse_args()
    replay = Replay(options.data)
    uvicorn.run(
        replay, host="127.0.0.1", port=options.port, lifespan="off", access_log=False, log_level="warning"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
