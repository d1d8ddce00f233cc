"""The JSON of the control API, in and out. Serializers read and write; what is allowed, the actions decide."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from metering.ids import EXTERNAL_ID_CHARS_MAX
from tenants import rules
from tenants.api.fields import PercentField, UsdField
from tenants.models import AuditEntry, Customer, Key, ProviderAccount
from tenants.providers import KNOWN
from tenants.upstreams import warnings_for

COUNTS_EXACTLY = "ask for the provider's own free count of a prompt before each quote, where it has one"


class Plain(serializers.Serializer[Any]):
    """A serializer that refuses fields it does not know: a misspelt one must not be passed over in silence."""

    def to_internal_value(self, data: Any) -> Any:
        """Read the known fields; refuse the others by name."""
        if isinstance(data, dict):
            unknown = sorted(set(data) - {name for name, field in self.fields.items() if not field.read_only})
            if unknown:
                raise serializers.ValidationError({name: ["unknown or read-only field"] for name in unknown})
        return super().to_internal_value(data)


class RatesIn(Plain):
    """Rate limits; 0 = no such limit."""

    requests_per_minute = serializers.IntegerField(required=False, min_value=0)
    burst = serializers.IntegerField(required=False, min_value=0)
    in_flight_max = serializers.IntegerField(required=False, min_value=0)


class ModelMarkupField(Plain):
    """A markup for models that match a glob."""

    model = serializers.CharField()
    markup_percent = PercentField(source="markup_bp", default=0)
    markup_fixed_usd = UsdField(source="markup_fixed_nanousd", default=0)


class MarkupFields(Plain):
    """How cost becomes charge."""

    markup_percent = PercentField(source="markup_bp", required=False)
    markup_fixed_usd = UsdField(source="markup_fixed_nanousd", required=False)
    markup_models = ModelMarkupField(many=True, required=False)


class CustomerIn(RatesIn):
    """A customer to be made or changed."""

    external_id = serializers.CharField(max_length=EXTERNAL_ID_CHARS_MAX, trim_whitespace=False)
    name = serializers.CharField(required=False, allow_blank=True, max_length=rules.NAME_CHARS_MAX)
    state = serializers.ChoiceField(choices=Customer.State.choices, required=False)
    models_allowed = serializers.ListField(child=serializers.CharField(), required=False)
    metadata = serializers.DictField(child=serializers.CharField(allow_blank=True), required=False)
    # Null = the tenant's markup.
    markup_percent = PercentField(source="markup_bp", required=False, allow_null=True)
    markup_fixed_usd = UsdField(source="markup_fixed_nanousd", required=False)
    markup_models = ModelMarkupField(many=True, required=False)


class CustomerPatch(CustomerIn):
    """Changes to a customer; its external id never changes."""

    external_id = None  # type: ignore[assignment]  # DRF's way of taking a field away


class RestrictionOut(serializers.Serializer[Customer]):
    """What is held against a customer while it does not pay; ``requests_per_minute`` 0 = no such limit."""

    suspended = serializers.BooleanField(source="restricted_suspended")
    requests_per_minute = serializers.IntegerField(source="restricted_requests_per_minute")
    why = serializers.CharField(source="restricted_why")


class CustomerOut(serializers.Serializer[Customer]):
    """A customer."""

    id = serializers.CharField()
    external_id = serializers.CharField()
    name = serializers.CharField()
    state = serializers.ChoiceField(choices=Customer.State.choices)
    mode = serializers.CharField()
    models_allowed = serializers.ListField(child=serializers.CharField())
    requests_per_minute = serializers.IntegerField()
    burst = serializers.IntegerField()
    in_flight_max = serializers.IntegerField()
    markup_percent = PercentField(source="markup_bp", allow_null=True)
    markup_fixed_usd = UsdField(source="markup_fixed_nanousd")
    markup_models = ModelMarkupField(many=True)
    metadata = serializers.DictField()
    arrived = serializers.BooleanField(help_text="made by the proxy at its first call")
    restriction = RestrictionOut(source="*", help_text="what is held against it beside its state and limits")
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class KeyPatch(RatesIn):
    """Changes to a key."""

    name = serializers.CharField(required=False, allow_blank=True, max_length=rules.NAME_CHARS_MAX)
    models_allowed = serializers.ListField(child=serializers.CharField(), required=False)
    expires_at = serializers.DateTimeField(required=False, allow_null=True)


class KeyIn(KeyPatch):
    """A key to be made. ``kind`` follows from the rest where it is left out: a customer's, else a server key."""

    customer = serializers.CharField(required=False, allow_null=True)
    kind = serializers.ChoiceField(choices=Key.Kind.choices, required=False)
    scopes = serializers.ListField(child=serializers.CharField(), required=False)


class KeyRotation(Plain):
    """How long the old secret stays good."""

    overlap_seconds = serializers.IntegerField(default=0, min_value=0)


class RetiredSecretOut(serializers.Serializer[Any]):
    """An earlier secret of a key."""

    prefix = serializers.CharField()
    expires_at = serializers.DateTimeField()


class KeyOut(serializers.Serializer[Key]):
    """A key; its secret was shown once."""

    id = serializers.CharField()
    kind = serializers.ChoiceField(choices=Key.Kind.choices)
    mode = serializers.CharField()
    customer = serializers.CharField(source="customer_id", allow_null=True)
    name = serializers.CharField()
    prefix = serializers.CharField()
    state = serializers.ChoiceField(choices=[("active", "Active"), ("revoked", "Revoked")])
    scopes = serializers.ListField(child=serializers.CharField())
    models_allowed = serializers.ListField(child=serializers.CharField())
    requests_per_minute = serializers.IntegerField()
    burst = serializers.IntegerField()
    in_flight_max = serializers.IntegerField()
    expires_at = serializers.DateTimeField(allow_null=True)
    revoked_at = serializers.DateTimeField(allow_null=True)
    last_used_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()
    retired_secrets = RetiredSecretOut(many=True)


class KeyIssued(KeyOut):
    """A key with its secret, this once."""

    key = serializers.CharField(help_text="the secret, shown once")
    pending = serializers.BooleanField(help_text="not yet in force")


class AccountIn(Plain):
    """A provider account to be made. A provider we know needs no base_url."""

    provider = serializers.CharField(
        max_length=40,
        help_text=f"one we know ({', '.join(sorted(KNOWN))}), or any other name with its base_url",
    )
    name = serializers.CharField(max_length=60)
    api_key = serializers.CharField(write_only=True, max_length=4096)
    base_url = serializers.CharField(required=False, allow_null=True, max_length=500)
    dialect = serializers.ChoiceField(choices=ProviderAccount.Dialect.choices, required=False)
    default = serializers.BooleanField(source="is_default", required=False, allow_null=True)
    counts_exactly = serializers.BooleanField(required=False, help_text=COUNTS_EXACTLY)


class AccountPatch(Plain):
    """Changes to a provider account; a new base_url needs its api_key again."""

    api_key = serializers.CharField(required=False, write_only=True, max_length=4096)
    base_url = serializers.CharField(required=False, max_length=500)
    default = serializers.BooleanField(source="is_default", required=False)
    counts_exactly = serializers.BooleanField(required=False, help_text=COUNTS_EXACTLY)
    state = serializers.ChoiceField(choices=ProviderAccount.State.choices, required=False)


class AccountOut(serializers.Serializer[ProviderAccount]):
    """A provider account; of its credential only a hint."""

    id = serializers.CharField()
    provider = serializers.CharField()
    dialect = serializers.ChoiceField(choices=ProviderAccount.Dialect.choices)
    name = serializers.CharField()
    mode = serializers.CharField()
    base_url = serializers.CharField()
    credential_hint = serializers.CharField()
    default = serializers.BooleanField(source="is_default")
    counts_exactly = serializers.BooleanField(help_text=COUNTS_EXACTLY)
    state = serializers.ChoiceField(choices=ProviderAccount.State.choices)
    warnings = serializers.SerializerMethodField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()

    def get_warnings(self, account: ProviderAccount) -> list[str]:
        """What is probably a slip in the base URL."""
        return warnings_for(account.provider, account.dialect, account.base_url)


class AuditOut(serializers.Serializer[AuditEntry]):
    """Who changed what, from what to what, when."""

    id = serializers.CharField()
    mode = serializers.CharField()
    actor_kind = serializers.CharField()
    actor_id = serializers.CharField()
    actor_name = serializers.CharField()
    action = serializers.CharField()
    object_kind = serializers.CharField()
    object_id = serializers.CharField()
    before = serializers.DictField(allow_null=True)
    after = serializers.DictField(allow_null=True)
    address = serializers.CharField(help_text="where the request came from; empty when it was none")
    at = serializers.DateTimeField()
