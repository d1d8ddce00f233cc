from __future__ import annotations

import re

import pytest
from django.core import mail
from django.test import Client
from pytest_django import Settings

from tenants.models import AuditEntry, Invitation, Member, User
from tests.factories import Holding
from tests.people import Browser, browser_of, make_member, text_of

NEW_PASSWORD = {"password1": "a fine long secret", "password2": "a fine long secret"}


def invite(browser: Browser, email: str = "new@acme.example", role: str = "developer") -> str:
    """Invite somebody and return the path of the link in the mail."""
    answer = browser.post("members", {"email": email, "role": role})
    assert answer.status_code == 302, text_of(answer)
    link = re.search(r"https?://\S+/invitation/\S+", str(mail.outbox[-1].body))
    assert link is not None
    return "/" + link[0].split("/", 3)[3]


def test_somebody_new_joins_by_the_link_and_is_signed_in(acme: Holding) -> None:
    path = invite(browser_of(make_member(acme.tenant)))
    guest = Client()
    assert "Join Acme" in text_of(guest.get(path))

    answer = guest.post(path, NEW_PASSWORD, follow=True)

    assert answer.redirect_chain[-1][0] == "/portal/acme/test/"
    assert Member.objects.get(user__email="new@acme.example").role == "developer"
    assert AuditEntry.objects.filter(action="member.create").exists()
    assert guest.get(path).status_code == 404
    assert Client().login(username="new@acme.example", password=NEW_PASSWORD["password1"])


def test_a_weak_or_mistyped_password_is_refused(acme: Holding) -> None:
    path = invite(browser_of(make_member(acme.tenant)))
    for first, second in (
        ("short", "short"),
        ("password123", "password123"),
        ("a fine long secret", "another"),
    ):
        assert Client().post(path, {"password1": first, "password2": second}).status_code == 422
    assert not User.objects.filter(email="new@acme.example").exists()


def test_somebody_with_an_account_signs_in_to_accept(acme: Holding, globex: Holding) -> None:
    path = invite(browser_of(make_member(acme.tenant)), email="owner@globex.example", role="viewer")
    theirs = browser_of(make_member(globex.tenant))
    assert "Sign in to accept" in text_of(Client().get(path))
    theirs.client.post(path)
    assert Member.objects.filter(user__email="owner@globex.example").count() == 2


def test_an_invitation_is_for_its_address_alone(acme: Holding, globex: Holding) -> None:
    path = invite(browser_of(make_member(acme.tenant)))
    other = browser_of(make_member(globex.tenant))
    assert "You are signed in as" in text_of(other.client.get(path))
    other.client.post(path)
    assert not Member.objects.filter(tenant=acme.tenant, user__email="owner@globex.example").exists()


def test_a_withdrawn_or_repeated_invitation_opens_nothing(acme: Holding) -> None:
    browser = browser_of(make_member(acme.tenant))
    first = invite(browser)
    second = invite(browser)
    assert Client().get(first).status_code == 404
    browser.post("invitation_withdraw", invitation_id=Invitation.objects.pending().get().pk)
    assert Client().get(second).status_code == 404


def test_where_signup_is_closed_only_known_people_are_invited(acme: Holding, settings: Settings) -> None:
    settings.FAREBOX_SIGNUP = "closed"
    answer = browser_of(make_member(acme.tenant)).post(
        "members", {"email": "new@acme.example", "role": "viewer"}
    )
    assert "sign-up is closed" in text_of(answer).lower()


@pytest.mark.parametrize("role", ["finance", "developer", "support", "viewer"])
def test_other_roles_may_not_invite(acme: Holding, role: str) -> None:
    answer = browser_of(make_member(acme.tenant, role)).post(
        "members", {"email": "x@x.example", "role": "viewer"}
    )
    assert answer.status_code == 403
    assert not Invitation.objects.exists()


def test_an_admin_makes_no_owner_and_touches_none(acme: Holding) -> None:
    owner, admin = make_member(acme.tenant), make_member(acme.tenant, "admin")
    browser = browser_of(admin)
    browser.post("member_role", {"role": "owner"}, member_id=admin.pk)
    browser.post("member_role", {"role": "viewer"}, member_id=owner.pk)
    browser.post("member_remove", member_id=owner.pk)
    admin.refresh_from_db()
    owner.refresh_from_db()
    assert (owner.role, admin.role) == ("owner", "admin")
    assert "Only an owner may make an owner" in text_of(
        browser.post("members", {"email": "y@x.example", "role": "owner"})
    )


def test_the_last_owner_stays(acme: Holding) -> None:
    owner = make_member(acme.tenant)
    browser = browser_of(owner)
    browser.post("member_role", {"role": "viewer"}, member_id=owner.pk)
    answer = browser.client.post(browser.url("member_remove", member_id=owner.pk), follow=True)
    assert "The last owner must stay" in text_of(answer)
    owner.refresh_from_db()
    assert owner.role == "owner"


def test_a_removed_member_is_out_at_once(acme: Holding) -> None:
    gone = make_member(acme.tenant, "developer")
    theirs = browser_of(gone)
    browser_of(make_member(acme.tenant)).post("member_remove", member_id=gone.pk)
    assert theirs.get("customers").status_code == 404
