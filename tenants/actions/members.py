"""Members: invited by e-mail, given another role, removed. A tenant always keeps an owner."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings as django_settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.utils import timezone

from tenants import rules
from tenants.actions.recording import Actor, Change, Trail, shown
from tenants.errors import AlreadyExists, InvalidInput, WrongState
from tenants.models import Invitation, Member, Tenant, User
from tenants.models.invitation import token_digest

INVITATION_LASTS = timedelta(days=7)
TOKEN_BYTES = 32


@dataclass(frozen=True, slots=True)
class Invited:
    """An invitation with the token of its link, which exists nowhere else from now on."""

    row: Invitation
    token: str

    def __repr__(self) -> str:
        return f"Invited({self.row.pk})"


@transaction.atomic
def invite_member(*, tenant: Tenant, actor: Actor, inviter_role: str, email: str, role: str) -> Invited:
    """Invite somebody; an earlier invitation of the same address ends.

    Raises: AlreadyExists when the address is a member; InvalidInput.
    """
    address = _checked_email(email)
    _check_role(role, inviter_role)
    _lock(tenant)
    if Member.objects.filter(tenant=tenant, user__email=address).exists():
        raise AlreadyExists(f"{address} is a member already; change the role instead")
    if django_settings.FAREBOX_SIGNUP == "closed" and not User.objects.filter(email=address).exists():
        raise InvalidInput("email", "sign-up is closed here: only people who already sign in can be invited")
    now = timezone.now()
    Invitation.objects.for_tenant(tenant).pending().filter(email=address).update(withdrawn_at=now)
    token = secrets.token_urlsafe(TOKEN_BYTES)
    row = Invitation.objects.create(
        tenant=tenant,
        email=address,
        role=role,
        token_digest=token_digest(token),
        invited_by=actor.name,
        expires_at=now + INVITATION_LASTS,
    )
    Trail(tenant, "", actor).audit("member.invite", row, after=shown(row, "email", "role", "expires_at"))
    return Invited(row, token)


@transaction.atomic
def withdraw_invitation(*, invitation: Invitation, actor: Actor) -> None:
    """End an invitation before it is accepted; its link opens nothing any more."""
    row = Invitation.objects.select_for_update(of=("self",)).select_related("tenant").get(pk=invitation.pk)
    if row.accepted_at is None and row.withdrawn_at is None:
        row.withdrawn_at = timezone.now()
        row.save(update_fields=["withdrawn_at"])
        Trail(row.tenant, "", actor).audit(
            "member.withdraw_invitation", row, before=shown(row, "email", "role")
        )


@transaction.atomic
def accept_invitation(
    *, invitation: Invitation, user: User | None = None, password: str | None = None
) -> Change[Member]:
    """Make the invited person a member: somebody who signs in already, or somebody new with a password.

    Raises: WrongState when it cannot be accepted any more; InvalidInput when it is another person's.
    """
    row = Invitation.objects.select_for_update(of=("self",)).select_related("tenant").get(pk=invitation.pk)
    now = timezone.now()
    if row.accepted_at or row.withdrawn_at or row.expires_at <= now:
        raise WrongState("this invitation was used, withdrawn or has expired; ask for a new one")
    if user is not None and user.email != row.email:
        raise InvalidInput("email", f"the invitation is for {row.email}, not for {user.email}")
    person = user or _new_person(row, password)
    member, created = Member.objects.get_or_create(
        tenant=row.tenant, user=person, defaults={"role": row.role}
    )
    row.accepted_at = now
    row.save(update_fields=["accepted_at"])
    actor = Actor("member", member.pk, person.email)
    Trail(row.tenant, "", actor).audit(
        "member.create", member, after={"email": person.email, "role": member.role}
    )
    return Change(member, created=created)


@transaction.atomic
def change_role(*, member: Member, actor: Actor, changer_role: str, role: str) -> Change[Member]:
    """Give a member another role.

    Raises: WrongState when the tenant would have no owner; InvalidInput.
    """
    _check_role(role, changer_role)
    row = _locked_member(member, changer_role)
    before = shown(row, "role")
    if row.role == Member.Role.OWNER and role != Member.Role.OWNER:
        _keep_an_owner(row)
    row.role = role
    row.save(update_fields=["role"])
    trail = Trail(row.tenant, "", actor)
    trail.audit("member.change_role", row, before=before, after=shown(row, "role"))
    return trail.done(row)


@transaction.atomic
def remove_member(*, member: Member, actor: Actor, remover_role: str) -> None:
    """Take a person out of a tenant; what they did stays in the audit log.

    Raises: WrongState when the tenant would have no owner; InvalidInput.
    """
    row = _locked_member(member, remover_role)
    if row.role == Member.Role.OWNER:
        _keep_an_owner(row)
    before = {"email": row.user.email, "role": row.role}
    Trail(row.tenant, "", actor).audit("member.remove", row, before=before)
    row.delete()


def _locked_member(member: Member, changer_role: str) -> Member:
    _lock(member.tenant)
    row = Member.objects.select_related("tenant", "user").get(pk=member.pk)
    if row.role == Member.Role.OWNER and changer_role != Member.Role.OWNER:
        raise InvalidInput("role", "only an owner may change an owner")
    return row


def _lock(tenant: Tenant) -> None:
    """Members of a tenant change one at a time, so that the last two owners cannot leave at once."""
    Tenant.objects.select_for_update().get(pk=tenant.pk)


def _keep_an_owner(leaving: Member) -> None:
    others = Member.objects.filter(tenant=leaving.tenant, role=Member.Role.OWNER).exclude(pk=leaving.pk)
    if not others.exists():
        raise WrongState("the last owner must stay; make somebody else an owner first")


def _check_role(role: str, giver_role: str) -> None:
    rules.one_of("role", role, Member.Role.values)
    if role == Member.Role.OWNER and giver_role != Member.Role.OWNER:
        raise InvalidInput("role", "only an owner may make an owner")


def _checked_email(value: str) -> str:
    address = value.strip().lower()
    try:
        validate_email(address)
    except ValidationError as error:
        raise InvalidInput("email", f"{address[:100]!r} is no e-mail address") from error
    return address


def _new_person(invitation: Invitation, password: str | None) -> User:
    if django_settings.FAREBOX_SIGNUP == "closed":
        raise WrongState("sign-up is closed here; ask the operator for an account")
    if not password:
        raise InvalidInput("password1", "choose a password")
    if User.objects.filter(email=invitation.email).exists():
        raise AlreadyExists(f"{invitation.email} has an account already; sign in to accept")
    return User.objects.create_user(invitation.email, password)
