"""The tenant itself: settings and markup."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from tenants.actions import tenants as actions
from tenants.actions.recording import Change
from tenants.api.money_serializers import MarkupOut, SettingsIn, SettingsOut, TenantIn, TenantOut
from tenants.api.scoped import ScopedView
from tenants.api.serializers import MarkupFields
from tenants.balances import is_policy_pending
from tenants.models import TenantSettings


def shape_settings(settings: TenantSettings) -> dict[str, Any]:
    """The settings of one mode as JSON."""
    return dict(SettingsOut(_columns(settings)).data)


def shape_tenant(settings: TenantSettings) -> dict[str, Any]:
    """The tenant in one mode, settings and markup, as JSON."""
    return dict(TenantOut(_columns(settings)).data)


def _columns(settings: TenantSettings) -> dict[str, Any]:
    sources = {str(field.source) for field in TenantOut().fields.values()}
    names = sources - {"name", "zone", "tenant_id", "pending", "default_budget"}
    default = None
    if settings.default_limit_nanousd is not None:
        default = {
            "limit_usd": settings.default_limit_nanousd,
            "window": settings.default_window_kind,
            "zone": settings.default_zone,
            "measure": settings.default_measure,
            "on_exhaustion": settings.default_on_exhaustion,
        }
    return {
        **{name: getattr(settings, name) for name in names},
        "tenant_id": settings.tenant_id,
        "name": settings.tenant.name,
        "zone": settings.tenant.zone,
        "default_budget": default,
        "pending": is_policy_pending(settings),
    }


def shape_markup(settings: TenantSettings) -> dict[str, Any]:
    """The markup of one mode as JSON."""
    names = ("markup_bp", "markup_fixed_nanousd", "markup_models")
    row = {name: getattr(settings, name) for name in names}
    return dict(MarkupOut({**row, "pending": is_policy_pending(settings)}).data)


class SettingsView(ScopedView):
    """What holds for every call of the key's mode."""

    scope_noun = "settings"

    def _row(self) -> TenantSettings:
        return TenantSettings.objects.select_related("tenant").get(tenant=self.tenant, mode=self.mode)

    @extend_schema(operation_id="settings_get", responses=SettingsOut)
    def get(self, request: Request) -> Response:
        """Read the settings."""
        return Response(shape_settings(self._row()))

    @extend_schema(operation_id="settings_change", request=SettingsIn, responses=SettingsOut)
    def patch(self, request: Request) -> Response:
        """Change settings, in force for the next request."""
        given = SettingsIn(data=request.data)
        given.is_valid(raise_exception=True)
        return self.carry_out(lambda: self._change(dict(given.validated_data)), shape_settings)

    def _change(self, values: dict[str, Any]) -> Change[TenantSettings]:
        entries: tuple[int, ...] = ()
        markup = {name: values.pop(name) for name in actions.MARKUP_COLUMNS if name in values}
        own = {name: values.pop(name) for name in ("name", "zone") if name in values}
        if own:
            entries = actions.change_tenant(tenant=self.tenant, actor=self.actor, **own).entries
        if "default_budget" in values:
            values |= _default_columns(values.pop("default_budget"))
        if values:
            change = actions.change_settings(
                tenant=self.tenant, mode=self.mode, actor=self.actor, changes=values
            )
            entries += change.entries
        if markup:
            entries += actions.change_markup(
                tenant=self.tenant, mode=self.mode, actor=self.actor, changes=markup
            ).entries
        return Change(self._row(), entries)


class TenantView(SettingsView):
    """The tenant in the key's mode: its settings and its markup."""

    @extend_schema(operation_id="tenant_get", responses=TenantOut)
    def get(self, request: Request) -> Response:
        """Read the tenant's settings and markup."""
        return Response(shape_tenant(self._row()))

    @extend_schema(operation_id="tenant_change", request=TenantIn, responses=TenantOut)
    def patch(self, request: Request) -> Response:
        """Change settings and markup, in force for the next request; what is not given stays as it is."""
        given = TenantIn(data=request.data)
        given.is_valid(raise_exception=True)
        return self.carry_out(lambda: self._change(dict(given.validated_data)), shape_tenant)


def _default_columns(given: dict[str, Any] | None) -> dict[str, Any]:
    """The template's columns; setting one admits unknown customers, taking it away refuses them."""
    if given is None:
        return {"default_limit_nanousd": None, "unknown_customer": "refuse"}
    return {
        "default_limit_nanousd": given["limit_usd"],
        "default_window_kind": given["window"],
        "default_zone": given["zone"],
        "default_measure": given["measure"],
        "default_on_exhaustion": given["on_exhaustion"],
    }


class MarkupView(ScopedView):
    """How cost becomes charge."""

    scope_noun = "prices"

    @extend_schema(operation_id="markup_get", responses=MarkupOut)
    def get(self, request: Request) -> Response:
        """Read the tenant's markup."""
        return Response(shape_markup(self.tenant.settings_for(self.mode)))

    @extend_schema(operation_id="markup_put", request=MarkupFields, responses=MarkupOut)
    def put(self, request: Request) -> Response:
        """Set the whole markup; what is not given is none. Customers with one of their own keep it."""
        given = MarkupFields(data=request.data)
        given.is_valid(raise_exception=True)
        values = {"markup_bp": 0, **given.validated_data}
        return self.carry_out(
            lambda: actions.set_markup(tenant=self.tenant, mode=self.mode, actor=self.actor, **values),
            shape_markup,
        )
