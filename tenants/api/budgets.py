"""Budgets with their balances: made, given another limit, archived."""

from __future__ import annotations

from typing import Any

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from tenants.actions import budgets as actions
from tenants.actions.recording import Change
from tenants.api.money_serializers import BudgetIn, BudgetOut, BudgetPatch
from tenants.api.scoped import ScopedView
from tenants.balances import BudgetBalance, read_balances
from tenants.errors import InvalidInput
from tenants.models import Budget, Customer, Key


def shape_many(budgets: list[Budget]) -> list[dict[str, Any]]:
    """Budgets as JSON, their balances read together."""
    balances = read_balances(budgets)
    return [_shaped(budget, balances[budget.pk]) for budget in budgets]


def shape(budget: Budget) -> dict[str, Any]:
    """A budget as JSON with its balance."""
    return shape_many([budget])[0]


def shape_plain(budget: Budget) -> dict[str, Any]:
    """A budget as JSON without asking Redis."""
    return _shaped(budget, None)


def _shaped(budget: Budget, balance: BudgetBalance | None) -> dict[str, Any]:
    row = {
        "id": budget.pk,
        "scope": budget.scope,
        "customer": budget.customer_id,
        "key": budget.key_id,
        "mode": budget.mode,
        "name": budget.name,
        "limit_usd": budget.limit_nanousd,
        "spent_usd": balance and balance.spent_nanousd,
        "held_usd": balance and balance.held_nanousd,
        "available_usd": balance and balance.available_nanousd,
        "balance": balance.source if balance else "unavailable",
        "measure": budget.measure,
        "on_exhaustion": budget.on_exhaustion,
        "count_so_far": budget.count_so_far,
        "window": {
            "kind": budget.window_kind,
            "zone": budget.zone,
            "anchor_day": budget.anchor_day,
            "start": balance and balance.starts_at,
            "end": balance and balance.ends_at,
        },
        "state": "archived" if budget.archived_at else "active",
        "pending": balance.pending if balance else True,
        "created_at": budget.created_at,
        "updated_at": budget.updated_at,
    }
    return dict(BudgetOut(row).data)


class BudgetsView(ScopedView):
    """All budgets of the key's mode."""

    scope_noun = "budgets"

    @extend_schema(
        operation_id="budgets_list",
        parameters=[
            OpenApiParameter("customer"),
            OpenApiParameter("key"),
            OpenApiParameter("scope"),
            OpenApiParameter(
                "state", enum=["active", "archived", "all"], description="active unless said otherwise"
            ),
        ],
        responses=BudgetOut(many=True),
    )
    def get(self, request: Request) -> Response:
        """List budgets with their balances, newest first."""
        rows = Budget.objects.for_scope(self.tenant, self.mode)
        wanted = request.query_params
        if "customer" in wanted:
            rows = rows.filter(customer_id=wanted["customer"])
        if "key" in wanted:
            rows = rows.filter(key_id=wanted["key"])
        if "scope" in wanted:
            rows = rows.filter(scope=wanted["scope"])
        state = wanted.get("state", "active")
        if state != "all":
            rows = rows.filter(archived_at__isnull=state == "active")
        return self.page(rows, shape_many)

    @extend_schema(operation_id="budgets_create", request=BudgetIn, responses={201: BudgetOut})
    def post(self, request: Request) -> Response:
        """Make a budget. It counts from now, or with ``count_so_far`` from the start of the window that is running."""
        given = BudgetIn(data=request.data)
        given.is_valid(raise_exception=True)
        values = given.validated_data
        target = self._target(values)
        terms = actions.BudgetTerms(
            limit_nanousd=values["limit_usd"],
            window_kind=values["window"],
            zone=values.get("zone"),
            anchor_day=values["anchor_day"],
            measure=values.get("measure"),
            on_exhaustion=values["on_exhaustion"],
            name=values.get("name", ""),
            count_so_far=values["count_so_far"],
        )
        return self.carry_out(
            lambda: actions.create_budget(
                tenant=self.tenant, mode=self.mode, actor=self.actor, terms=terms, target=target
            ),
            shape,
            plain=shape_plain,
        )

    def _target(self, values: dict[str, Any]) -> Customer | Key | None:
        """Whom the budget is for; the whole tenant only if that is said."""
        named = {noun: values[noun] for noun in ("customer", "key") if values.get(noun)}
        scope = values.get("scope") or next(iter(named), None)
        if (
            len(named) > 1
            or scope is None
            or (scope == "tenant") == bool(named)
            or (named and scope not in named)
        ):
            raise InvalidInput(
                "scope", 'give a customer, or a key, or "scope": "tenant" for all calls of the tenant'
            )
        if scope == "tenant":
            return None
        model: type[Customer] | type[Key] = Customer if scope == "customer" else Key
        found = model.objects.for_scope(self.tenant, self.mode).filter(pk=named[scope]).first()
        if found is None:
            raise InvalidInput(scope, f"no {scope} {named[scope]} in mode {self.mode}")
        return found


class BudgetView(ScopedView):
    """One budget."""

    scope_noun = "budgets"

    def _row(self, budget_id: str) -> Budget:
        return get_object_or_404(Budget.objects.for_scope(self.tenant, self.mode), pk=budget_id)

    @extend_schema(operation_id="budgets_get", responses=BudgetOut)
    def get(self, request: Request, budget_id: str) -> Response:
        """Read a budget with its balance."""
        return Response(shape(self._row(budget_id)))

    @extend_schema(operation_id="budgets_change", request=BudgetPatch, responses=BudgetOut)
    def patch(self, request: Request, budget_id: str) -> Response:
        """Change a budget; a limit is in force for the next request. Below spent + held it refuses until it fits."""
        row = self._row(budget_id)
        given = BudgetPatch(data=request.data)
        given.is_valid(raise_exception=True)
        return self.carry_out(lambda: self._change(row, given.validated_data), shape, plain=shape_plain)

    @extend_schema(operation_id="budgets_archive", responses={200: BudgetOut})
    def delete(self, request: Request, budget_id: str) -> Response:
        """Archive a budget: no further call draws on it, its history stays."""
        row = self._row(budget_id)
        return self.carry_out(
            lambda: actions.archive_budget(budget=row, actor=self.actor), shape, plain=shape_plain
        )

    def _change(self, row: Budget, values: dict[str, Any]) -> Change[Budget]:
        limit_nanousd = values.pop("limit_usd", None)
        change = actions.change_terms(budget=row, actor=self.actor, **values) if values else Change(row)
        if limit_nanousd is None:
            return change
        limited = actions.change_limit(budget=change.row, actor=self.actor, limit_nanousd=limit_nanousd)
        return Change(limited.row, change.entries + limited.entries)
