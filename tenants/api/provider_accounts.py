"""Provider accounts: made, changed, their credential rotated, their connection tried."""

from __future__ import annotations

from typing import Any

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from tenants.actions import provider_accounts as actions
from tenants.api.scoped import ScopedView
from tenants.api.serializers import AccountIn, AccountOut, AccountPatch
from tenants.models import ProviderAccount
from tenants.probing import probe_account


def shape(account: ProviderAccount) -> dict[str, Any]:
    """A provider account as JSON; of its credential only a hint."""
    return dict(AccountOut(account).data)


class AccountsBase(ScopedView):
    """What the views of provider accounts share."""

    scope_noun = "provider_accounts"

    def row(self, account_id: str) -> ProviderAccount:
        """The caller's account of this id, else 404."""
        rows = ProviderAccount.objects.for_scope(self.tenant, self.mode).select_related("tenant")
        return get_object_or_404(rows, pk=account_id)


class AccountsView(AccountsBase):
    """All provider accounts of the key's mode."""

    @extend_schema(operation_id="provider_accounts_list", responses=AccountOut(many=True))
    def get(self, request: Request) -> Response:
        """List provider accounts, newest first."""
        rows = ProviderAccount.objects.for_scope(self.tenant, self.mode)
        return self.page(rows, lambda found: [shape(row) for row in found])

    @extend_schema(operation_id="provider_accounts_create", request=AccountIn, responses={201: AccountOut})
    def post(self, request: Request) -> Response:
        """Make a provider account; its credential is stored encrypted and never shown again."""
        given = AccountIn(data=request.data)
        given.is_valid(raise_exception=True)
        terms = actions.AccountTerms(**given.validated_data)
        return self.carry_out(
            lambda: actions.create_provider_account(
                tenant=self.tenant, mode=self.mode, actor=self.actor, terms=terms
            ),
            shape,
        )


class AccountView(AccountsBase):
    """One provider account."""

    @extend_schema(operation_id="provider_accounts_get", responses=AccountOut)
    def get(self, request: Request, account_id: str) -> Response:
        """Read a provider account."""
        return Response(shape(self.row(account_id)))

    @extend_schema(operation_id="provider_accounts_change", request=AccountPatch, responses=AccountOut)
    def patch(self, request: Request, account_id: str) -> Response:
        """Change a provider account, in force for the next request; ``api_key`` rotates its credential."""
        row = self.row(account_id)
        given = AccountPatch(data=request.data)
        given.is_valid(raise_exception=True)
        return self.carry_out(
            lambda: actions.change_provider_account(
                account=row, actor=self.actor, values=given.validated_data
            ),
            shape,
        )

    @extend_schema(operation_id="provider_accounts_delete", responses={200: AccountOut})
    def delete(self, request: Request, account_id: str) -> Response:
        """Disable a provider account for ever and forget its credential."""
        row = self.row(account_id)
        return self.carry_out(lambda: actions.delete_provider_account(account=row, actor=self.actor), shape)


class ProbeOut(serializers.Serializer[Any]):
    """Whether an account works."""

    works = serializers.BooleanField()
    code = serializers.CharField()
    message = serializers.CharField()
    status = serializers.IntegerField(allow_null=True)
    latency_ms = serializers.IntegerField(allow_null=True)
    models = serializers.ListField(child=serializers.CharField())


class AccountTestView(AccountsBase):
    """Trying a provider account."""

    @extend_schema(operation_id="provider_accounts_test", request=None, responses=ProbeOut)
    def post(self, request: Request, account_id: str) -> Response:
        """List the account's models with its credential; spends nothing. A failure is told in the answer."""
        return Response(ProbeOut(probe_account(self.row(account_id))).data)
