"""The JSON of billing through Stripe, in and out."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from billing.models import CustomerMap, StripeConnection, StripeMeter
from billing.models.stripe_meter import USAGE_LINE
from billing.stripe.keys import KEY_CHARS_MAX, is_simulated
from tenants.api.serializers import Plain
from tenants.models import Customer


class StripeKeyIn(Plain):
    """A key of Stripe's."""

    api_key = serializers.CharField(
        max_length=KEY_CHARS_MAX, help_text="a restricted key, rk_test_… or rk_live_…"
    )


class ConnectionOut(serializers.Serializer[StripeConnection]):
    """A connection to Stripe; of its key only the end."""

    id = serializers.CharField()
    mode = serializers.CharField()
    kind = serializers.ChoiceField(choices=StripeConnection.Kind.choices)
    status = serializers.ChoiceField(choices=StripeConnection.Status.choices)
    why = serializers.CharField(help_text="why it is broken, else empty")
    key_last4 = serializers.CharField()
    stripe_account = serializers.CharField(help_text="empty where the key may not read it")
    api_version = serializers.CharField()
    scopes_missing = serializers.ListField(
        child=serializers.CharField(),
        help_text="permissions that the key lacks; nothing else is kept from working",
    )
    events = serializers.SerializerMethodField(help_text="`webhook`, or `polled`")
    simulated = serializers.SerializerMethodField(help_text="Stripe is a simulator here: nothing is invoiced")
    checked_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()

    def get_events(self, row: StripeConnection) -> str:
        """How events arrive."""
        return "webhook" if row.webhook_endpoint_id else "polled"

    def get_simulated(self, row: StripeConnection) -> bool:
        """Whether it is a simulator."""
        return is_simulated()


class CheckOut(serializers.Serializer[Any]):
    """One check of a connection."""

    name = serializers.CharField()
    ok = serializers.BooleanField()
    found = serializers.CharField()
    advice = serializers.CharField(help_text="what to do where it is not ok")
    is_serious = serializers.BooleanField(help_text="whether usage is kept back by it")


class ChecksOut(serializers.Serializer[Any]):
    """A connection looked over."""

    status = serializers.CharField()
    checks = CheckOut(many=True)


class MeterIn(Plain):
    """A meter to set up. Without ids everything that is missing is made."""

    currency = serializers.RegexField(r"^[a-z]{3}$", help_text="lower-case, such as usd")
    line = serializers.CharField(default=USAGE_LINE, max_length=40)
    meter_id = serializers.CharField(
        default="", max_length=64, help_text="a meter of the Stripe account to adopt"
    )
    price_id = serializers.CharField(default="", max_length=64, help_text="a price on it to adopt")


class MeterOut(serializers.Serializer[StripeMeter]):
    """Where usage of a currency goes at Stripe, and its price."""

    id = serializers.CharField()
    mode = serializers.CharField()
    currency = serializers.CharField()
    line = serializers.CharField()
    unit_minor = serializers.IntegerField(help_text="what one counted unit costs, in the smallest coin")
    stripe_meter_id = serializers.CharField()
    event_name = serializers.CharField()
    product_id = serializers.CharField()
    price_id = serializers.CharField()
    adopted = serializers.BooleanField()
    status = serializers.ChoiceField(choices=StripeMeter.Status.choices)
    why = serializers.CharField()
    created_at = serializers.DateTimeField()


class MapIn(Plain):
    """Who a customer is at Stripe: one that is there, or a new one."""

    stripe_customer_id = serializers.CharField(required=False, max_length=64, help_text="cus_…")
    new = serializers.BooleanField(default=False, help_text="make the customer at Stripe")
    email = serializers.EmailField(default="", help_text="of the customer to be made")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """One or the other."""
        if bool(attrs.get("stripe_customer_id")) == attrs["new"]:
            raise serializers.ValidationError("give stripe_customer_id, or new: true")
        return attrs


class SubscribeIn(Plain):
    """The price to put a customer on, by its currency, and where."""

    currency = serializers.RegexField(r"^[a-z]{3}$", default="usd")
    line = serializers.CharField(default=USAGE_LINE, max_length=40)
    subscription_id = serializers.CharField(
        default="", max_length=64, help_text="a subscription of the customer; without it one is made"
    )


class MapOut(serializers.Serializer[Any]):
    """A customer's counterpart at Stripe, as last read there."""

    customer = serializers.CharField()
    external_id = serializers.CharField()
    mode = serializers.CharField()
    state = serializers.ChoiceField(choices=CustomerMap.State.choices)
    stripe_customer_id = serializers.CharField()
    subscription_id = serializers.CharField()
    subscription_item_id = serializers.CharField()
    subscription_status = serializers.CharField()
    currency = serializers.CharField()
    period_start = serializers.DateTimeField(allow_null=True)
    period_end = serializers.DateTimeField(allow_null=True)
    checked_at = serializers.DateTimeField(allow_null=True)


class MappedLineOut(serializers.Serializer[Any]):
    """What became of one line; the header is line 1."""

    line = serializers.IntegerField()
    external_id = serializers.CharField()
    outcome = serializers.ChoiceField(choices=("mapped", "unchanged", "failed"))
    state = serializers.CharField()
    error = serializers.CharField()


class MapImportOut(serializers.Serializer[Any]):
    """What became of every line that names a Stripe customer."""

    mapped = serializers.IntegerField()
    unchanged = serializers.IntegerField()
    failed = serializers.IntegerField()
    lines = MappedLineOut(many=True)


class MatchedOut(serializers.Serializer[Any]):
    """The customers that were found by what Stripe's customers carry."""

    matched = serializers.IntegerField()
    maps = MapOut(many=True)


def shape_map(customer: Customer, mapping: CustomerMap | None) -> dict[str, Any]:
    """A customer's mapping as JSON; one that was never made is ``unmapped``."""
    row = mapping or CustomerMap(customer=customer, mode=customer.mode)
    names = [str(name) for name in MapOut().get_fields()][2:]
    own = {"customer": customer.pk, "external_id": customer.external_id}
    return dict(MapOut({**own, **{name: getattr(row, name) for name in names}}).data)
