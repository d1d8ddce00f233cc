"""The JSON of holds, in and out."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from billing.api.serializers import SignedUsdField
from billing.holding.granting import DIALECTS
from billing.ledger.resolving import REASON_CHARS_MAX, RESOLVED_NANOUSD_MAX
from metering.money import format_usd
from metering.usage import TOKEN_BUCKETS
from tenants.api.fields import UsdField
from tenants.api.serializers import Plain

TTL_SECONDS, TTL_SECONDS_MAX = 300, 6 * 3600
TOKENS_MAX = 100_000_000
TAGS_MAX = 16
NAME_CHARS_MAX = 200
STATES = ("reserved", "dispatched", "settled", "released", "expired")


class HoldIn(Plain):
    """A call that is about to be sent: by its body, or by the most that it uses."""

    customer = serializers.CharField(
        required=False, help_text="its id; needed with a server key and without a key"
    )
    key = serializers.CharField(
        required=False, help_text="a customer key's or a server key's id: its limits apply too"
    )
    model = serializers.CharField(
        required=False, max_length=NAME_CHARS_MAX, help_text="as a call would name it; may stand in the body"
    )
    account = serializers.CharField(required=False, help_text="a provider account, by id or name")
    provider = serializers.CharField(
        required=False, help_text="instead of an account: the provider's default one"
    )
    dialect = serializers.ChoiceField(choices=DIALECTS, required=False, help_text="how the body is written")
    route = serializers.CharField(
        required=False, help_text="the proxy's route for the body, such as /v1/responses"
    )
    body = serializers.DictField(required=False, help_text="the request as it will be sent")
    input_tokens_max = serializers.IntegerField(required=False, min_value=0, max_value=TOKENS_MAX)
    output_tokens_max = serializers.IntegerField(required=False, min_value=0, max_value=TOKENS_MAX)
    ttl_seconds = serializers.IntegerField(default=TTL_SECONDS, min_value=1, max_value=TTL_SECONDS_MAX)
    run = serializers.CharField(required=False, max_length=NAME_CHARS_MAX)
    tags = serializers.DictField(child=serializers.CharField(max_length=NAME_CHARS_MAX), required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """A payer, and one kind of bound."""
        stated = {name for name in ("input_tokens_max", "output_tokens_max") if name in attrs}
        if ("body" in attrs) == bool(stated) or len(stated) == 1:
            raise serializers.ValidationError(
                {"body": "send the body of the call, or input_tokens_max and output_tokens_max"}
            )
        if "customer" not in attrs and "key" not in attrs:
            raise serializers.ValidationError({"customer": "name the customer or the key that pays"})
        if "account" in attrs and "provider" in attrs:
            raise serializers.ValidationError({"provider": "goes without an account"})
        if "route" in attrs and "body" not in attrs:
            raise serializers.ValidationError({"route": "goes with a body"})
        if len(attrs.get("tags", {})) > TAGS_MAX:
            raise serializers.ValidationError({"tags": f"at most {TAGS_MAX} tags"})
        return attrs


class UsageField(serializers.DictField):
    """Tokens by disjoint bucket."""

    child = serializers.IntegerField(min_value=0, max_value=TOKENS_MAX)

    def to_internal_value(self, data: Any) -> dict[str, int]:
        """Read known buckets alone: tokens under a misspelt name must not be free."""
        found: dict[str, int] = super().to_internal_value(data)
        unknown = sorted(set(found) - set(TOKEN_BUCKETS))
        if unknown:
            raise serializers.ValidationError(f"{unknown}: the buckets are {' '.join(TOKEN_BUCKETS)}")
        return found


class HoldSettleIn(Plain):
    """How the call ended: what it used, or what it cost."""

    usage = UsageField(
        required=False, help_text=f"tokens by bucket, none counted twice: {' '.join(TOKEN_BUCKETS)}"
    )
    extras = serializers.DictField(
        child=serializers.IntegerField(min_value=0, max_value=TOKENS_MAX),
        required=False,
        help_text="counted extras by name, such as web_search",
    )
    cost_usd = UsdField(
        required=False, help_text="what the provider bills; the charge follows by the hold's markup"
    )
    response_model = serializers.CharField(required=False, max_length=NAME_CHARS_MAX)
    upstream_request_id = serializers.CharField(required=False, max_length=NAME_CHARS_MAX)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Usage or cost, never both: one of them would be a lie."""
        if ("usage" in attrs or "extras" in attrs) == ("cost_usd" in attrs):
            raise serializers.ValidationError({"usage": "send usage, or cost_usd"})
        if attrs.get("cost_usd", 0) > RESOLVED_NANOUSD_MAX:
            raise serializers.ValidationError(
                {"cost_usd": f"one call costs at most ${format_usd(RESOLVED_NANOUSD_MAX)}"}
            )
        return attrs


class HoldReleaseIn(Plain):
    """With a reason any open hold is taken away by hand; without, one's own that was never sent."""

    reason = serializers.CharField(
        required=False, max_length=REASON_CHARS_MAX, help_text="why; kept in the audit log"
    )


class HoldExtendIn(Plain):
    """For how long from now on."""

    ttl_seconds = serializers.IntegerField(default=TTL_SECONDS, min_value=1, max_value=TTL_SECONDS_MAX)


class HoldDrawOut(serializers.Serializer[Any]):
    """A budget that a hold draws on, in one of its windows."""

    budget = serializers.CharField()
    window = serializers.CharField()
    measure = serializers.ChoiceField(choices=("cost", "charge"))


class HoldOut(serializers.Serializer[Any]):
    """A hold. What it is for (``customer`` to ``run``) is told while it is open; its ledger row tells it afterwards."""

    id = serializers.CharField()
    state = serializers.ChoiceField(choices=STATES)
    is_overdue = serializers.BooleanField(help_text="past its deadline and not swept yet")
    by_api = serializers.BooleanField(allow_null=True, help_text="false for the proxy's own")
    request_id = serializers.CharField()
    customer = serializers.CharField(allow_null=True)
    key = serializers.CharField(allow_null=True, help_text="without a key, the API key that asked for it")
    provider = serializers.CharField(allow_null=True)
    model = serializers.CharField(allow_null=True)
    run = serializers.CharField(allow_null=True)
    held_cost_usd = SignedUsdField()
    held_charge_usd = SignedUsdField()
    cost_usd = SignedUsdField(allow_null=True, help_text="what it is booked at, once it has ended")
    charge_usd = SignedUsdField(allow_null=True)
    output_cap = serializers.IntegerField()
    created_at = serializers.DateTimeField()
    age_seconds = serializers.IntegerField()
    deadline = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)
    budgets = HoldDrawOut(many=True)


class HoldGrantedOut(HoldOut):
    """A fresh hold: send the call with no more output than ``output_cap`` says."""

    account = serializers.CharField()
    price = serializers.CharField()
    input_tokens_max = serializers.IntegerField()
    bound_class = serializers.ChoiceField(choices=("exact", "hard", "empirical"))
    is_clamped = serializers.BooleanField(help_text="the output cap was lowered to what fits")
    remaining_usd = SignedUsdField(help_text="what the tightest budget has left beside this hold")


class HoldEndedOut(HoldOut):
    """A hold and how it was ended."""

    outcome = serializers.ChoiceField(
        choices=("settled", "corrected", "released", "given_up"),
        help_text="corrected: it had expired; given_up: taken away by hand, a late settle still counts",
    )


class HoldPageOut(serializers.Serializer[Any]):
    """Open holds, newest first."""

    data = HoldOut(many=True)  # type: ignore[assignment]  # the stubs know a member of this name
    next_cursor = serializers.CharField(allow_null=True)
