"""Who may do what in the portal: one table, and the desk at which a member sits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import wraps
from typing import Any, cast

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.cache import add_never_cache_headers

from enforcement.keys import Mode as ModeName
from enforcement.keys import Scope
from tenants import reach
from tenants.actions.recording import Actor
from tenants.models import Member, Tenant, User

LAST_DESK = "last_desk"


class Right(StrEnum):
    """One thing that a role may or may not do."""

    VIEW = "look at everything"
    CUSTOMERS = "create and change customers"
    BUDGETS = "create budgets and change limits"
    KEYS = "create and revoke keys"
    ACCOUNTS = "manage provider accounts"
    MONEY = "resolve unresolved money"
    BILLING = "set up billing through Stripe"
    MEMBERS = "manage members"
    AUDIT = "read the audit log"
    DATA = "take out and erase customers' data"


_ROLE = Member.Role
RIGHTS: dict[Right, frozenset[str]] = {
    Right.VIEW: frozenset(_ROLE.values),
    Right.CUSTOMERS: frozenset({_ROLE.OWNER, _ROLE.ADMIN, _ROLE.DEVELOPER, _ROLE.SUPPORT}),
    Right.BUDGETS: frozenset({_ROLE.OWNER, _ROLE.ADMIN, _ROLE.DEVELOPER, _ROLE.FINANCE}),
    Right.KEYS: frozenset({_ROLE.OWNER, _ROLE.ADMIN, _ROLE.DEVELOPER}),
    Right.ACCOUNTS: frozenset({_ROLE.OWNER, _ROLE.ADMIN, _ROLE.DEVELOPER}),
    Right.MONEY: frozenset({_ROLE.OWNER, _ROLE.ADMIN, _ROLE.FINANCE}),
    Right.BILLING: frozenset({_ROLE.OWNER, _ROLE.ADMIN, _ROLE.FINANCE}),
    Right.MEMBERS: frozenset({_ROLE.OWNER, _ROLE.ADMIN}),
    Right.AUDIT: frozenset({_ROLE.OWNER, _ROLE.ADMIN}),
    Right.DATA: frozenset({_ROLE.OWNER, _ROLE.ADMIN}),
}


@dataclass(frozen=True, slots=True)
class Desk:
    """A member of a tenant at work in one mode: everything a view may know about who asks."""

    member: Member
    mode: ModeName

    @property
    def tenant(self) -> Tenant:
        """The tenant in whose rows the member works."""
        return self.member.tenant

    @property
    def scope(self) -> Scope:
        """Tenant and mode as Redis and the ledger know them."""
        return Scope(self.tenant.pk, self.mode)

    @property
    def actor(self) -> Actor:
        """The member as audit entries name it."""
        return Actor("member", self.member.pk, self.member.user.email)

    @property
    def place(self) -> dict[str, str]:
        """What every URL of this desk begins with."""
        return {"slug": self.tenant.slug, "mode": self.mode}

    @property
    def may(self) -> dict[str, bool]:
        """Each right by its lower-case name, for templates."""
        return {right.name.lower(): self.has(right) for right in Right}

    def has(self, right: Right) -> bool:
        """Tell whether the member's role has a right."""
        return self.member.role in RIGHTS[right]

    def require(self, *rights: Right) -> None:
        """Insist on rights. Raises: PermissionDenied naming what the role may not do."""
        for right in rights:
            if not self.has(right):
                raise PermissionDenied(f"Your role, {self.member.role}, may not {right}.")


DeskView = Callable[..., HttpResponse]


def at_desk(*rights: Right) -> Callable[[DeskView], Callable[..., HttpResponse]]:
    """Make a view of one tenant in one mode: signed in, a member, and with the rights named.

    Somebody else's tenant is a 404, not a 403. Times on the page are in the tenant's zone.
    """

    def decorate(view: DeskView) -> Callable[..., HttpResponse]:
        @login_required
        @wraps(view)
        def at_its_desk(request: HttpRequest, slug: str, mode: str, **rest: Any) -> HttpResponse:
            desk = find_desk(request, slug, mode)
            desk.require(Right.VIEW, *rights)
            request.session[LAST_DESK] = desk.place
            with timezone.override(desk.tenant.zone):
                response = view(request, desk, **rest)
            add_never_cache_headers(response)
            return response

        return at_its_desk

    return decorate


def find_desk(request: HttpRequest, slug: str, mode: str) -> Desk:
    """Find the desk that a URL names. Raises: Http404 unless the signed-in user is a member."""
    user = cast("User", request.user)
    with reach.all_tenants(reach.Why.FIND_DESK):
        member = Member.objects.select_related("tenant", "user").filter(user=user, tenant__slug=slug).first()
        if member is None:
            raise Http404("no such tenant")
        reach.narrow(member.tenant_id)
    return Desk(member, cast("ModeName", mode))
