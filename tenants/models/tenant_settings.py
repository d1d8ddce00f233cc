"""TenantSettings: what holds for every call of a tenant in one mode.

One row per mode, so that nothing a test key does can move live money. The row's lock guards the tenant's policy:
whoever changes the settings, a provider account, a price or a tenant-wide budget takes it first.
"""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from metering.money import LIMIT_NANOUSD_MAX
from tenants.models.scoping import Mode, ScopedQuerySet


class TenantSettings(models.Model):
    """What holds for every call of a tenant in one mode; ``version`` is that of its published policy."""

    class UnknownCustomer(models.TextChoices):
        """What a server key may do with a customer nobody has seen."""

        REFUSE = "refuse"
        DEFAULT_BUDGET = "default_budget"

    class MarginGuard(models.TextChoices):
        """What becomes of a call that a customer is charged less for than it costs."""

        OFF = "off"
        WARN = "warn"
        REFUSE = "refuse"

    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.PROTECT, related_name="settings")
    mode = models.CharField(max_length=4, choices=Mode.choices)
    version = models.BigIntegerField()
    output_cap_plain = models.IntegerField(default=4096)
    output_cap_reasoning = models.IntegerField(default=32768)
    output_minimum = models.IntegerField(default=256)
    require_hard_bound = models.BooleanField(default=False)
    margin_guard = models.CharField(max_length=8, choices=MarginGuard.choices, default=MarginGuard.OFF)
    # {kind: tokens}: what stands for a part of a request that nobody can bound, see metering.allowances.
    allowances = models.JSONField(default=dict, blank=True)
    # {alias: model}: names of the tenant's own for models, see tenants.actions.model_aliases.
    model_aliases = models.JSONField(default=dict, blank=True)
    drain_seconds = models.IntegerField(default=60)
    requests_per_minute = models.IntegerField(default=0)
    burst = models.IntegerField(default=0)
    in_flight_max = models.IntegerField(default=0)
    arrivals_per_hour_max = models.IntegerField(default=1000)
    unknown_customer = models.CharField(max_length=16, choices=UnknownCustomer.choices, default="refuse")
    # The template of a new customer's budget; no limit = new customers get none.
    default_limit_nanousd = models.BigIntegerField(null=True, blank=True)
    default_window_kind = models.CharField(max_length=16, default="month")
    default_zone = models.CharField(max_length=64, blank=True, default="")
    default_measure = models.CharField(max_length=8, default="charge")
    default_on_exhaustion = models.CharField(max_length=8, default="refuse")
    markup_bp = models.IntegerField(default=0)
    markup_fixed_nanousd = models.BigIntegerField(default=0)
    # [{"model": glob, "markup_bp": int, "markup_fixed_nanousd": int}], the first match rules.
    markup_models = models.JSONField(default=list, blank=True)
    # A model is stopped for the tenant once so many calls of a UTC day cost more than their quotes, and they are at
    # least this share of the day's calls; a count of 0 = never.
    overrun_stop_count = models.IntegerField(default=10)
    overrun_stop_share_bp = models.IntegerField(default=100)
    updated_at = models.DateTimeField(auto_now=True)

    objects: ClassVar[models.Manager[TenantSettings]] = ScopedQuerySet["TenantSettings"].as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant", "mode"], name="settings_tenant_mode"),
            models.CheckConstraint(
                condition=models.Q(default_limit_nanousd__isnull=True)
                | models.Q(default_limit_nanousd__range=(0, int(LIMIT_NANOUSD_MAX))),
                name="settings_default_limit",
            ),
            models.CheckConstraint(
                condition=models.Q(unknown_customer="refuse") | models.Q(default_limit_nanousd__isnull=False),
                name="settings_default_budget_present",
            ),
            models.CheckConstraint(
                condition=models.Q(
                    output_cap_plain__gte=1, output_cap_reasoning__gte=1, output_minimum__gte=1
                ),
                name="settings_output_caps",
            ),
            models.CheckConstraint(
                condition=models.Q(margin_guard__in=["off", "warn", "refuse"]), name="settings_margin_guard"
            ),
            models.CheckConstraint(
                condition=models.Q(markup_bp__gte=-10_000, markup_fixed_nanousd__gte=0),
                name="settings_markup",
            ),
            models.CheckConstraint(
                condition=models.Q(overrun_stop_count__gte=0, overrun_stop_share_bp__range=(0, 10_000)),
                name="settings_overrun_stop",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.tenant_id} ({self.mode})"

    @property
    def zone_of_default_budget(self) -> str:
        """The zone of a new customer's budget: its own, else the tenant's."""
        return self.default_zone or self.tenant.zone
