"""Every field that may tell who a customer is, and what erasing does to it: one table, which a test holds complete."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Effect(StrEnum):
    """What erasing does to a field."""

    EMPTIED = "emptied"  # to what stands in the table
    NUMBERED = "numbered"  # to an opaque word made from the row's own id
    DROPPED = "dropped"  # the whole row goes
    REDACTED = "redacted"  # by a function of the database, which can do nothing else
    KEPT = "kept"  # it tells nothing about a customer; the note says why


@dataclass(frozen=True, slots=True)
class Held:
    """One field: ``path`` leads from its row to the customer, ``empty`` is what an emptied one has."""

    model: str
    field: str
    effect: Effect
    path: str = ""
    empty: Any = ""
    note: str = ""


def _kept(model: str, field: str, note: str) -> Held:
    return Held(model, field, Effect.KEPT, note=note)


_MEMBERS = "of the tenant's own people"
_TENANTS = "the tenant's own word, not a customer's"
FIELDS: tuple[Held, ...] = (
    Held(
        "tenants.Customer",
        "external_id",
        Effect.NUMBERED,
        "id",
        note="a digest of it keeps the id from a second use",
    ),
    Held("tenants.Customer", "name", Effect.EMPTIED, "id"),
    Held("tenants.Customer", "metadata", Effect.EMPTIED, "id", {}),
    Held("tenants.Customer", "restricted_why", Effect.EMPTIED, "id"),
    Held("tenants.Key", "name", Effect.EMPTIED, "customer"),
    Held("tenants.Budget", "name", Effect.EMPTIED, "customer"),
    _kept("tenants.Budget", "subject", "a tag, run or model that the tenant limits, for all customers"),
    Held("tenants.IdempotentAnswer", "idempotency_key", Effect.DROPPED),
    Held("tenants.IdempotentAnswer", "sealed_body", Effect.DROPPED),
    Held("tenants.AuditEntry", "before", Effect.REDACTED),
    Held("tenants.AuditEntry", "after", Effect.REDACTED),
    Held("tenants.AuditEntry", "actor_name", Effect.REDACTED),
    _kept("tenants.AuditEntry", "address", _MEMBERS),
    Held("tenants.Outbox", "last_error", Effect.EMPTIED, note="by the ids of the customer's rows"),
    _kept("tenants.Invitation", "email", _MEMBERS),
    _kept("tenants.User", "email", _MEMBERS),
    _kept("tenants.User", "name", _MEMBERS),
    _kept("tenants.Tenant", "name", _TENANTS),
    _kept("tenants.ProviderAccount", "name", _TENANTS),
    _kept("tenants.ProviderAccount", "base_url", _TENANTS),
    Held("billing.CustomerMap", "stripe_customer_id", Effect.EMPTIED, "customer"),
    Held("billing.CustomerMap", "subscription_id", Effect.EMPTIED, "customer"),
    Held("billing.CustomerMap", "subscription_item_id", Effect.EMPTIED, "customer"),
    Held("billing.Push", "stripe_customer_id", Effect.EMPTIED, "customer", "erased"),
    Held("billing.Push", "detail", Effect.EMPTIED, "customer"),
    _kept("billing.Push", "why", "a word of ours out of a short list"),
    Held("billing.PushAttempt", "detail", Effect.EMPTIED, "push__customer"),
    Held("billing.PushAttempt", "sink_request_id", Effect.EMPTIED, "push__customer"),
    Held("billing.TopUp", "session_id", Effect.EMPTIED, "prepaid__customer"),
    Held("billing.TopUp", "payment_intent_id", Effect.EMPTIED, "prepaid__customer"),
    Held("billing.TopUp", "url", Effect.EMPTIED, "prepaid__customer"),
    Held("billing.PrepaidEntry", "source_id", Effect.REDACTED),
    Held("billing.DunningCase", "source_id", Effect.NUMBERED, "customer"),
    Held("billing.PeriodInvoice", "invoice_id", Effect.NUMBERED, "customer"),
    Held(
        "billing.PeriodInvoice",
        "lines",
        Effect.EMPTIED,
        "customer",
        [],
        note="quantity and amount stay beside it",
    ),
    Held(
        "billing.StripeEvent",
        "object_id",
        Effect.EMPTIED,
        note="where it names one of the customer's objects",
    ),
    _kept("billing.StripeEvent", "why", "a word of ours out of a short list"),
    Held(
        "billing.TagSet", "tags", Effect.REDACTED, note="of combinations that no other customer's rows have"
    ),
    Held("billing.DeadLetter", "raw", Effect.REDACTED),
    Held("billing.DeadLetter", "detail", Effect.REDACTED),
    _kept("billing.LedgerRow", "upstream_request_id", "the provider's number of a call"),
    _kept(
        "billing.LedgerRow",
        "run_id",
        "rows are never changed; docs/security.md tells callers to put no names there",
    ),
    _kept("billing.ReconRow", "why", "a word of ours out of a short list"),
    _kept("billing.CustomerMap", "subscription_status", "a word of Stripe's out of a short list"),
    _kept("billing.StripeConnection", "stripe_account", _TENANTS),
    _kept("billing.StripeConnection", "why", _TENANTS),
    _kept("billing.StripeMeter", "stripe_meter_id", _TENANTS),
    _kept("billing.StripeMeter", "event_name", _TENANTS),
    _kept("billing.StripeMeter", "why", _TENANTS),
    _kept("billing.PushDestination", "url", _TENANTS),
    _kept("billing.PushDestination", "why", _TENANTS),
)

# Names under which such things stand in before and after of audit entries about the customer's rows.
TOLD = (
    "external_id", "name", "email", "metadata", "restricted_why", "why", "stripe_customer_id", "subscription_id",
    "subscription_item_id", "source_id", "session_id", "payment_intent_id", "url", "reason",
)  # fmt: skip
# A field called so, or ending so, may tell who somebody is; the test asks for its line above.
TELLING = (
    "external_id", "name", "email", "tags", "payload", "metadata", "raw", "before", "after", "detail", "why", "url",
    "address", "subject", "last_error", "lines", "sealed_body", "idempotency_key", "session_id", "payment_intent_id",
    "subscription_id", "subscription_item_id", "subscription_status", "stripe_customer_id", "stripe_account",
    "stripe_meter_id", "invoice_id", "source_id", "object_id", "sink_request_id", "upstream_request_id", "run_id",
)  # fmt: skip
# Ids of any row, ours all of them.
NOT_TELLING = {("tenants.AuditEntry", "object_id"), ("tenants.Outbox", "object_id")}
