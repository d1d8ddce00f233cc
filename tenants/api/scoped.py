"""What every view of the control API stands on: the caller's tenant and mode, idempotency, and what is in force."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from django.db import transaction
from django.db.models import Model, QuerySet
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from enforcement.keys import Mode as ModeName
from tenants.actions.recording import Actor, Change
from tenants.api import idempotency
from tenants.api.authentication import ApiCaller
from tenants.api.pagination import NewestFirst
from tenants.models import Tenant
from tenants.publishing import publish_now

Row = TypeVar("Row", bound=Model)
Shape = Callable[[Row], dict[str, Any]]


class ScopedView(APIView):
    """A view of one tenant in one mode, both read from the key. Subclasses say their ``scope_noun``."""

    scope_noun: str
    _claim: idempotency.Claim | None = None

    @property
    def caller(self) -> ApiCaller:
        """The accepted API key."""
        caller = self.request.user
        assert isinstance(caller, ApiCaller)
        return caller

    @property
    def tenant(self) -> Tenant:
        """The caller's tenant."""
        return self.caller.tenant

    @property
    def mode(self) -> ModeName:
        """The caller's mode: a test key sees and makes test rows only."""
        return self.caller.mode

    @property
    def actor(self) -> Actor:
        """The caller as audit entries name it."""
        return self.caller.actor

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Check the caller, then whether this request was answered before."""
        super().initial(request, *args, **kwargs)
        self._claim = idempotency.claim(request)

    def handle_exception(self, exc: Exception) -> Response:
        """Answer as before where the request was answered before."""
        if isinstance(exc, idempotency.Replayed):
            return Response(exc.body, status=exc.status, headers={"Idempotent-Replayed": "true"})
        try:
            return super().handle_exception(exc)
        except Exception:
            # A fault of ours: what was not committed may be tried again at once.
            if self._claim is not None and not self._claim.is_kept:
                self._claim.drop()
            raise

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Keep a success for its Idempotency-Key; a refusal changed nothing and frees the key."""
        answer = super().finalize_response(request, response, *args, **kwargs)
        if self._claim is not None and answer.status_code >= 400 and not self._claim.is_kept:
            self._claim.drop()
        elif self._claim is not None and not self._claim.is_kept:
            self._claim.keep(answer.status_code, answer.data)
        return answer

    def carry_out(
        self, act: Callable[[], Change[Row]], shape: Shape[Row], *, plain: Shape[Row] | None = None
    ) -> Response:
        """Run an action and put it in force: 201 or 200 once it is, 202 with ``pending`` while it is not.

        ``plain`` is the shape for within the transaction, where ``shape`` would ask Redis.
        """
        with transaction.atomic():
            change = act()
            self._keep(202, {**(plain or shape)(change.row), "pending": True})
        in_force = publish_now(change.entries)
        status = (201 if change.created else 200) if in_force else 202
        body = {**shape(change.row), "pending": not in_force}
        self._keep(status, body)
        return Response(body, status=status)

    def page(
        self,
        rows: QuerySet[Row],
        shape_many: Callable[[list[Row]], list[dict[str, Any]]],
        *,
        by: tuple[str, ...] = NewestFirst.ordering,
    ) -> Response:
        """Answer one page of a list, newest first; rows of a page are shaped together."""
        paginator = NewestFirst()
        paginator.ordering = by
        found = paginator.paginate_queryset(rows, self.request, view=self) or []
        return paginator.get_paginated_response(shape_many(list(found)))

    def _keep(self, status: int, body: dict[str, Any]) -> None:
        if self._claim is not None:
            self._claim.keep(status, body)
