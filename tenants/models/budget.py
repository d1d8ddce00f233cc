"""Budget: a limit in dollars for a scope over a window. Its balance is Redis's, its history the ledger's."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from metering.ids import derived_id
from metering.money import LIMIT_NANOUSD_MAX
from metering.windows import WindowSpec
from tenants.ids import new_budget_id
from tenants.models.scoping import Mode, ScopedQuerySet


class BudgetQuerySet(ScopedQuerySet["Budget"]):
    """Budgets by what they limit."""

    def in_force(self) -> BudgetQuerySet:
        """Budgets that are not archived."""
        return self.filter(archived_at__isnull=True)


class Budget(models.Model):
    """A limit in dollars for a scope over a window; ``version`` is that of its limit."""

    class Scope(models.TextChoices):
        """What is limited."""

        TENANT = "tenant"
        CUSTOMER = "customer"
        KEY = "key"
        RUN = "run"
        TAG = "tag"
        MODEL = "model"

    class WindowKind(models.TextChoices):
        """The span it covers."""

        DAY = "day"
        WEEK = "week"
        MONTH = "month"
        ANNIVERSARY = "anniversary"
        TOTAL = "total"

    class Measure(models.TextChoices):
        """What it counts: our cost or the customer's charge."""

        COST = "cost"
        CHARGE = "charge"

    class OnExhaustion(models.TextChoices):
        """What happens to a call that does not fit."""

        REFUSE = "refuse"
        CLAMP = "clamp"
        GROW = "grow"

    id = models.CharField(primary_key=True, max_length=32, default=new_budget_id, editable=False)
    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.PROTECT, related_name="budgets")
    mode = models.CharField(max_length=4, choices=Mode.choices)
    scope = models.CharField(max_length=8, choices=Scope.choices)
    customer = models.ForeignKey(
        "tenants.Customer", on_delete=models.PROTECT, null=True, blank=True, related_name="budgets"
    )
    key = models.ForeignKey(
        "tenants.Key", on_delete=models.PROTECT, null=True, blank=True, related_name="budgets"
    )
    # The run, tag or model glob that a budget of such a scope limits.
    subject = models.CharField(max_length=200, blank=True, default="")
    name = models.CharField(max_length=200, blank=True)
    window_kind = models.CharField(max_length=16, choices=WindowKind.choices)
    zone = models.CharField(max_length=64)
    anchor_day = models.SmallIntegerField(default=1)
    limit_nanousd = models.BigIntegerField()
    measure = models.CharField(max_length=8, choices=Measure.choices)
    on_exhaustion = models.CharField(max_length=8, choices=OnExhaustion.choices, default=OnExhaustion.REFUSE)
    # Asked to count what the window had used before the budget was made.
    count_so_far = models.BooleanField(default=False)
    # What sets its limit instead of people: "prepaid", "dunning"; empty = people do.
    kept_by = models.CharField(max_length=16, blank=True, default="")
    version = models.BigIntegerField()
    archived_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects: ClassVar[BudgetQuerySet] = BudgetQuerySet.as_manager()  # type: ignore[assignment]  # a manager acts as its QuerySet

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [models.Index(fields=["tenant", "mode", "-created_at"], name="budget_newest")]
        constraints = [
            models.CheckConstraint(condition=Q(mode__in=["test", "live"]), name="budget_mode"),
            models.CheckConstraint(
                condition=Q(limit_nanousd__range=(0, int(LIMIT_NANOUSD_MAX))), name="budget_limit_fits_lua"
            ),
            models.CheckConstraint(condition=Q(anchor_day__range=(1, 31)), name="budget_anchor_day"),
            models.CheckConstraint(condition=Q(measure__in=["cost", "charge"]), name="budget_measure"),
            models.CheckConstraint(
                condition=Q(window_kind__in=["day", "week", "month", "anniversary", "total"]),
                name="budget_window",
            ),
            models.CheckConstraint(
                condition=Q(on_exhaustion__in=["refuse", "clamp", "grow"]), name="budget_on_exhaustion"
            ),
            models.CheckConstraint(
                condition=Q(scope="tenant", customer__isnull=True, key__isnull=True)
                | Q(scope="customer", customer__isnull=False, key__isnull=True)
                | Q(scope="key", customer__isnull=True, key__isnull=False)
                | (Q(scope__in=["run", "tag", "model"], key__isnull=True) & ~Q(subject="")),
                name="budget_scope_and_target",
            ),
        ]

    def __str__(self) -> str:
        return self.name or f"{self.scope} per {self.window_kind}"

    @property
    def window(self) -> WindowSpec:
        """The budget's window as metering knows it."""
        return WindowSpec(self.window_kind, self.zone, self.anchor_day)  # type: ignore[arg-type]  # a CHECK holds it

    @staticmethod
    def default_id_for(tenant_id: str, mode: str, external_id: str) -> str:
        """The id that the proxy, too, would give a first-seen customer's budget."""
        return derived_id("bud", tenant_id, mode, external_id, "default")
