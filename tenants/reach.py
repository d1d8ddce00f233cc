"""Whose rows the app's connection may see: nobody's, one tenant's, or by a named reason all.

PostgreSQL's row-level security compares every row's tenant with the setting ``farebox.tenant_id``, see
``row_security.py``. This module sends that setting. A connection nobody spoke for sees nothing. A request starts
there, and whoever finds out who asks (the API's keys, the portal's desks) narrows it to that tenant for its rest.
Processes that work over all tenants (commands, worker) say so once, when they start.

The setting is the session's, not a transaction's: the portal runs in autocommit, where ``SET LOCAL`` would last one
statement. It is sent again when a connection is opened and taken back when a request ends, so that a connection that
is kept belongs to nobody. A pooler between us and PostgreSQL must therefore pool sessions, not transactions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from psycopg.pq import TransactionStatus

SETTING = "farebox.tenant_id"
ALL, NOBODY = "*", ""
APP_ALIAS = "default"


class Why(StrEnum):
    """Every reason for which a request may see all tenants' rows. There are no others."""

    FIND_KEY = "find the tenant of an API key"
    FIND_DESK = "find the member that a session belongs to"
    OWN_TENANTS = "list the tenants that a person belongs to"
    FIND_INVITATION = "find the tenant of an invitation"
    SIGN_UP = "make a tenant at an address that is free"
    FIND_CONNECTION = "find the connection that Stripe writes to"
    FIND_TOP_UP = "find what a customer's link tops up"
    SIGN_IN = "note a sign-in at each tenant of a person"
    SCRAPE = "sum figures of the whole installation"


# Machines that write to us or read sums of all, and links that name their row themselves: no tenant asks there.
PATHS: tuple[tuple[str, Why], ...] = (
    ("/internal/metrics", Why.SCRAPE),
    ("/hooks/stripe/", Why.FIND_CONNECTION),
    ("/top-up/", Why.FIND_TOP_UP),
)


@dataclass(slots=True)
class _Frame:
    seen: str
    is_request: bool = False


@dataclass(slots=True)
class _Reach:
    """What one connection may see: the last frame counts; ``sent`` is what PostgreSQL was told."""

    frames: list[_Frame] = field(default_factory=list)
    sent: str | None = None


_process = NOBODY


def work_over_all_tenants() -> None:
    """Let this process see every tenant's rows outside requests: commands, worker. Call it once, at the start."""
    global _process  # what a process is for is said once
    _process = ALL


@contextmanager
def all_tenants(why: Why) -> Iterator[None]:
    """See every tenant's rows for one of the known reasons."""
    assert isinstance(why, Why)
    with _within(_Frame(ALL)):
        yield


@contextmanager
def only(tenant_id: str) -> Iterator[None]:
    """See one tenant's rows and no others."""
    assert tenant_id not in {ALL, NOBODY}
    with _within(_Frame(tenant_id)):
        yield


def narrow(tenant_id: str) -> None:
    """See one tenant's rows for the rest of the request; outside of requests it does nothing."""
    assert tenant_id not in {ALL, NOBODY}
    connection = connections[APP_ALIAS]
    for frame in reversed(_of(connection).frames):
        if frame.is_request:
            frame.seen = tenant_id
            break
    _tell(connection)


def seen_now() -> str:
    """What the app's connection sees: a tenant's id, ``*`` or nothing."""
    return _wanted(connections[APP_ALIAS])


class RequestReach:
    """Middleware: a request sees nothing until it is known who asks, and nothing of it stays with the connection."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer within a reach of its own; a body that is streamed keeps it."""
        is_machine = any(request.path.startswith(path) for path, _ in PATHS)
        with _within(_Frame(ALL if is_machine else NOBODY, is_request=True)):
            response = self.get_response(request)
            seen = seen_now()
        if response.streaming and not getattr(response, "is_async", False):
            body: Any = response
            body.streaming_content = _streamed(body.streaming_content, seen)
        return response


def _streamed(parts: Iterable[bytes], seen: str) -> Iterator[bytes]:
    """Make each part under the request's reach: between two parts the connection may serve others."""
    rest, end = iter(parts), object()
    while True:
        with _within(_Frame(seen)):
            part: Any = next(rest, end)
        if part is end:
            return
        yield part


@contextmanager
def _within(frame: _Frame) -> Iterator[None]:
    connection = connections[APP_ALIAS]
    frames = _of(connection).frames
    frames.append(frame)
    try:
        _tell(connection)
        yield
    finally:
        frames.pop()
        _tell(connection)


def _of(connection: BaseDatabaseWrapper) -> _Reach:
    reach: _Reach | None = getattr(connection, "farebox_reach", None)
    if reach is None:
        reach = connection.farebox_reach = _Reach()  # type: ignore[attr-defined]  # lives as long as the connection
    return reach


def _wanted(connection: BaseDatabaseWrapper) -> str:
    frames = _of(connection).frames
    return frames[-1].seen if frames else _process


def _tell(connection: BaseDatabaseWrapper) -> None:
    """Send the setting where it changed. A connection that is not open is told when it opens."""
    reach, wanted = _of(connection), _wanted(connection)
    if connection.connection is None or reach.sent == wanted:
        return
    if not connection.in_atomic_block:
        connection.close_if_health_check_failed()  # a kept connection may be dead by now
    raw = connection.connection
    if raw is None or raw.closed:
        return
    if raw.info.transaction_status == TransactionStatus.INERROR:
        reach.sent = None  # its rollback brings back what the transaction began with
        return
    raw.execute("SELECT set_config(%s, %s, false)", (SETTING, wanted))
    reach.sent = wanted


def _tell_new_connection(*, connection: BaseDatabaseWrapper, **_: object) -> None:
    if connection.alias == APP_ALIAS:
        _of(connection).sent = NOBODY  # what a fresh session sees
        _tell(connection)


connection_created.connect(_tell_new_connection, dispatch_uid="tenants.reach")
