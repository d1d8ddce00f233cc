"""The JSON of budgets, prices and settings: what carries amounts."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from tenants import rules
from tenants.api.fields import PercentField, UsdField
from tenants.api.serializers import MarkupFields, Plain, RatesIn

BUCKET_FIELDS = {
    f"{bucket}_usd_per_mtok": bucket
    for bucket in (
        "input", "cache_read", "cache_write_5m", "cache_write_1h", "output",
        "reasoning", "audio_input", "audio_output", "image_input",
    )
}  # fmt: skip


class BudgetIn(Plain):
    """A budget to be made for a customer, for a key, or with ``scope: tenant`` for all calls of the tenant."""

    customer = serializers.CharField(required=False, allow_null=True)
    key = serializers.CharField(required=False, allow_null=True)
    scope = serializers.ChoiceField(choices=("tenant", "customer", "key"), required=False)
    name = serializers.CharField(required=False, allow_blank=True, max_length=rules.NAME_CHARS_MAX)
    limit_usd = UsdField()
    window = serializers.ChoiceField(choices=rules.WINDOW_KINDS, default="month")
    zone = serializers.CharField(required=False, allow_null=True)
    anchor_day = serializers.IntegerField(default=1)
    measure = serializers.ChoiceField(choices=rules.MEASURES, required=False, allow_null=True)
    on_exhaustion = serializers.ChoiceField(choices=rules.ON_EXHAUSTION, default="refuse")
    count_so_far = serializers.BooleanField(
        default=False,
        help_text="count what the running window has used already; pending until that is summed",
    )


class BudgetPatch(Plain):
    """Changes to a budget. Its window and measure stay for ever: make another budget."""

    limit_usd = UsdField(required=False)
    name = serializers.CharField(required=False, allow_blank=True, max_length=rules.NAME_CHARS_MAX)
    on_exhaustion = serializers.ChoiceField(choices=rules.ON_EXHAUSTION, required=False)


class WindowOut(serializers.Serializer[Any]):
    """The window that is running; a ``total`` one has no end."""

    kind = serializers.ChoiceField(choices=rules.WINDOW_KINDS)
    zone = serializers.CharField()
    anchor_day = serializers.IntegerField()
    start = serializers.DateTimeField(allow_null=True)
    end = serializers.DateTimeField(allow_null=True)


class BudgetOut(serializers.Serializer[Any]):
    """A budget with its balance; amounts are null while Redis cannot tell them (``balance`` says why)."""

    id = serializers.CharField()
    scope = serializers.ChoiceField(choices=("tenant", "customer", "key", "run", "tag", "model"))
    customer = serializers.CharField(allow_null=True)
    key = serializers.CharField(allow_null=True)
    mode = serializers.CharField()
    name = serializers.CharField()
    limit_usd = UsdField()
    spent_usd = UsdField(allow_null=True)
    held_usd = UsdField(allow_null=True)
    available_usd = UsdField(allow_null=True)
    balance = serializers.ChoiceField(choices=("live", "not_loaded", "unavailable"))
    measure = serializers.ChoiceField(choices=rules.MEASURES)
    on_exhaustion = serializers.ChoiceField(choices=rules.ON_EXHAUSTION)
    count_so_far = serializers.BooleanField()
    window = WindowOut()
    state = serializers.ChoiceField(choices=("active", "archived"))
    pending = serializers.BooleanField(help_text="a change is not yet in force")
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class TierField(Plain):
    """A dearer rate for prompts above a size; the whole call is billed at it."""

    above_tokens = serializers.IntegerField(min_value=1)
    usd_per_mtok = UsdField()


class PriceIn(Plain):
    """A model's price in dollars per million tokens, from an instant on. Buckets left out follow input or output."""

    # ``from`` is a keyword, so the fields are put together here.
    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """Rates by bucket, tiers by bucket, extras by name."""
        rates = {field: UsdField(required=field == "input_usd_per_mtok") for field in BUCKET_FIELDS}
        return {
            **rates,
            "per_request_usd": UsdField(default=0),
            "tiers": serializers.DictField(child=TierField(many=True), required=False),
            "extras_usd": serializers.DictField(child=UsdField(), required=False),
            "from": serializers.DateTimeField(required=False, allow_null=True),
        }


class PriceOut(serializers.Serializer[Any]):
    """A price as it is in force; ``source`` is ``tenant``, or the base book's note of where it comes from."""

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """The fields of a price."""
        return {
            "id": serializers.CharField(),
            "provider": serializers.CharField(),
            "model": serializers.CharField(),
            "from": serializers.DateTimeField(allow_null=True),
            "source": serializers.CharField(),
            **{field: UsdField(required=False) for field in BUCKET_FIELDS},
            "per_request_usd": UsdField(),
            "tiers": serializers.DictField(child=TierField(many=True)),
            "extras_usd": serializers.DictField(child=UsdField()),
        }


class DefaultBudget(Plain):
    """What a first-seen customer's budget is made from."""

    limit_usd = UsdField()
    window = serializers.ChoiceField(choices=rules.WINDOW_KINDS, default="month")
    zone = serializers.CharField(required=False, allow_blank=True, default="")
    measure = serializers.ChoiceField(choices=rules.MEASURES, default="charge")
    on_exhaustion = serializers.ChoiceField(choices=rules.ON_EXHAUSTION, default="refuse")


class SettingsIn(RatesIn):
    """Changes to what holds for every call of the key's mode; name and zone are the tenant's own."""

    name = serializers.CharField(required=False, max_length=rules.NAME_CHARS_MAX)
    zone = serializers.CharField(required=False)
    output_cap_plain = serializers.IntegerField(required=False)
    output_cap_reasoning = serializers.IntegerField(required=False)
    output_minimum = serializers.IntegerField(required=False)
    require_hard_bound = serializers.BooleanField(required=False)
    margin_guard = serializers.ChoiceField(
        choices=("off", "warn", "refuse"),
        required=False,
        help_text="what becomes of a call whose quoted charge is below its quoted cost",
    )
    allowances = serializers.DictField(
        child=serializers.IntegerField(allow_null=True),
        required=False,
        help_text="tokens that stand for a part nobody can bound, by kind; null takes one away, others stay",
    )
    drain_seconds = serializers.IntegerField(required=False)
    arrivals_per_hour_max = serializers.IntegerField(required=False)
    overrun_stop_count = serializers.IntegerField(
        required=False,
        help_text="a model is stopped once so many of its calls of a UTC day cost more than their quotes; 0 = never",
    )
    overrun_stop_share_percent = PercentField(
        source="overrun_stop_share_bp",
        required=False,
        help_text="and once they are at least this share of the day's calls",
    )
    unknown_customer = serializers.ChoiceField(choices=("refuse", "default_budget"), required=False)
    default_budget = DefaultBudget(required=False, allow_null=True)


class SettingsOut(SettingsIn):
    """What holds for every call of the key's mode."""

    tenant = serializers.CharField(source="tenant_id")
    mode = serializers.CharField()
    pending = serializers.BooleanField()


class TenantIn(SettingsIn, MarkupFields):
    """Changes to the tenant in the key's mode: settings and markup."""


class TenantOut(SettingsOut, MarkupFields):
    """The tenant in the key's mode: settings and markup."""


class MarkupOut(MarkupFields):
    """The tenant's markup in the key's mode."""

    pending = serializers.BooleanField()
