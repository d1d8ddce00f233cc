"""What every action leaves behind beside its row: an audit entry, and outbox entries for what Redis must hear."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, Literal, TypeVar

from django.db.models import Model

from tenants.models import AuditEntry, Outbox, Tenant

Row = TypeVar("Row", bound=Model)


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does it: a member, an API key, a person at the machine, or Farebox itself."""

    kind: Literal["member", "api_key", "operator", "system"]
    actor_id: str
    name: str = ""


SYSTEM = Actor("system", "system", "Farebox")


@dataclass(frozen=True, slots=True)
class Change(Generic[Row]):
    """A row as an action left it, and the outbox entries that will put it in force."""

    row: Row
    entries: tuple[int, ...] = ()
    created: bool = False


@dataclass(slots=True)
class Trail:
    """Collects what one action leaves behind. Make one inside its transaction."""

    tenant: Tenant
    mode: str
    actor: Actor
    entries: list[int] = field(default_factory=list)

    def audit(
        self,
        action: str,
        row: Model,
        *,
        before: dict[str, Any] | None = None,
        after: dict[str, Any] | None = None,
    ) -> None:
        """Write down who changed what, from what to what."""
        AuditEntry.objects.create(
            tenant=self.tenant,
            mode=self.mode,
            actor_kind=self.actor.kind,
            actor_id=self.actor.actor_id,
            actor_name=self.actor.name,
            action=action,
            object_kind=row._meta.model_name or "",
            object_id=str(row.pk),
            before=before,
            after=after,
        )

    def publish(self, kind: Outbox.Kind, object_id: str) -> None:
        """Queue a row to be told to Redis."""
        entry = Outbox.objects.create(tenant=self.tenant, mode=self.mode, kind=kind, object_id=object_id)
        self.entries.append(entry.pk)

    def done(self, row: Row, *, created: bool = False) -> Change[Row]:
        """Close the trail over the row it was about."""
        return Change(row, tuple(self.entries), created)


def shown(row: Model, *names: str) -> dict[str, Any]:
    """Take the named columns of a row in a form that an audit entry can keep."""
    taken = {name: getattr(row, name) for name in names}
    return {
        name: value.isoformat() if isinstance(value, datetime) else value for name, value in taken.items()
    }


def note_export(tenant: Tenant, mode: str, actor: Actor, what: str) -> None:
    """Write down that somebody takes data out: ``what`` names the file."""
    Trail(tenant, mode, actor).audit("export.download", tenant, after={"what": what})


def note_secret_shown(tenant: Tenant, mode: str, actor: Actor, row: Model) -> None:
    """Write down that somebody was shown a secret again; making or rotating one is an entry of its own."""
    Trail(tenant, mode, actor).audit("secret.show_again", row)
