"""What must end before a customer can be erased, by name: each that stays waits, or is given up by ``force``."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import connections

from billing.ledger.unresolved import unresolved_rows
from billing.models import Push, PushDestination, StripeConnection, TopUp, Unsealed
from enforcement.control_client import ControlClient, unavailable_on_failure
from enforcement.erasing import Traces, open_holds_of
from enforcement.keys import Scope, usage_key
from tenants.models import Customer

NAMED_MAX = 20
BY_ITSELF = {"open_holds", "unrecorded_usage", "pushes_on_their_way", "open_top_ups"}
_ON_THE_WAY = (
    Push.State.PENDING,
    Push.State.INFLIGHT,
    Push.State.RETRY,
    Push.State.AMBIGUOUS,
    Push.State.ACCEPTED,
)
_STUCK = (Push.State.HELD, Push.State.REJECTED, Push.State.FAILED)


@dataclass(frozen=True, slots=True)
class Pending:
    """One kind of thing that has not ended. What ends by itself cannot be forced: it would write again."""

    what: str
    ids: tuple[str, ...]

    @property
    def ends_by_itself(self) -> bool:
        """Whether to wait is all that is needed."""
        return self.what in BY_ITSELF


def pending_of(customer: Customer, scope: Scope, client: ControlClient, traces: Traces) -> list[Pending]:
    """List what of a customer has not ended. Raises: EnforcementUnavailable."""
    pushes = Push.objects.for_scope(customer.tenant, customer.mode).filter(customer=customer)
    unresolved = unresolved_rows(scope).filter(customer_id=customer.pk)
    top_ups = TopUp.objects.for_scope(customer.tenant, customer.mode).filter(prepaid__customer=customer)
    found = [
        Pending("open_holds", tuple(open_holds_of(client, scope, customer.pk))),
        Pending("unrecorded_usage", tuple(_unrecorded(scope, client))),
        Pending(
            "pushes_on_their_way",
            tuple(pushes.filter(state__in=_ON_THE_WAY).values_list("pk", flat=True)),
        ),
        Pending("open_top_ups", tuple(top_ups.filter(status__in=TopUp.LIVING).values_list("pk", flat=True))),
        Pending("unresolved_rows", tuple(unresolved.values_list("event_id", flat=True))),
        Pending("unsealed_usage", tuple(_unsealed(customer))),
        Pending("pushes_that_wait", tuple(pushes.filter(state__in=_STUCK).values_list("pk", flat=True))),
        # They go by themselves an hour after they were recorded; until then a restored PostgreSQL may need them.
        Pending("entries_kept_for_an_hour", tuple(entry.decode() for _, entry in traces.entries)),
    ]
    return [each for each in found if each.ids]


def _unrecorded(scope: Scope, client: ControlClient) -> list[str]:
    """Entries of the shard that the recorder has not written: whose they are is told only when it has."""
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT farebox_recorded_until(%s)", [scope.shard])
        [(mark,)] = cursor.fetchall()
    with unavailable_on_failure():
        found = client.redis.xrange(usage_key(scope.shard), min=f"({mark}", count=NAMED_MAX)
    return [
        entry_id.decode()
        for entry_id, fields in found
        if fields.get(b"tenant_id", b"").decode() == scope.tenant_id
    ]


def _unsealed(customer: Customer) -> list[str]:
    """Usage that a sink still waits for; where there is no sink, nobody does."""
    scoped = {"tenant": customer.tenant, "mode": customer.mode}
    has_sink = (
        StripeConnection.objects.filter(**scoped).exists()
        or PushDestination.objects.filter(**scoped).exists()
    )
    if not has_sink:
        return []
    rows = Unsealed.objects.filter(tenant_id=customer.tenant_id, mode=customer.mode, customer_id=customer.pk)
    return [at.isoformat() for at in rows.values_list("at", flat=True)[:NAMED_MAX]]
