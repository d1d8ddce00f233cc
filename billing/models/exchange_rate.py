"""ExchangeRate: what a dollar is in another currency, from a day on."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from tenants.models.scoping import Mode, ScopedQuerySet


class ExchangeRate(models.Model):
    """A tenant's rate of one currency, in force from its day until the next. One a day, and never changed."""

    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.PROTECT, related_name="exchange_rates")
    mode = models.CharField(max_length=4, choices=Mode.choices)
    currency = models.CharField(max_length=3)
    day = models.DateField()
    # Billionths of the currency per dollar: 150 yen are 150_000_000_000.
    rate_nano = models.BigIntegerField()
    created_at = models.DateTimeField(auto_now_add=True)

    objects: ClassVar[models.Manager[ExchangeRate]] = ScopedQuerySet["ExchangeRate"].as_manager()

    class Meta:
        db_table = "exchange_rate"
        ordering = ["currency", "-day"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "mode", "currency", "day"], name="exchange_rate_a_day"),
            models.CheckConstraint(condition=models.Q(mode__in=["test", "live"]), name="exchange_rate_mode"),
            models.CheckConstraint(
                condition=models.Q(currency__regex=r"^[a-z]{3}$") & ~models.Q(currency="usd"),
                name="exchange_rate_currency",
            ),
            models.CheckConstraint(condition=models.Q(rate_nano__gt=0), name="exchange_rate_above_zero"),
        ]

    def __str__(self) -> str:
        return f"{self.currency} {self.day}: {self.rate_nano}"
