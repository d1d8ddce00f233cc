"""What each database role may do, said table by table and granted anew after every migration.

Three roles: the owner (alias ``owner``) makes tables and nothing else; the app and the recorder never own one. Rights
are granted by name, never by default privileges: those would open the ledger's future partitions to the app.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.apps import apps
from django.conf import settings
from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper
from django.db.models import Model

from tenants.errors import RolesMissing
from tenants.row_security import secure_rows

OWNER_ALIAS = "owner"
VERSION_SEQUENCE = "farebox_policy_version"
ALL_ROWS = "SELECT, INSERT, UPDATE, DELETE"
APPEND_ONLY = "SELECT, INSERT"


@dataclass(frozen=True, slots=True)
class Rights:
    """What the app and the recorder may do with one table; empty = nothing."""

    app: str = ALL_ROWS
    recorder: str = ""


_rights: dict[str, Rights] = {
    "tenants_auditentry": Rights(app=APPEND_ONLY),
    # The past keeps its rate: an entry is never changed, a newer one follows it.
    "tenants_priceentry": Rights(app=APPEND_ONLY),
    "tenants_baseprice": Rights(app=APPEND_ONLY),
    "tenants_basepriceentry": Rights(app=APPEND_ONLY),
    "django_migrations": Rights(app="SELECT", recorder="SELECT"),
}


def register_rights(table: str, *, app: str = ALL_ROWS, recorder: str = "") -> None:
    """Say what the roles may do with a table that is not simply the app's. Call it at import or in ``ready``."""
    _rights[table] = Rights(app=app, recorder=recorder)


def app_role() -> str:
    """The name of the role the control plane runs as."""
    return str(getattr(settings, "FAREBOX_DB_APP_ROLE", "farebox_app"))


def recorder_role() -> str:
    """The name of the role that writes the ledger."""
    return str(getattr(settings, "FAREBOX_DB_RECORDER_ROLE", "farebox_recorder"))


def grant_all(connection: BaseDatabaseWrapper) -> None:
    """Give both roles exactly their rights on every table and its rows, in one transaction.

    Raises: RolesMissing when a role named in the settings does not exist.
    """
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        _require_roles(cursor)
        present = set(connection.introspection.table_names(cursor))
        both = f"{_quoted(connection, app_role())}, {_quoted(connection, recorder_role())}"
        cursor.execute(f"GRANT USAGE ON SCHEMA public TO {both}")
        for table in sorted(_known_tables() & present):
            _grant_table(cursor, connection, table)
        secure_rows(connection, app=app_role(), recorder=recorder_role())
        cursor.execute("SELECT to_regclass(%s)", [VERSION_SEQUENCE])
        if cursor.fetchone() != (None,):
            cursor.execute(f"GRANT USAGE ON SEQUENCE {VERSION_SEQUENCE} TO {_quoted(connection, app_role())}")


def _known_tables() -> set[str]:
    models = {model._meta.db_table for model in apps.get_models(include_auto_created=True)}
    return models | set(_rights)


def _grant_table(cursor: CursorWrapper, connection: BaseDatabaseWrapper, table: str) -> None:
    rights = _rights.get(table, Rights())
    name = _quoted(connection, table)
    for role, allowed in ((app_role(), rights.app), (recorder_role(), rights.recorder)):
        cursor.execute(f"REVOKE ALL ON {name} FROM {_quoted(connection, role)}")
        if allowed:
            cursor.execute(f"GRANT {allowed} ON {name} TO {_quoted(connection, role)}")


def _require_roles(cursor: CursorWrapper) -> None:
    wanted = {app_role(), recorder_role()}
    cursor.execute("SELECT rolname FROM pg_roles WHERE rolname = ANY(%s)", [sorted(wanted)])
    missing = wanted - {row[0] for row in cursor.fetchall()}
    if missing:
        raise RolesMissing(
            f"database role {', '.join(sorted(missing))} does not exist; create it (LOGIN, no SUPERUSER, no BYPASSRLS) "
            "or name another in FAREBOX_DB_APP_ROLE and FAREBOX_DB_RECORDER_ROLE"
        )


def _quoted(connection: BaseDatabaseWrapper, name: str) -> str:
    return connection.ops.quote_name(name)


class Router:
    """Sends queries to the app's connection and lets migrations run as the owner alone."""

    def db_for_read(self, model: type[Model], **hints: object) -> str:
        """Read as the app, unless the query names a connection."""
        return "default"

    def db_for_write(self, model: type[Model], **hints: object) -> str:
        """Write as the app, unless the query names a connection."""
        return "default"

    def allow_relation(self, obj1: Model, obj2: Model, **hints: object) -> bool:
        """All connections lead to one database, so every relation is fine."""
        return True

    def allow_migrate(self, db: str, app_label: str, **hints: object) -> bool:
        """Only the owner changes the schema."""
        return db == OWNER_ALIAS
