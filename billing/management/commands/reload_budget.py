"""``manage.py reload_budget BUDGET``: set what a budget has spent from the ledger, after a drift was understood."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from billing.errors import BillingError
from billing.ledger.reloading import Reloaded, reload_budget
from enforcement.errors import EnforcementUnavailable
from metering.money import format_usd
from tenants.actions.bootstrapping import OPERATOR
from tenants.models import Budget
from tenants.publishing import shared_control


class Command(BaseCommand):
    """Set a budget's spent from the ledger; audited."""

    help = "Set what a budget has spent, in every window, from the ledger. Audited; prints before and after."

    def add_arguments(self, parser: CommandParser) -> None:
        """Say what the command takes."""
        parser.add_argument("budget", metavar="BUDGET", help="its id: bud_…")

    def handle(self, *args: Any, **options: Any) -> None:
        """Reload it, or say why it could not be."""
        budget = Budget.objects.select_related("tenant").filter(pk=options["budget"]).first()
        if budget is None or budget.archived_at is not None:
            raise CommandError(f"no budget {options['budget']} is in force")
        try:
            done = reload_budget(budget, actor=OPERATOR, control=shared_control())
        except (EnforcementUnavailable, BillingError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write("\n".join(_lines(budget, done)))


def _lines(budget: Budget, done: Reloaded) -> list[str]:
    windows = sorted({*done.before, *done.after})
    lines = [f"{budget.pk} of {budget.tenant} in mode {budget.mode}: spent, before and after"]
    for window_id in windows:
        before, after = done.before.get(window_id), done.after.get(window_id)
        lines.append(f"  {window_id:20} {_usd(before):>16} {_usd(after):>16}")
    return lines if windows else [*lines, "  nothing was spent in any window"]


def _usd(amount_nanousd: int | None) -> str:
    return "not loaded" if amount_nanousd is None else f"${format_usd(amount_nanousd)}"
