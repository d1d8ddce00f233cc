"""Customers: found, opened with a budget and a key in one form, suspended and resumed."""

from __future__ import annotations

from dataclasses import dataclass

from django.core.paginator import Page, Paginator
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_POST, require_safe

from tenants.actions.budgets import BudgetTerms
from tenants.actions.customers import change_customer, resume_customer, suspend_customer
from tenants.actions.opening import OpenedCustomer, open_customer
from tenants.errors import TenantsError
from tenants.models import Budget, Customer
from tenants.portal.access import Desk, Right, at_desk
from tenants.portal.forms import CustomerForm, OpenCustomerForm
from tenants.portal.gauges import Gauge, mark_of, read_gauges
from tenants.portal.pages import attempt, fragment, go, is_htmx, page, put_in_force, row_or_404, tell
from tenants.portal.snippets import snippets_for

PER_PAGE = 25


@dataclass(frozen=True, slots=True)
class Line:
    """A customer in the list with the gauge that is nearest to its limit."""

    customer: Customer
    gauge: Gauge | None
    more: int


@require_safe
@at_desk()
def customers(request: HttpRequest, desk: Desk) -> HttpResponse:
    """List customers by name or id, newest first, each with its tightest budget."""
    search = request.GET.get("q", "").strip()[:200]
    found = customers_of(desk)
    if search:
        found = found.filter(Q(external_id__icontains=search) | Q(name__icontains=search) | Q(pk=search))
    shown = Paginator(found, PER_PAGE).get_page(request.GET.get("page"))
    lines = lines_of(desk, shown)
    context = {
        "lines": lines,
        "shown": shown,
        "search": search,
        "has_any": bool(search) or shown.paginator.count > 0,
        "mark": mark_of(search, shown.number, [_moving(line) for line in lines]),
    }
    if is_htmx(request):
        return fragment(request, desk, "portal/_customer_list.html", context)
    return page(request, desk, "portal/customers.html", context)


def lines_of(desk: Desk, shown: Page[Customer]) -> list[Line]:
    """Read the gauges of the customers on a page in one round trip."""
    budgets = Budget.objects.for_scope(desk.tenant, desk.mode).in_force()
    ours = list(
        budgets.filter(scope=Budget.Scope.CUSTOMER, customer__in=[row.pk for row in shown]).order_by("pk")
    )
    gauges: dict[str, list[Gauge]] = {}
    for gauge in read_gauges(ours):
        gauges.setdefault(gauge.budget.customer_id or "", []).append(gauge)
    return [_line(row, gauges.get(row.pk, [])) for row in shown]


def _moving(line: Line) -> tuple[object, ...]:
    return line.customer.pk, line.customer.version, line.gauge and line.gauge.balance


def _line(customer: Customer, gauges: list[Gauge]) -> Line:
    tightest = max(gauges, key=lambda gauge: gauge.used_permille, default=None)
    return Line(customer, tightest, max(0, len(gauges) - 1))


def customers_of(desk: Desk) -> QuerySet[Customer]:
    """The customers of a desk's tenant and mode."""
    return Customer.objects.for_scope(desk.tenant, desk.mode)


@at_desk(Right.CUSTOMERS, Right.BUDGETS, Right.KEYS)
def new_customer(request: HttpRequest, desk: Desk) -> HttpResponse:
    """Open a customer with its budget and key; the key is on the answer's page and nowhere else."""
    form = OpenCustomerForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        opened = attempt(form, lambda: _open(desk, form))
        if opened is not None:
            put_in_force(request, opened.entries, f"{opened.customer} can make calls.")
            context = {
                "customer": opened.customer,
                "secret": opened.issued.secret,
                "key": opened.issued.row,
                "snippets": snippets_for(desk.tenant, desk.mode, opened.issued.secret),
            }
            return page(request, desk, "portal/key_shown.html", context)
    return page(request, desk, "portal/customer_new.html", {"form": form}, status=422 if form.errors else 200)


def _open(desk: Desk, form: OpenCustomerForm) -> OpenedCustomer:
    given = form.cleaned_data
    terms = BudgetTerms(
        limit_nanousd=given["limit_usd"],
        window_kind=given["window"],
        anchor_day=given["anchor_day"],
        on_exhaustion=given["on_exhaustion"],
    )
    return open_customer(
        tenant=desk.tenant,
        mode=desk.mode,
        actor=desk.actor,
        external_id=given["external_id"],
        terms=terms,
        values={"name": given["name"]},
    )


@at_desk(Right.CUSTOMERS)
def rename_customer(request: HttpRequest, desk: Desk, customer_id: str) -> HttpResponse:
    """Change the name under which members see a customer."""
    customer = row_or_404(customers_of(desk), pk=customer_id)
    form = CustomerForm(
        request.POST or None, initial={"external_id": customer.external_id, "name": customer.name}
    )
    form.fields["external_id"].disabled = True
    if request.method == "POST" and form.is_valid():
        values = {"name": form.cleaned_data["name"]}
        change = attempt(form, lambda: change_customer(customer=customer, actor=desk.actor, values=values))
        if change is not None:
            put_in_force(request, change.entries, "The name is changed.")
            return go(desk, "customer", customer_id=customer.pk)
    context = {"form": form, "customer": customer}
    return page(request, desk, "portal/customer_rename.html", context, status=422 if form.errors else 200)


@require_POST
@at_desk(Right.CUSTOMERS)
def set_customer_state(request: HttpRequest, desk: Desk, customer_id: str) -> HttpResponse:
    """Suspend a customer, or let it make calls again."""
    customer = row_or_404(customers_of(desk), pk=customer_id)
    suspend = request.POST.get("state") == "suspended"
    try:
        change = (suspend_customer if suspend else resume_customer)(customer=customer, actor=desk.actor)
    except TenantsError as error:
        tell(request, error)
    else:
        done = (
            f"{customer} is suspended: its calls are refused."
            if suspend
            else f"{customer} may make calls again."
        )
        put_in_force(request, change.entries, done)
    return go(desk, "customer", customer_id=customer.pk)
