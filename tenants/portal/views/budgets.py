"""Budgets of a customer: made, given another limit, archived."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from tenants.actions.budgets import BudgetTerms, archive_budget, change_limit, create_budget
from tenants.errors import WrongState
from tenants.models import Budget, Customer
from tenants.portal.access import Desk, Right, at_desk
from tenants.portal.forms import LimitForm, NewBudgetForm
from tenants.portal.gauges import read_gauges
from tenants.portal.pages import attempt, go, page, put_in_force, row_or_404, tell
from tenants.portal.views.customers import customers_of
from tenants.templatetags.money import usd_text


def customer_budgets(desk: Desk, customer: Customer) -> list[Budget]:
    """A customer's budgets that every call of it draws on."""
    budgets = Budget.objects.for_scope(desk.tenant, desk.mode).in_force()
    return list(budgets.filter(scope=Budget.Scope.CUSTOMER, customer=customer).order_by("created_at", "pk"))


@at_desk(Right.BUDGETS)
def new_budget(request: HttpRequest, desk: Desk, customer_id: str) -> HttpResponse:
    """Make a further budget for a customer: every call must fit into all of them."""
    customer = row_or_404(customers_of(desk), pk=customer_id)
    form = NewBudgetForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        terms = BudgetTerms(
            limit_nanousd=given["limit_usd"],
            window_kind=given["window"],
            anchor_day=given["anchor_day"],
            measure=given["measure"],
            on_exhaustion=given["on_exhaustion"],
        )
        change = attempt(
            form,
            lambda: create_budget(
                tenant=desk.tenant, mode=desk.mode, actor=desk.actor, terms=terms, target=customer
            ),
        )
        if change is not None:
            put_in_force(
                request, change.entries, f"The budget of {usd_text(change.row.limit_nanousd)} is in force."
            )
            return go(desk, "customer", customer_id=customer.pk)
    context = {"form": form, "customer": customer}
    return page(request, desk, "portal/budget_new.html", context, status=422 if form.errors else 200)


@at_desk(Right.BUDGETS)
def set_limit(request: HttpRequest, desk: Desk, budget_id: str) -> HttpResponse:
    """Give a budget another limit."""
    budget = _budget(desk, budget_id)
    form = LimitForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        limit_nanousd = form.cleaned_data["limit_usd"]
        change = attempt(
            form, lambda: change_limit(budget=budget, actor=desk.actor, limit_nanousd=limit_nanousd)
        )
        if change is not None:
            put_in_force(
                request, change.entries, f"The limit is {usd_text(limit_nanousd)} from the next call on."
            )
            return go(desk, "customer", customer_id=budget.customer_id)
    context = {"form": form, "budget": budget, "gauge": read_gauges([budget])[0]}
    return page(request, desk, "portal/budget_limit.html", context, status=422 if form.errors else 200)


@at_desk(Right.BUDGETS)
def archive(request: HttpRequest, desk: Desk, budget_id: str) -> HttpResponse:
    """Take a budget out of force for ever, after asking."""
    budget = _budget(desk, budget_id)
    if request.method == "POST":
        try:
            change = archive_budget(budget=budget, actor=desk.actor)
            put_in_force(request, change.entries, "The budget is archived.")
        except WrongState as error:
            tell(request, error)
        return go(desk, "customer", customer_id=budget.customer_id)
    others = len(customer_budgets(desk, budget.customer)) - 1 if budget.customer else 0
    return page(request, desk, "portal/budget_archive.html", {"budget": budget, "others": others})


def _budget(desk: Desk, budget_id: str) -> Budget:
    budgets = Budget.objects.for_scope(desk.tenant, desk.mode).in_force()
    return row_or_404(
        budgets.filter(scope=Budget.Scope.CUSTOMER).select_related("customer", "tenant"), pk=budget_id
    )
