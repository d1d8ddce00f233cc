"""Row-level security: PostgreSQL shows the app a tenant's rows only where ``reach.py`` has named that tenant.

Every table with a ``tenant_id`` is found in the catalogue and secured after each migration, so none can be forgotten.
Tables whose rows hang on another's are named here, and so are those that belong to no tenant. The owner is not bound
(it only migrates); the recorder writes for all. The setting is read once a statement, as an InitPlan: a row costs one
comparison of texts, which is leakproof, so that indexes and the pruning of partitions are used as ever.
"""

from __future__ import annotations

import hashlib

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper

from tenants.reach import ALL, SETTING

_SEEN = f"(SELECT current_setting('{SETTING}', true))"
_SEES_ALL = f"{_SEEN} = '{ALL}'"


def _of_seen(table: str, column: str) -> str:
    """A row that hangs on one of another table is seen with it: that table's own policy decides."""
    return f"{_SEES_ALL} OR EXISTS (SELECT 1 FROM {table} AS its WHERE its.id = {column})"  # noqa: S608  # our names


# Tables that say whose a row is otherwise than by a column ``tenant_id``.
RULES: dict[str, str] = {
    "tenants_tenant": f"id = {_SEEN} OR {_SEES_ALL}",
    "tenants_retiredsecret": _of_seen("tenants_key", "key_id"),
    "push_attempt": _of_seen("push", "push_id"),
    "budget_window": _of_seen("tenants_budget", "budget_id"),
    # Bytes that nobody could read: whose they are is not known for sure.
    "dead_letter": _SEES_ALL,
    "shard_mark": _SEES_ALL,
}
# Tables without tenants, each with the reason.
SHARED: dict[str, str] = {
    "account_emailaddress": "people; who they are to a tenant stands in tenants_member",
    "account_emailconfirmation": "people",
    "auth_group": "unused",
    "auth_group_permissions": "unused",
    "auth_permission": "unused",
    "django_content_type": "of Django",
    "django_migrations": "of Django",
    "django_session": "people; found by a secret alone",
    "hook_refusal": "counts of the installation",
    "tenants_baseprice": "prices for everybody",
    "tenants_basepriceentry": "prices for everybody",
    "tenants_user": "people",
    "tenants_user_groups": "unused",
    "tenants_user_user_permissions": "unused",
}

_TABLES = """
SELECT t.relname, t.relispartition, t.relrowsecurity,
       EXISTS (SELECT 1 FROM pg_attribute AS a
               WHERE a.attrelid = t.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped)
FROM pg_class AS t JOIN pg_namespace AS n ON n.oid = t.relnamespace
WHERE n.nspname = 'public' AND t.relkind IN ('r', 'p') ORDER BY t.relname
"""
_POLICIES = r"""
SELECT tablename, policyname FROM pg_policies WHERE schemaname = 'public' AND policyname LIKE 'farebox\_%'
"""


def secure_rows(connection: BaseDatabaseWrapper, *, app: str, recorder: str) -> None:
    """Give every table of tenants its policies, where they are not in force yet. Call it as the owner.

    A policy's name holds a digest of what it says: one that stands is left alone, and a running system is not locked.
    """
    with connection.cursor() as cursor:
        cursor.execute(_POLICIES)
        standing: dict[str, set[str]] = {}
        for table, policy in cursor.fetchall():
            standing.setdefault(table, set()).add(policy)
        cursor.execute(_TABLES)
        for table, is_partition, is_secured, has_tenant in cursor.fetchall():
            rule = rule_of(table, has_tenant=has_tenant)
            if rule is None:
                continue
            name = connection.ops.quote_name(table)
            if not is_secured:
                cursor.execute(f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY")
            # A partition has none of its own: asked directly it shows nothing, asked through its parent the parent's.
            wanted = {} if is_partition else _policies(rule, app, recorder)
            _put(cursor, name, wanted, standing.get(table, set()))


def rule_of(table: str, *, has_tenant: bool) -> str | None:
    """What a row must fulfil to be seen by the app; None for a table that belongs to no tenant."""
    if table in RULES:
        return RULES[table]
    return f"tenant_id = {_SEEN} OR {_SEES_ALL}" if has_tenant else None


def _policies(rule: str, app: str, recorder: str) -> dict[str, tuple[str, str]]:
    """Policies by name: each a role and a condition."""
    found = {}
    for word, role, condition in (("app", app, rule), ("recorder", recorder, "true")):
        mark = hashlib.sha256(f"{role}:{condition}".encode()).hexdigest()[:12]
        found[f"farebox_{word}_{mark}"] = (role, condition)
    return found


def _put(cursor: CursorWrapper, table: str, wanted: dict[str, tuple[str, str]], standing: set[str]) -> None:
    for name in sorted(standing - set(wanted)):
        cursor.execute(f'DROP POLICY "{name}" ON {table}')
    for name in sorted(set(wanted) - standing):
        role, condition = wanted[name]
        quoted = '"' + role.replace('"', '""') + '"'
        cursor.execute(
            f'CREATE POLICY "{name}" ON {table} FOR ALL TO {quoted} USING ({condition}) WITH CHECK ({condition})'
        )
