"""Prepaid credit by API: customers who pay first, their links, top-ups, and what each payment brought or took."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from billing.api.serializers import SignedUsdField
from billing.api.stripe_views import StripeView
from billing.models import PrepaidBudget, PrepaidEntry, TopUp
from billing.prepaid import opening
from billing.prepaid.amounts import NANOUSD_PER_CENT
from billing.prepaid.links import DAYS_MAX, make_link
from billing.prepaid.reading import figures_of
from billing.prepaid.topping_up import start_top_up
from metering.money import format_usd
from tenants.api.fields import UsdField
from tenants.api.serializers import Plain
from tenants.errors import InvalidInput, WrongState
from tenants.models import Customer


class PrepaidOut(serializers.Serializer[Any]):
    """A customer who pays first; amounts are null where enforcement could not be asked."""

    customer = serializers.CharField()
    budget = serializers.CharField()
    state = serializers.ChoiceField(choices=["active", "closed"])
    credit_usd = UsdField(help_text="what was paid and not taken back: the budget's limit")
    spent_usd = UsdField(allow_null=True)
    held_usd = UsdField(allow_null=True)
    available_usd = UsdField(allow_null=True)
    created_at = serializers.DateTimeField()
    pending = serializers.BooleanField(required=False)


class PrepaidEntryOut(serializers.Serializer[Any]):
    """One change of a customer's credit; it never changes."""

    kind = serializers.ChoiceField(choices=PrepaidEntry.Kind.choices)
    amount_usd = SignedUsdField(help_text="negative for what was taken back")
    stripe_object = serializers.CharField(help_text="the payment, refund or dispute")
    top_up = serializers.CharField()
    at = serializers.DateTimeField()


class LinkIn(Plain):
    """A link to be made."""

    days = serializers.IntegerField(default=7, min_value=1, max_value=DAYS_MAX)


class LinkOut(serializers.Serializer[Any]):
    """A link by which a customer buys credit without an account."""

    url = serializers.CharField()
    expires_at = serializers.DateTimeField()


class TopUpIn(Plain):
    """Credit to be bought."""

    customer = serializers.CharField(max_length=64)
    amount_usd = UsdField(
        help_text="1.00 to 10000.00, in whole cents of US dollars: no other currency is taken"
    )
    return_url = serializers.URLField(
        required=False,
        max_length=500,
        help_text="where the customer comes back to; our own page where left out",
    )


class TopUpOut(serializers.Serializer[Any]):
    """A page to pay on. The credit is there once ``status`` is ``paid``, and not before."""

    id = serializers.CharField()
    customer = serializers.CharField()
    status = serializers.ChoiceField(choices=TopUp.Status.choices)
    amount_usd = UsdField()
    url = serializers.CharField(help_text="where to pay, while it is open")
    payment_intent = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()


class PrepaidBase(StripeView):
    """Views of one customer's credit."""

    def prepaid(self, customer_id: str) -> PrepaidBudget:
        """The caller's customer's prepaid budget, else 404."""
        rows = PrepaidBudget.objects.for_scope(self.tenant, self.mode)
        return get_object_or_404(rows.select_related("budget", "customer", "tenant"), customer_id=customer_id)


class PrepaidView(PrepaidBase):
    """One customer's credit."""

    @extend_schema(operation_id="billing_prepaid_get", responses=PrepaidOut)
    def get(self, request: Request, customer_id: str) -> Response:
        """Read a customer's credit; 404 where it does not pay first."""
        return Response(_shape(self.prepaid(customer_id)))

    @extend_schema(operation_id="billing_prepaid_open", request=None, responses={201: PrepaidOut})
    def post(self, request: Request, customer_id: str) -> Response:
        """Have a customer pay first: its calls are refused until credit is bought, and its usage is not invoiced."""
        rows = Customer.objects.for_scope(self.tenant, self.mode).select_related("tenant")
        row = get_object_or_404(rows, pk=customer_id)
        return self.carry_out(lambda: opening.open_prepaid(customer=row, actor=self.actor), _shape)

    @extend_schema(operation_id="billing_prepaid_close", responses={200: PrepaidOut})
    def delete(self, request: Request, customer_id: str) -> Response:
        """End paying first: the prepaid budget limits nothing any more. It cannot be opened again."""
        row = self.prepaid(customer_id)

        def shape(_: Any) -> dict[str, Any]:
            return _shape(self.prepaid(customer_id))

        return self.carry_out(lambda: opening.close_prepaid(prepaid=row, actor=self.actor), shape)


class PrepaidEntriesView(PrepaidBase):
    """What a customer paid and what was taken back."""

    @extend_schema(operation_id="billing_prepaid_entries", responses=PrepaidEntryOut(many=True))
    def get(self, request: Request, customer_id: str) -> Response:
        """List a customer's entries, newest first; their sum is its credit."""
        row = self.prepaid(customer_id)
        return self.page(
            row.entries.all(),
            lambda found: [_entry_shape(each) for each in found],
            by=("-at", "-id"),
        )


class PrepaidLinkView(PrepaidBase):
    """The link by which a customer buys credit."""

    @extend_schema(operation_id="billing_prepaid_link", request=LinkIn, responses={201: LinkOut})
    def post(self, request: Request, customer_id: str) -> Response:
        """Make a link that expires; whoever has it can pay for this customer and see its credit, nothing else."""
        row = self.prepaid(customer_id)
        given = LinkIn(data=request.data)
        given.is_valid(raise_exception=True)
        link = make_link(row, lasts=timedelta(days=given.validated_data["days"]))
        return Response(LinkOut(link).data, status=201)


class TopUpsView(StripeView):
    """Credit being bought."""

    def _rows(self) -> QuerySet[TopUp]:
        return TopUp.objects.for_scope(self.tenant, self.mode).select_related("prepaid")

    @extend_schema(
        operation_id="billing_top_ups_list",
        parameters=[OpenApiParameter("customer", str, description="a customer's id")],
        responses=TopUpOut(many=True),
    )
    def get(self, request: Request) -> Response:
        """List top-ups, newest first."""
        rows = self._rows()
        wanted = request.query_params.get("customer")
        if wanted is not None:
            rows = rows.filter(prepaid__customer_id=wanted)
        return self.page(rows, lambda found: [_top_up_shape(row) for row in found])

    @extend_schema(operation_id="billing_top_ups_create", request=TopUpIn, responses={201: TopUpOut})
    def post(self, request: Request) -> Response:
        """Open a page at Stripe on which a customer pays. Its budget rises when the payment has arrived."""
        given = TopUpIn(data=request.data)
        given.is_valid(raise_exception=True)
        values = given.validated_data
        row = self._prepaid(values["customer"])
        back = values.get("return_url") or make_link(row).url + "paid/"
        made = start_top_up(
            prepaid=row, actor=self.actor, amount_nanousd=values["amount_usd"], return_url=back
        )
        return Response(_top_up_shape(made), status=201)

    def _prepaid(self, customer_id: str) -> PrepaidBudget:
        customer = Customer.objects.for_scope(self.tenant, self.mode).filter(pk=customer_id).first()
        if customer is None:
            raise InvalidInput("customer", f"no customer {customer_id} in mode {self.mode}")
        rows = PrepaidBudget.objects.select_related("budget", "customer", "tenant")
        found = rows.filter(customer=customer).first()
        if found is None:
            raise WrongState(
                f"customer {customer_id} does not pay first: POST /api/v1/billing/prepaid/{customer_id}"
            )
        return found


class TopUpView(StripeView):
    """One top-up."""

    @extend_schema(operation_id="billing_top_ups_get", responses=TopUpOut)
    def get(self, request: Request, top_up_id: str) -> Response:
        """Read a top-up as it was last seen at Stripe."""
        rows = TopUp.objects.for_scope(self.tenant, self.mode).select_related("prepaid")
        return Response(_top_up_shape(get_object_or_404(rows, pk=top_up_id)))


def _shape(row: PrepaidBudget) -> dict[str, Any]:
    figures = figures_of(row)
    shown = {
        "customer": row.customer_id, "budget": row.budget_id, "created_at": row.created_at,
        "state": "closed" if row.budget.archived_at else "active", "credit_usd": figures.credit_nanousd,
        "spent_usd": figures.spent_nanousd, "held_usd": figures.held_nanousd,
        "available_usd": figures.available_nanousd, "pending": figures.pending,
    }  # fmt: skip
    return dict(PrepaidOut(shown).data)


def _entry_shape(row: PrepaidEntry) -> dict[str, Any]:
    shown = {
        "kind": row.kind, "amount_usd": format_usd(row.amount_nanousd), "stripe_object": row.source_id,
        "top_up": row.top_up_id, "at": row.at,
    }  # fmt: skip
    return dict(PrepaidEntryOut(shown).data)


def _top_up_shape(row: TopUp) -> dict[str, Any]:
    shown = {
        "id": row.pk, "customer": row.prepaid.customer_id, "status": row.status, "url": row.url,
        "amount_usd": row.amount_minor * NANOUSD_PER_CENT, "payment_intent": row.payment_intent_id or None,
        "created_at": row.created_at,
    }  # fmt: skip
    return dict(TopUpOut(shown).data)
