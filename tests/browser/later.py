"""`python -m tests.browser.later SECONDS COMMAND …`: one of our commands on a clock that is ahead.

An hour that is over is what is sealed, and a month that is over what is invoiced; a journey has a minute. Besides the
management commands there is ``invoices``, which does what invoices near a period's edge ask for.
"""

from __future__ import annotations

import os
import sys
from datetime import timedelta

import django
from django.core.management import execute_from_command_line
from django.utils import timezone

from tenants.reach import work_over_all_tenants


def main() -> None:
    """Move the clock of this process alone, and run the command."""
    ahead, really = timedelta(seconds=float(sys.argv[1])), timezone.now
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    timezone.now = lambda: really() + ahead
    work_over_all_tenants()
    command = sys.argv[2:]
    if command != ["invoices"]:
        execute_from_command_line(["manage.py", *command])
        return
    django.setup()
    from billing.stripe.invoices import poll_invoices

    sys.stdout.write(f"looked at: {poll_invoices(timezone.now())}\n")


if __name__ == "__main__":
    main()
