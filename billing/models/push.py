"""Push: one value on its way to a sink. What it says is frozen; only where it stands changes."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from django.db import models
from django.db.models.functions import Now

from billing.models.stripe_meter import USAGE_LINE
from tenants.ids import new_id
from tenants.models.scoping import Mode, ScopedQuerySet

STATES = [
    "pending", "inflight", "accepted", "confirmed", "retry", "ambiguous", "held", "rejected", "failed", "void",
]  # fmt: skip


def new_push_id() -> str:
    """Make the id of a new push."""
    return new_id("psh")


class PushQuerySet(ScopedQuerySet["Push"]):
    """Reads of pushes."""

    def due(self) -> PushQuerySet:
        """What may be sent now by the database's clock, oldest stamp first."""
        return self.filter(state__in=Push.SENDABLE, due_at__lte=Now()).order_by("due_at", "stamp_at", "id")

    def counted(self) -> PushQuerySet:
        """What a period's sum has, or will have once it is sent."""
        return self.exclude(state__in=[Push.State.VOID, *Push.IN_DOUBT])


class Push(models.Model):
    """A value bound for a sink. Identifier, value, stamp and customer never change (PostgreSQL refuses it)."""

    class State(models.TextChoices):
        """Where it stands; ``billing.pushing.states`` says what each means and what comes next."""

        PENDING = "pending"
        INFLIGHT = "inflight"
        ACCEPTED = "accepted"
        CONFIRMED = "confirmed"
        RETRY = "retry"
        AMBIGUOUS = "ambiguous"
        HELD = "held"
        REJECTED = "rejected"
        FAILED = "failed"
        VOID = "void"

    class Sink(models.TextChoices):
        """Where pushes go."""

        STRIPE = "stripe"
        WEBHOOK = "webhook"

    SENDABLE = (State.PENDING, State.RETRY, State.INFLIGHT)
    IN_DOUBT = (State.AMBIGUOUS, State.REJECTED, State.FAILED)

    id = models.CharField(primary_key=True, max_length=32, default=new_push_id, editable=False)
    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.PROTECT, related_name="pushes")
    mode = models.CharField(max_length=4, choices=Mode.choices)
    customer = models.ForeignKey("tenants.Customer", on_delete=models.PROTECT, related_name="pushes")
    sink = models.CharField(max_length=8, choices=Sink.choices, default=Sink.STRIPE)
    connection = models.ForeignKey(
        "billing.StripeConnection", null=True, on_delete=models.PROTECT, related_name="pushes"
    )
    meter = models.ForeignKey(
        "billing.StripeMeter", null=True, on_delete=models.PROTECT, related_name="pushes"
    )
    destination = models.ForeignKey(
        "billing.PushDestination", null=True, on_delete=models.PROTECT, related_name="pushes"
    )
    # The meter's or the destination's id: what one push per minute is about.
    target_id = models.CharField(max_length=32)
    line = models.CharField(max_length=40, default=USAGE_LINE)
    currency = models.CharField(max_length=3)
    unit_minor = models.IntegerField()
    bucket_start = models.DateTimeField()
    bucket_end = models.DateTimeField()
    seq = models.IntegerField()
    identifier = models.CharField(max_length=100, unique=True)
    value_units = models.BigIntegerField()
    stamp_at = models.DateTimeField()
    minute_no = models.BigIntegerField()
    # Frozen with the first attempt; empty while held.
    stripe_customer_id = models.CharField(max_length=64, blank=True)
    # What it was worked out from: the rows' charge, and the customer's whole sum in atto of the currency after them.
    charge_nanousd = models.BigIntegerField()
    row_count = models.BigIntegerField()
    cumulative_atto = models.DecimalField(max_digits=60, decimal_places=0)
    recorded_from = models.DateTimeField(null=True)
    recorded_until = models.DateTimeField(null=True)
    # Where the usage really lies, if it was stamped later than that.
    late_from = models.DateTimeField(null=True)
    # Of two pushes of the same value, the one that counts; nothing is replaced twice.
    replaces = models.OneToOneField("self", null=True, on_delete=models.PROTECT, related_name="replaced_by")
    state = models.CharField(max_length=10, choices=State.choices)
    why = models.CharField(max_length=40, blank=True)
    detail = models.CharField(max_length=300, blank=True)
    attempts = models.IntegerField(default=0)
    due_at = models.DateTimeField(db_default=Now())
    # Which of Stripe's endpoints the first attempt went to: they know an identifier again for different spans.
    namespace = models.CharField(max_length=2, blank=True)
    first_attempt_at = models.DateTimeField(null=True)
    # An attempt may have arrived without our being told so.
    is_doubtful = models.BooleanField(default=False)
    accepted_at = models.DateTimeField(null=True)
    confirmed_at = models.DateTimeField(null=True)
    # Since when its minute was seen to be empty.
    absent_since = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=Now())

    objects: ClassVar[PushQuerySet] = PushQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        db_table = "push"
        ordering = ["-created_at", "-id"]
        indexes = [
            models.Index(fields=["tenant", "mode", "-created_at", "-id"], name="push_newest"),
            models.Index(fields=["tenant", "mode", "state"], name="push_state_of_scope"),
            models.Index(
                fields=["due_at"],
                condition=models.Q(state__in=["pending", "retry", "inflight"]),
                name="push_due",
            ),
            models.Index(fields=["customer", "target_id", "stamp_at"], name="push_period"),
        ]
        constraints = [
            # A summary of one minute then proves one push.
            models.UniqueConstraint(fields=["customer", "target_id", "minute_no"], name="push_one_a_minute"),
            models.UniqueConstraint(
                fields=["customer", "target_id", "bucket_start", "seq"], name="push_one_a_bucket_and_seq"
            ),
            models.CheckConstraint(condition=models.Q(mode__in=["test", "live"]), name="push_mode"),
            models.CheckConstraint(condition=models.Q(state__in=STATES), name="push_state"),
            models.CheckConstraint(
                condition=models.Q(sink="stripe", connection__isnull=False, meter=models.F("target_id"))
                | models.Q(sink="webhook", connection__isnull=True, destination=models.F("target_id")),
                name="push_names_its_sink",
            ),
            models.CheckConstraint(
                condition=~models.Q(value_units=0) & models.Q(value_units__range=(-(10**15) + 1, 10**15 - 1)),
                name="push_value_digits",
            ),
            models.CheckConstraint(
                condition=models.Q(bucket_end__gt=models.F("bucket_start")), name="push_bucket"
            ),
            # What is sent names whom it bills.
            models.CheckConstraint(
                condition=~models.Q(sink="stripe")
                | models.Q(state__in=["held", "void"])
                | ~models.Q(stripe_customer_id=""),
                name="push_names_its_customer",
            ),
        ]

    def __str__(self) -> str:
        return self.identifier

    @property
    def minute_starts_at(self) -> datetime:
        """The minute whose sum proves it."""
        return self.stamp_at.replace(second=0, microsecond=0)


class PushAttempt(models.Model):
    """One try to hand a push over, and what came of it. ``ended_at`` null = the worker died meanwhile."""

    push = models.ForeignKey(Push, on_delete=models.PROTECT, related_name="tries")
    number = models.IntegerField()
    # Which credential was used, by its last characters only.
    key_last4 = models.CharField(max_length=4, blank=True)
    started_at = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField(null=True)
    verdict = models.CharField(max_length=12, blank=True)
    code = models.CharField(max_length=80, blank=True)
    reason = models.CharField(max_length=80, blank=True)
    detail = models.CharField(max_length=300, blank=True)
    status = models.IntegerField(null=True)
    sink_request_id = models.CharField(max_length=80, blank=True)

    class Meta:
        db_table = "push_attempt"
        ordering = ["number"]
        constraints = [models.UniqueConstraint(fields=["push", "number"], name="push_attempt_number")]

    def __str__(self) -> str:
        return f"{self.push_id} {self.number}: {self.verdict or 'open'}"
