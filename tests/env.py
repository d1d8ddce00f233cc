"""Run a command with an environment good enough to import the settings: for mypy and the like, no server started.

Usage: python -m tests.env COMMAND [ARGUMENT …]
"""

from __future__ import annotations

import os
import sys

PLACEHOLDERS = {
    "DATABASE_URL": "postgresql://farebox_app@/farebox?host=/nowhere",
    "DATABASE_OWNER_URL": "postgresql://farebox_owner@/farebox?host=/nowhere",
    "DATABASE_RECORDER_URL": "postgresql://farebox_recorder@/farebox?host=/nowhere",
    "REDIS_URL": "redis://127.0.0.1:1/0",
    "FAREBOX_ENV": "development",
    "FAREBOX_SECRET_KEYS": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
}

if __name__ == "__main__":
    os.execvpe(sys.argv[1], sys.argv[1:], {**os.environ, **PLACEHOLDERS})  # our own command line
