"""How many events a second one recorder books: `python -m benchmarks.recorder [EVENTS]`. Starts servers of its own.

The streams are filled first, then drained: what is measured is the recorder with PostgreSQL, at full backlog.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

from config.devservers import Postgres, Valkey
from config.secretkey import make_secret_key

TENANTS = 40
CUSTOMERS_PER_TENANT = 50
MODELS = ("gpt-4o-mini", "gpt-5", "claude-sonnet-4-5", "gemini-2.5-flash")


def main() -> None:
    """Fill, drain, print figures."""
    events = int(sys.argv[1]) if len(sys.argv) > 1 else 40_000
    home = Path(tempfile.mkdtemp(prefix="farebox-bench-"))
    postgres, valkey = Postgres(home / "postgres"), Valkey(home / "valkey")
    os.environ.update(
        postgres.environment,
        REDIS_URL=valkey.url,
        FAREBOX_ENV="development",
        FAREBOX_SECRET_KEYS=make_secret_key(),
        DJANGO_SETTINGS_MODULE=os.environ.get("DJANGO_SETTINGS_MODULE", "config.settings"),
    )
    postgres.start()
    valkey.start()
    try:
        sys.stdout.write(json.dumps(measure(events, valkey.url), indent=2) + "\n")
    finally:
        postgres.stop()
        valkey.stop()
        shutil.rmtree(home, ignore_errors=True)


def measure(events: int, redis_url: str) -> dict[str, object]:
    """Migrate, fill the streams, drain them and compare the sums."""
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", database="owner", verbosity=0)

    from billing.ledger.books import Books
    from billing.ledger.feed import Feed
    from billing.ledger.overload import Watermarks
    from billing.ledger.recorder import Recorder
    from billing.management.commands.recorder import books_parameters
    from enforcement.control_client import ControlClient
    from metering.ids import SHARDS

    client = ControlClient(redis_url)
    fill(client.redis, events)
    recorder = Recorder(
        Books(books_parameters()), Feed(client), shards=range(SHARDS), watermarks=Watermarks()
    )
    cpu, started = time.process_time(), time.monotonic()
    recorder.drain()
    seconds, cpu_seconds = time.monotonic() - started, time.process_time() - cpu
    backend_seconds = backend_cpu_seconds()
    recorder.close()
    return {
        "events": recorder.figures.entries,
        "rows": recorder.figures.rows,
        "dead_letters": recorder.figures.dead_letters,
        "transactions": recorder.figures.transactions,
        "seconds": round(seconds, 2),
        "events_per_second": round(events / seconds),
        "recorder_cpu_seconds": round(cpu_seconds, 2),
        "postgres_backend_cpu_seconds": round(backend_seconds, 2),
        # What one core can carry, whatever else the machine was doing: both sides' work together.
        "events_per_cpu_second_of_both": round(events / (cpu_seconds + backend_seconds)),
    }


def backend_cpu_seconds() -> float:
    """What the recorder's PostgreSQL backend has used so far (Linux)."""
    from django.db import connections

    with connections["recorder"].cursor() as cursor:
        cursor.execute("SELECT pid FROM pg_stat_activity WHERE application_name = 'farebox-recorder'")
        [(pid,)] = cursor.fetchall()
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def fill(client: object, events: int) -> None:
    """Append events as the scripts do."""
    from enforcement.keys import shard_key, usage_key
    from metering.events import EventBody, encode_body
    from metering.ids import make_event_id, make_hold_id, make_id, shard_of

    chance = random.Random(7)
    tenants = [make_id("ten", chance.getrandbits(80)) for _ in range(TENANTS)]
    now_ms = int(time.time() * 1000)
    pipeline = client.pipeline(transaction=False)  # type: ignore[attr-defined]
    for number in range(events):
        tenant_id = chance.choice(tenants)
        customer = chance.randrange(CUSTOMERS_PER_TENANT)
        born_ms = now_ms - 600_000 + number * 600_000 // events
        hold_id = make_hold_id(born_ms, chance.getrandbits(80))
        body = EventBody(
            request_id=make_id("req", chance.getrandbits(80)), attempt=1, key_id=f"key_{customer:016d}",
            customer_id=f"cus_{customer:016d}", account_id="acc_0000000000000001", provider="openai",
            dialect="openai", model=chance.choice(MODELS), price_id="pri_0000000000000001", bound_class="exact",
            quoted_input_tokens=1_000, started_ms=born_ms, ended_ms=born_ms + 900, quote_cost_nanousd=9_000_000,
            quote_charge_nanousd=9_900_000, output_cap=4_096, output_cap_source="default", markup_bp=1_000,
            response_model="gpt-4o-mini-2024-07-18", stream=True, upstream_status=200,
            upstream_request_id="req-upstream-0123456789", end="complete",
            tags={"feature": chance.choice(("search", "chat", "digest")), "env": "prod"},
            usage={"input": 900, "cache_read": 100, "output": 210, "reasoning": 64},
        )  # fmt: skip
        fields = {
            "v": 1, "event_id": make_event_id(hold_id, "settled"), "kind": "settled", "basis": "reported",
            "hold_id": hold_id, "tenant_id": tenant_id, "mode": "live", "cost": 1_000_000, "charge": 1_100_000,
            "epoch": 1, "seq": number + 1, "at_ms": born_ms + 1_000, "corrects": "",
            "draws": f"bud_{customer:016d}:month-1793491200:charge,bud_tenant0000000000:day-1794960000:cost,"
            f"bud_key{customer:013d}:day-1794960000:charge",
            "body": encode_body(body),
        }  # fmt: skip
        pipeline.xadd(usage_key(shard_of(tenant_id)), fields)
        if number % 1000 == 999:
            pipeline.execute()
    pipeline.execute()
    for tenant_id in tenants:
        client.hset(shard_key(shard_of(tenant_id)), mapping={"state": "open", "epoch": 1, "seq": events})  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
