"""What an API key may do: its scopes against the view's noun."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from tenants.api.authentication import ApiCaller
from tenants.api.problems import Forbidden, Unauthorized
from tenants.scopes import allows

if TYPE_CHECKING:
    # Imported for real it would come round to this module: DRF reads its settings while its views are loaded.
    from rest_framework.views import APIView


class HasScope(BasePermission):
    """Lets a key pass that has ``<view.scope_noun>:read``, or ``:write`` for what changes something.

    A view says its noun as ``scope_noun``; one that only reads by POST says ``scope_right = "read"``.
    """

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Judge the caller's scopes; a view without a noun is closed."""
        caller = request.user
        if not isinstance(caller, ApiCaller):
            raise Unauthorized("invalid_key", "no API key was sent; send Authorization: Bearer fbx_ak_…")
        noun = getattr(view, "scope_noun", None)
        if noun is None:
            return False
        right = getattr(view, "scope_right", "read" if request.method in SAFE_METHODS else "write")
        needed = f"{noun}:{right}"
        if not allows(caller.key.scopes, needed):
            raise Forbidden(
                "scope_missing",
                f"this API key lacks the scope {needed}; it has {' '.join(caller.key.scopes)}",
            )
        return True
