"""StripeEvent: the inbox of what Stripe tells. An event is a hint to look again; what it says of itself is not kept."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models.functions import Now

from tenants.models.scoping import Mode, ScopedQuerySet


class StripeEvent(models.Model):
    """One event of a connection, taken in once however often it is sent; of its body only what it is about."""

    class Shape(models.TextChoices):
        """Of the v1 namespace, with an object in it, or of the v2 namespace, with a name of one."""

        SNAPSHOT = "snapshot"
        THIN = "thin"

    class Outcome(models.TextChoices):
        """Empty = it waits. ``failed``: tried for days; somebody has to look."""

        DONE = "done"
        IGNORED = "ignored"
        FAILED = "failed"

    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.PROTECT, related_name="+")
    mode = models.CharField(max_length=4, choices=Mode.choices)
    connection = models.ForeignKey(
        "billing.StripeConnection", on_delete=models.PROTECT, related_name="events"
    )
    event_id = models.CharField(max_length=255)
    shape = models.CharField(max_length=8, choices=Shape.choices)
    kind = models.CharField(max_length=120)
    object_id = models.CharField(max_length=255, blank=True)
    # webhook | poll
    via = models.CharField(max_length=8)
    received_at = models.DateTimeField(db_default=Now())
    due_at = models.DateTimeField(db_default=Now())
    attempts = models.IntegerField(default=0)
    handled_at = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=8, blank=True, default="")
    why = models.CharField(max_length=200, blank=True, default="")

    objects: ClassVar[models.Manager[StripeEvent]] = ScopedQuerySet["StripeEvent"].as_manager()

    class Meta:
        db_table = "stripe_event"
        ordering = ["-received_at", "-id"]
        indexes = [
            models.Index(fields=["due_at"], condition=models.Q(handled_at=None), name="stripe_event_due"),
            models.Index(fields=["handled_at"], name="stripe_event_handled"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["connection", "event_id"], name="stripe_event_once"),
            models.CheckConstraint(condition=models.Q(mode__in=["test", "live"]), name="stripe_event_mode"),
            models.CheckConstraint(
                condition=models.Q(outcome__in=["", "done", "ignored", "failed"]), name="stripe_event_outcome"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.event_id} {self.kind}"


class HookRefusal(models.Model):
    """How many deliveries were refused, by reason. Bodies are not kept, nor who sent them."""

    reason = models.CharField(primary_key=True, max_length=16)
    count = models.BigIntegerField(default=0)

    class Meta:
        db_table = "hook_refusal"

    def __str__(self) -> str:
        return f"{self.reason}: {self.count}"


class ReportedSpan(models.Model):
    """A span in which Stripe did not count some events. It names samples only, so all pushes of it are looked at."""

    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.PROTECT, related_name="+")
    mode = models.CharField(max_length=4, choices=Mode.choices)
    connection = models.ForeignKey("billing.StripeConnection", on_delete=models.PROTECT, related_name="+")
    event_id = models.CharField(max_length=255)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    error_count = models.IntegerField()
    sampled_count = models.IntegerField()
    # When every push of it was found to be counted or not.
    settled_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects: ClassVar[models.Manager[ReportedSpan]] = ScopedQuerySet["ReportedSpan"].as_manager()

    class Meta:
        db_table = "reported_span"
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["connection", "event_id"], name="reported_span_once"),
            models.CheckConstraint(condition=models.Q(mode__in=["test", "live"]), name="reported_span_mode"),
        ]

    def __str__(self) -> str:
        return f"{self.event_id} {self.starts_at} to {self.ends_at}"
