"""Keys: made with the secret shown once, changed, rotated, revoked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from tenants.actions import keys as actions
from tenants.actions.recording import Change
from tenants.api.problems import Forbidden
from tenants.api.scoped import ScopedView
from tenants.api.serializers import KeyIn, KeyIssued, KeyOut, KeyPatch, KeyRotation
from tenants.errors import InvalidInput
from tenants.models import Customer, Key
from tenants.scopes import ALL, allows


def shape(key: Key) -> dict[str, Any]:
    """A key as JSON, without its secret."""
    return dict(KeyOut(key).data)


class KeysBase(ScopedView):
    """What the views of keys share."""

    scope_noun = "keys"

    def row(self, key_id: str) -> Key:
        """The caller's key of this id, else 404. Changing an API key needs the right to have made it."""
        return get_object_or_404(Key.objects.for_scope(self.tenant, self.mode), pk=key_id)

    def check_not_above_caller(self, scopes: list[str]) -> None:
        """A key must not make or change one that may do more than itself."""
        own = self.caller.key.scopes
        above = [scope for scope in scopes if (ALL not in own if scope == ALL else not allows(own, scope))]
        if above:
            raise Forbidden(
                "scope_missing", f"this API key cannot hand out or change what it lacks: {' '.join(above)}"
            )

    def issue(self, act: Callable[[], actions.IssuedKey]) -> Response:
        """Run an action that issues a secret, and show it this once."""
        secret = ""

        def change() -> Change[Key]:
            nonlocal secret
            issued = act()
            secret = issued.secret
            return issued.change

        return self.carry_out(change, lambda key: {**shape(key), "key": secret})


class KeysView(KeysBase):
    """All keys of the caller's mode."""

    @extend_schema(
        operation_id="keys_list",
        parameters=[OpenApiParameter("customer"), OpenApiParameter("kind")],
        responses=KeyOut(many=True),
    )
    def get(self, request: Request) -> Response:
        """List keys, newest first; secrets are never shown again."""
        rows = Key.objects.for_scope(self.tenant, self.mode).prefetch_related("retired_secrets")
        if "customer" in request.query_params:
            rows = rows.filter(customer_id=request.query_params["customer"])
        if "kind" in request.query_params:
            rows = rows.filter(kind=request.query_params["kind"])
        return self.page(rows, lambda found: [shape(row) for row in found])

    @extend_schema(operation_id="keys_create", request=KeyIn, responses={201: KeyIssued})
    def post(self, request: Request) -> Response:
        """Make a key; its secret is in this answer and nowhere else."""
        given = KeyIn(data=request.data)
        given.is_valid(raise_exception=True)
        values = dict(given.validated_data)
        customer = self._customer(values.pop("customer", None))
        kind = values.pop("kind", "customer" if customer else "server")
        if kind == "api":
            # Not said = all that the caller itself may do.
            values.setdefault("scopes", self.caller.key.scopes)
            self.check_not_above_caller(values["scopes"])
        return self.issue(
            lambda: actions.create_key(
                tenant=self.tenant,
                mode=self.mode,
                kind=kind,
                actor=self.actor,
                customer=customer,
                values=values,
            )
        )

    def _customer(self, customer_id: str | None) -> Customer | None:
        if customer_id is None:
            return None
        found = Customer.objects.for_scope(self.tenant, self.mode).filter(pk=customer_id).first()
        if found is None:
            raise InvalidInput("customer", f"no customer {customer_id} in mode {self.mode}")
        return found


class KeyView(KeysBase):
    """One key."""

    @extend_schema(operation_id="keys_get", responses=KeyOut)
    def get(self, request: Request, key_id: str) -> Response:
        """Read a key."""
        return Response(shape(self.row(key_id)))

    @extend_schema(operation_id="keys_change", request=KeyPatch, responses=KeyOut)
    def patch(self, request: Request, key_id: str) -> Response:
        """Change a key, in force for its next request."""
        row = self.row(key_id)
        self.check_not_above_caller(row.scopes)
        given = KeyPatch(data=request.data)
        given.is_valid(raise_exception=True)
        return self.carry_out(
            lambda: actions.change_key(key=row, actor=self.actor, values=given.validated_data), shape
        )


class KeyRevokeView(KeysBase):
    """Revoking a key."""

    @extend_schema(operation_id="keys_revoke", request=None, responses=KeyOut)
    def post(self, request: Request, key_id: str) -> Response:
        """Revoke a key for ever; 200 means that no further request passes with it."""
        row = self.row(key_id)
        self.check_not_above_caller(row.scopes)
        return self.carry_out(lambda: actions.revoke_key(key=row, actor=self.actor), shape)


class KeyRotateView(KeysBase):
    """Rotating a key."""

    @extend_schema(operation_id="keys_rotate", request=KeyRotation, responses=KeyIssued)
    def post(self, request: Request, key_id: str) -> Response:
        """Give a key a new secret, shown once; the old one stays good for ``overlap_seconds``."""
        row = self.row(key_id)
        self.check_not_above_caller(row.scopes)
        given = KeyRotation(data=request.data)
        given.is_valid(raise_exception=True)
        seconds = given.validated_data["overlap_seconds"]
        return self.issue(lambda: actions.rotate_key(key=row, actor=self.actor, overlap_seconds=seconds))
