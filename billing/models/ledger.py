"""The books as Django sees them: read-only views of tables that SQL owns, and the drift reports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from django.db import models

if TYPE_CHECKING:
    from enforcement.keys import Scope


class LedgerRows(models.QuerySet["LedgerRow"]):
    """Reads of the ledger."""

    def for_scope(self, scope: Scope) -> Self:
        """Keep a tenant's rows of one mode: the only way in for anything a tenant sees."""
        return self.filter(tenant_id=scope.tenant_id, mode=scope.mode)


class LedgerRow(models.Model):
    """One immutable row for one upstream attempt or one correction. Written by the recorder alone."""

    pk = models.CompositePrimaryKey("month", "event_id")
    event_id = models.TextField()
    month = models.DateField()
    kind = models.TextField()
    basis = models.TextField()
    corrects = models.TextField()
    tenant_id = models.TextField()
    mode = models.TextField()
    shard = models.SmallIntegerField()
    customer_id = models.TextField()
    key_id = models.TextField()
    account_id = models.TextField()
    provider = models.TextField()
    dialect = models.TextField()
    model = models.TextField()
    response_model = models.TextField()
    request_id = models.TextField()
    hold_id = models.TextField()
    attempt = models.IntegerField()
    tag_set_id = models.TextField()
    run_id = models.TextField()
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    booked_at = models.DateTimeField()
    upstream_status = models.IntegerField(null=True)
    upstream_request_id = models.TextField()
    end = models.TextField()
    stream = models.BooleanField()
    bound_class = models.TextField()
    quoted_input_tokens = models.BigIntegerField()
    output_cap = models.BigIntegerField()
    output_cap_source = models.TextField()
    quote_cost_nanousd = models.BigIntegerField()
    quote_charge_nanousd = models.BigIntegerField()
    cost_nanousd = models.BigIntegerField()
    charge_nanousd = models.BigIntegerField()
    price_id = models.TextField()
    markup_bp = models.BigIntegerField()
    markup_fixed_nanousd = models.BigIntegerField()
    input_tokens = models.BigIntegerField()
    cache_read_tokens = models.BigIntegerField()
    cache_write_5m_tokens = models.BigIntegerField()
    cache_write_1h_tokens = models.BigIntegerField()
    output_tokens = models.BigIntegerField()
    reasoning_tokens = models.BigIntegerField()
    audio_input_tokens = models.BigIntegerField()
    audio_output_tokens = models.BigIntegerField()
    image_input_tokens = models.BigIntegerField()
    extras = models.JSONField()
    draws = models.JSONField()
    epoch = models.BigIntegerField()
    seq = models.BigIntegerField()
    recorded_at = models.DateTimeField()

    objects = LedgerRows.as_manager()

    class Meta:
        managed = False
        db_table = "ledger_row"

    def __str__(self) -> str:
        return self.event_id


class TagSet(models.Model):
    """One combination of tags of a tenant, named by a digest; rows carry the name only."""

    pk = models.CompositePrimaryKey("tenant_id", "tag_set_id")
    tenant_id = models.TextField()
    tag_set_id = models.TextField()
    tags = models.JSONField()

    class Meta:
        managed = False
        db_table = "tag_set"

    def __str__(self) -> str:
        return self.tag_set_id


class DeadLetter(models.Model):
    """What came out of a stream and could not be booked as it stood, with its bytes."""

    dead_letter_id = models.BigAutoField(primary_key=True)
    shard = models.SmallIntegerField()
    source = models.TextField()
    stream_id = models.TextField()
    reason = models.TextField()
    detail = models.TextField()
    event_id = models.TextField()
    raw = models.BinaryField()
    at = models.DateTimeField()

    class Meta:
        managed = False
        db_table = "dead_letter"

    def __str__(self) -> str:
        return f"{self.shard}/{self.stream_id}: {self.reason}"


class DriftReport(models.Model):
    """A budget window whose ``spent`` in Redis was not the sum of its rows. A report, never a silent fix."""

    drift_report_id = models.BigAutoField(primary_key=True)
    found_at = models.DateTimeField()
    tenant_id = models.TextField()
    mode = models.TextField()
    budget_id = models.TextField()
    window_id = models.TextField()
    epoch = models.BigIntegerField()
    seq = models.BigIntegerField()
    redis_spent_nanousd = models.BigIntegerField()
    ledger_spent_nanousd = models.BigIntegerField()

    class Meta:
        db_table = "drift_report"
        indexes = [models.Index(fields=["tenant_id", "mode", "-found_at"], name="drift_report_tenant")]

    def __str__(self) -> str:
        return f"{self.budget_id} {self.window_id}: {self.drift_nanousd} nanousd"

    @property
    def drift_nanousd(self) -> int:
        """What Redis counts beyond the ledger."""
        return self.redis_spent_nanousd - self.ledger_spent_nanousd
