"""How long the ledger's proof takes: `python -m benchmarks.ledger_chain [ROWS]`. Starts servers of its own.

A million rows come in through the recorder's own hand on the books, in its own batches; then the chains are verified,
one byte of one row is changed as the database's owner, and they are verified again: the row must be named.
"""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.recorder import CUSTOMERS_PER_TENANT, MODELS
from config.devservers import Postgres
from config.secretkey import make_secret_key

TENANTS = 4  # of one, a chain is as long as can be; of many, as many as can be
ROWS_PER_BATCH = 4_000


def main() -> None:
    """Book, verify, tamper, verify, print figures."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    home = Path(tempfile.mkdtemp(prefix="farebox-bench-"))
    postgres = Postgres(home / "postgres")
    os.environ.update(
        postgres.environment,
        REDIS_URL="redis://127.0.0.1:1",  # nothing here asks Redis
        FAREBOX_ENV="development",
        FAREBOX_SECRET_KEYS=make_secret_key(),
        DJANGO_SETTINGS_MODULE=os.environ.get("DJANGO_SETTINGS_MODULE", "config.settings"),
    )
    postgres.start()
    try:
        sys.stdout.write(json.dumps(measure(rows), indent=2) + "\n")
    finally:
        postgres.stop()
        shutil.rmtree(home, ignore_errors=True)


def measure(rows: int) -> dict[str, object]:
    """Do it all on a fresh database."""
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", database="owner", verbosity=0)

    from billing.ledger.verifying import Selected, verify
    from tenants.reach import work_over_all_tenants

    work_over_all_tenants()
    started = time.monotonic()
    event_ids = book(rows)
    booked_seconds = time.monotonic() - started
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.monotonic()
    whole = verify(Selected())
    whole_seconds = time.monotonic() - started
    victim = event_ids[len(event_ids) * 2 // 3]
    tamper(victim)
    started = time.monotonic()
    found = verify(Selected())
    return {
        "rows": whole.rows,
        "links": whole.links,
        "booking_seconds": round(booked_seconds, 1),
        "findings_when_whole": len(whole.findings),
        "verify_seconds": round(whole_seconds, 1),
        "verify_again_seconds": round(time.monotonic() - started, 1),
        "memory_grown_mib": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib) // 1024,
        "tampered": victim,
        "named": [[each.what, each.link, each.event_id] for each in found.findings],
    }


def book(rows: int) -> list[str]:
    """Book rows as the recorder does, without a stream; returns every hundredth event id."""
    from billing.ledger.books import Batch, Books
    from billing.ledger.rows import read_entry
    from billing.management.commands.recorder import books_parameters

    books = Books(books_parameters())
    books.connect()
    kept: list[str] = []
    batch = Batch()
    for number, (fields, shard) in enumerate(entries(rows)):
        reading = read_entry(fields, shard)
        assert reading.values is not None
        batch.rows.append(reading.values)
        if number % 100 == 0:
            kept.append(fields[b"event_id"].decode())
        if len(batch.rows) == ROWS_PER_BATCH or number == rows - 1:
            books.book(batch)
            batch = Batch()
    books.close()
    return kept


def entries(rows: int) -> Iterator[tuple[dict[bytes, bytes], int]]:
    """Stream entries as settle.lua writes them, with the shard of each."""
    from metering.events import EventBody, encode_body
    from metering.ids import make_event_id, make_hold_id, make_id, shard_of

    chance = random.Random(7)
    tenants = [make_id("ten", chance.getrandbits(80)) for _ in range(TENANTS)]
    now_ms = int(time.time() * 1000)
    for number in range(rows):
        tenant_id = chance.choice(tenants)
        customer = chance.randrange(CUSTOMERS_PER_TENANT)
        born_ms = now_ms - 600_000 + number * 600_000 // rows
        hold_id = make_hold_id(born_ms, chance.getrandbits(80))
        body = EventBody(
            request_id=make_id("req", chance.getrandbits(80)), attempt=1, key_id=f"key_{customer:016d}",
            customer_id=f"cus_{customer:016d}", account_id="acc_0000000000000001", provider="openai",
            dialect="openai", model=chance.choice(MODELS), price_id="pri_0000000000000001", bound_class="exact",
            quoted_input_tokens=1_000, started_ms=born_ms, ended_ms=born_ms + 900, quote_cost_nanousd=9_000_000,
            quote_charge_nanousd=9_900_000, output_cap=4_096, output_cap_source="default", markup_bp=1_000,
            stream=True, upstream_status=200, upstream_request_id="req-upstream-0123456789", end="complete",
            usage={"input": 900, "cache_read": 100, "output": 210, "reasoning": 64},
        )  # fmt: skip
        fields = {
            "event_id": make_event_id(hold_id, "settled"), "kind": "settled", "basis": "reported",
            "tenant_id": tenant_id, "mode": "live", "cost": 1_000_000, "charge": 1_100_000, "epoch": 1,
            "seq": number + 1, "at_ms": born_ms + 1_000, "corrects": "",
            "draws": f"bud_{customer:016d}:month-1793491200:charge,bud_tenant0000000000:day-1794960000:cost",
        }  # fmt: skip
        entry = {name.encode(): str(value).encode() for name, value in fields.items()}
        yield entry | {b"body": encode_body(body)}, shard_of(tenant_id)


def tamper(event_id: str) -> None:
    """Change one letter of one row, as only the database's owner can."""
    from django.db import connections

    with connections["owner"].cursor() as cursor:
        cursor.execute("ALTER TABLE ledger_row DISABLE TRIGGER append_only")
        cursor.execute("UPDATE ledger_row SET model = reverse(model) WHERE event_id = %s", [event_id])
        cursor.execute("ALTER TABLE ledger_row ENABLE TRIGGER append_only")


if __name__ == "__main__":
    main()
