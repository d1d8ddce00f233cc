"""Loaded by pytest before Django reads its settings: says where this run's servers will be.

The servers themselves start when the first test asks for them (see conftest). Two runs may go side by side.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from config.devservers import Postgres, Valkey
from config.secretkey import make_secret_key

HOME = Path(tempfile.mkdtemp(prefix="farebox-tests-"))
POSTGRES = Postgres(HOME / "postgres")
VALKEY = Valkey(HOME / "valkey")

os.environ.update(
    POSTGRES.environment,
    REDIS_URL=VALKEY.url,
    FAREBOX_ENV="development",
    FAREBOX_HOME=str(HOME),
    FAREBOX_SECRET_KEYS=make_secret_key(),
    FAREBOX_ALLOW_PRIVATE_UPSTREAMS="127.0.0.1:*",
    FAREBOX_LOG_LEVEL="WARNING",
    FAREBOX_DATA=os.environ.get("FAREBOX_DATA", str(Path(__file__).parents[2] / "shared" / "data")),
)
