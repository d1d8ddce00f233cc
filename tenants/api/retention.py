"""How long a tenant's audit entries and the tags of its calls are kept."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from tenants.actions.closing import KEPT_DAYS_MAX, set_retention
from tenants.api.scoped import ScopedView
from tenants.models import Tenant


class RetentionFields(serializers.Serializer[Tenant]):
    """Days, 0 = for good. Of both modes."""

    audit_kept_days = serializers.IntegerField(min_value=0, max_value=KEPT_DAYS_MAX)
    tags_kept_days = serializers.IntegerField(min_value=0, max_value=KEPT_DAYS_MAX)


class RetentionView(ScopedView):
    """What is kept for how long."""

    scope_noun = "settings"

    @extend_schema(operation_id="retention_get", responses=RetentionFields)
    def get(self, request: Request) -> Response:
        """Read for how long things are kept."""
        return Response(dict(RetentionFields(self.tenant).data))

    @extend_schema(operation_id="retention_put", request=RetentionFields, responses=RetentionFields)
    def put(self, request: Request) -> Response:
        """Say for how long things are kept; what is older goes with the next night."""
        given = RetentionFields(data=request.data)
        given.is_valid(raise_exception=True)
        change = set_retention(tenant=self.tenant, actor=self.actor, **given.validated_data)
        return Response(dict(RetentionFields(change.row).data))
