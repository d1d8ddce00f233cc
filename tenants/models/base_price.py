"""Base prices of the whole installation: what every price id meant, and which imported ones are in force from when.

Neither is ever changed: a ledger row of any age can be priced again by the id that stands on it.
"""

from __future__ import annotations

from django.db import models

PRICE_ID_CHARS_MAX = 256


class BasePrice(models.Model):
    """What one price id of a base book stands for, kept since a process with that book first ran here."""

    price_id = models.CharField(primary_key=True, max_length=PRICE_ID_CHARS_MAX)
    # The book's name: the installed package with its version, or an imported file by its digest.
    book = models.CharField(max_length=80)
    provider = models.CharField(max_length=40)
    model = models.CharField(max_length=200)
    service_tier = models.CharField(max_length=20, blank=True, default="")
    # {"rates", "tiers", "extras_nanousd", "per_request_nanousd"}, in nano-dollars as a tenant's own entries.
    document = models.JSONField()
    first_seen_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [
            models.Index(fields=["book"], name="base_price_book"),
            models.Index(fields=["provider", "model"], name="base_price_model"),
        ]

    def __str__(self) -> str:
        return self.price_id


class BasePriceEntry(models.Model):
    """An imported base price in force from an instant on, for every tenant without a price of its own."""

    price = models.ForeignKey(BasePrice, on_delete=models.PROTECT, related_name="entries")
    # Globs in lower case by which callers and providers spell the model.
    names = models.JSONField(default=list)
    from_at = models.DateTimeField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["from_at", "pk"]

    def __str__(self) -> str:
        return f"{self.price_id} from {self.from_at:%Y-%m-%d %H:%M}"
