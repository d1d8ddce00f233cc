"""``manage.py push --once``: seal, let go and send what is due by hand, at the pace the sinks allow."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from collections import Counter
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from billing.pushing.dispatching import push_one, sendable
from billing.pushing.releasing import release_ready
from billing.pushing.sealing import seal_all

PACE_SECONDS = 0.2
ROUNDS_MAX = 50


class Command(BaseCommand):
    """Pushing without Celery: for a first try, and for when the broker is away."""

    help = "Seal usage of hours that are over and send what is due, once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Say what may be given."""
        parser.add_argument(
            "--once", action="store_true", required=True, help="one run; beat does it for ever"
        )
        parser.add_argument("--no-seal", action="store_true", help="send only what is sealed already")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do one run and say what it did."""
        if not options["no_seal"]:
            report = seal_all(timezone.now())
            self.stdout.write(f"sealed: {report.pushes} pushes of {report.customers} customers")
            for why, count in sorted(report.waiting.items()):
                self.stdout.write(f"waiting: {count} customers, {why}")
        self.stdout.write(f"released: {release_ready(timezone.now())}")
        for result, count in sorted(_send_all().items()):
            self.stdout.write(f"{result}: {count}")


def _send_all() -> Counter[str]:
    results: Counter[str] = Counter()
    for _ in range(ROUNDS_MAX):
        push_ids = list(sendable().values_list("pk", flat=True))
        if not push_ids:
            break
        for push_id in push_ids:
            result = push_one(push_id)
            while result == "paced":
                time.sleep(PACE_SECONDS)
                result = push_one(push_id)
                if result == "not_due":
                    result = "paced"
            results[result] += 1
    return results
