"""Members: who works for the tenant, who is invited, and in which role."""

from __future__ import annotations

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_POST

from tenants.actions.members import change_role, invite_member, remove_member, withdraw_invitation
from tenants.errors import TenantsError
from tenants.models import Invitation, Member
from tenants.portal.access import RIGHTS, Desk, Right, at_desk
from tenants.portal.forms import InviteForm, RoleForm
from tenants.portal.mail import invitation_link, send_invitation
from tenants.portal.pages import attempt, go, joined, page, row_or_404, tell


def members_of(desk: Desk) -> QuerySet[Member]:
    """The members of a desk's tenant."""
    return Member.objects.for_tenant(desk.tenant).select_related("user", "tenant")


@at_desk()
def members(request: HttpRequest, desk: Desk) -> HttpResponse:
    """List members and open invitations; a POST invites somebody."""
    form = InviteForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        desk.require(Right.MEMBERS)
        given = form.cleaned_data
        invited = attempt(
            form,
            lambda: invite_member(
                tenant=desk.tenant,
                actor=desk.actor,
                inviter_role=desk.member.role,
                email=given["email"],
                role=given["role"],
            ),
        )
        if invited is not None:
            if send_invitation(invited):
                messages.success(request, f"An invitation is on its way to {invited.row.email}.")
            else:
                link = invitation_link(invited.token)
                messages.warning(request, f"The mail could not be sent. Pass this link on yourself: {link}")
            return go(desk, "members")
    pending = Invitation.objects.for_tenant(desk.tenant).pending()
    context = {
        "form": form,
        "members": members_of(desk).order_by("created_at"),
        "roles": Member.Role.choices,
        "pending": pending,
        "now": timezone.now(),
        "role_rights": [(label, _rights_in_words(role)) for role, label in Member.Role.choices],
    }
    return page(request, desk, "portal/members.html", context, status=422 if form.errors else 200)


@require_POST
@at_desk(Right.MEMBERS)
def set_role(request: HttpRequest, desk: Desk, member_id: str) -> HttpResponse:
    """Give a member another role."""
    member = row_or_404(members_of(desk), pk=member_id)
    form = RoleForm(request.POST)
    if form.is_valid():
        role = form.cleaned_data["role"]
        try:
            change_role(member=member, actor=desk.actor, changer_role=desk.member.role, role=role)
        except TenantsError as error:
            tell(request, error)
        else:
            messages.success(request, f"{member.user.email} is now {role}.")
    return go(desk, "members")


@at_desk(Right.MEMBERS)
def remove(request: HttpRequest, desk: Desk, member_id: str) -> HttpResponse:
    """Remove a member, after asking."""
    member = row_or_404(members_of(desk), pk=member_id)
    if request.method != "POST":
        return page(request, desk, "portal/member_remove.html", {"member": member})
    email = member.user.email
    try:
        remove_member(member=member, actor=desk.actor, remover_role=desk.member.role)
    except TenantsError as error:
        tell(request, error)
    else:
        messages.success(request, f"{email} is no member any more.")
        if member.pk == desk.member.pk:
            return redirect("portal:home")
    return go(desk, "members")


@require_POST
@at_desk(Right.MEMBERS)
def withdraw(request: HttpRequest, desk: Desk, invitation_id: str) -> HttpResponse:
    """Withdraw an invitation; its link opens nothing any more."""
    rows = Invitation.objects.for_tenant(desk.tenant)
    invitation = row_or_404(rows, pk=invitation_id)
    withdraw_invitation(invitation=invitation, actor=desk.actor)
    messages.success(request, f"The invitation of {invitation.email} is withdrawn.")
    return go(desk, "members")


def _rights_in_words(role: str) -> str:
    more = [str(right) for right in Right if right is not Right.VIEW and role in RIGHTS[right]]
    return f"May {joined([str(Right.VIEW), *more])}."
