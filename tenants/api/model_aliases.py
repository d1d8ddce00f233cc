"""Names of the tenant's own for models."""

from __future__ import annotations

from typing import Any

from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from tenants.actions import model_aliases as actions
from tenants.api.scoped import ScopedView
from tenants.api.serializers import Plain
from tenants.models import TenantSettings


class AliasIn(Plain):
    """A name to be given."""

    alias = serializers.CharField(help_text="the name: small letters, digits, dots, dashes, underscores")
    model = serializers.CharField(help_text="the model as a call would name it: account/model, or plainly")


class AliasOut(serializers.Serializer[Any]):
    """A name and the model it stands for."""

    alias = serializers.CharField()
    model = serializers.CharField()


class AliasChanged(AliasOut):
    """A name that was given or taken away."""

    pending = serializers.BooleanField()


class AliasList(serializers.Serializer[Any]):
    """All names there are; they come in one page."""

    data = AliasOut(many=True)  # type: ignore[assignment]  # the stubs know a member of this name


def _shape(alias: str, model: str) -> dict[str, Any]:
    return dict(AliasOut({"alias": alias, "model": model}).data)


class AliasesBase(ScopedView):
    """What the views of names share."""

    scope_noun = "settings"

    @property
    def aliases(self) -> dict[str, str]:
        """The names in the key's mode."""
        found: dict[str, str] = TenantSettings.objects.get(tenant=self.tenant, mode=self.mode).model_aliases
        return found


class AliasesView(AliasesBase):
    """All names in the key's mode."""

    @extend_schema(operation_id="model_aliases_list", responses=AliasList)
    def get(self, request: Request) -> Response:
        """List the tenant's own names for models, by name."""
        return Response({"data": [_shape(alias, model) for alias, model in sorted(self.aliases.items())]})

    @extend_schema(
        operation_id="model_aliases_create", request=AliasIn, responses={200: AliasChanged, 201: AliasChanged}
    )
    def post(self, request: Request) -> Response:
        """Give a model a name; calls that use it are served, priced and booked as the model's own."""
        given = AliasIn(data=request.data)
        given.is_valid(raise_exception=True)
        alias, model = given.validated_data["alias"], given.validated_data["model"]
        return self.carry_out(
            lambda: actions.create_alias(
                tenant=self.tenant, mode=self.mode, actor=self.actor, alias=alias, model=model
            ),
            lambda settings: _shape(alias, settings.model_aliases[alias]),
        )


class AliasView(AliasesBase):
    """One name."""

    @extend_schema(operation_id="model_aliases_delete", request=None, responses=AliasChanged)
    def delete(self, request: Request, alias: str) -> Response:
        """Take a name away, in force for the next request."""
        model = self.aliases.get(alias)
        if model is None:
            raise Http404
        return self.carry_out(
            lambda: actions.delete_alias(tenant=self.tenant, mode=self.mode, actor=self.actor, alias=alias),
            lambda settings: _shape(alias, model),
        )
