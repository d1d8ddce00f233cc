from __future__ import annotations

import re

import pytest
from django.core import mail
from django.core.cache import cache
from django.test import Client, RequestFactory
from pytest_django import Settings

from tenants.models import Member, Tenant, User
from tenants.origin import client_address
from tests.factories import Holding
from tests.people import PASSWORD, make_member, text_of

SIGN_UP = {
    "company": "Initech",
    "email": "bill@initech.example",
    "password1": "a fine long secret",
    "password2": "a fine long secret",
}


@pytest.fixture(autouse=True)
def _no_attempts_are_remembered() -> None:
    cache.clear()


def sign_in(client: Client, email: str, password: str = PASSWORD) -> object:
    return client.post("/accounts/login/", {"login": email, "password": password}, follow=True)


def test_whoever_the_operator_made_signs_in_at_once_and_lands_at_the_desk(acme: Holding) -> None:
    make_member(acme.tenant)
    answer = Client().post(
        "/accounts/login/", {"login": "Owner@Acme.example", "password": PASSWORD}, follow=True
    )
    assert answer.redirect_chain[-1][0] == "/portal/acme/test/"
    assert mail.outbox == []


def test_a_wrong_password_is_refused_and_repeated_ones_are_held_off(acme: Holding) -> None:
    make_member(acme.tenant)
    client = Client()
    answers = [
        client.post("/accounts/login/", {"login": "owner@acme.example", "password": "x"}) for _ in range(8)
    ]
    assert "not correct" in text_of(answers[0])
    assert "Too many failed login attempts" in text_of(answers[-1])


def test_signing_out_needs_a_form(acme: Holding) -> None:
    make_member(acme.tenant)
    client = Client()
    sign_in(client, "owner@acme.example")
    assert "Sign out?" in text_of(client.get("/accounts/logout/"))
    client.post("/accounts/logout/")
    assert client.get("/portal/acme/test/").status_code == 302


def test_a_forgotten_password_is_reset_by_mail(acme: Holding) -> None:
    make_member(acme.tenant)
    client = Client()
    assert "Look into your mail" in text_of(
        client.post("/accounts/password/reset/", {"email": "owner@acme.example"}, follow=True)
    )
    link = re.search(r"https?://[^/]+(/accounts/password/reset/key/\S+)", str(mail.outbox[0].body))
    assert link is not None
    form = client.get(link[1], follow=True)
    new = {"password1": "another fine secret", "password2": "another fine secret"}
    client.post(form.redirect_chain[-1][0], new)
    assert User.objects.get(email="owner@acme.example").check_password("another fine secret")


def test_nobody_learns_from_the_reset_who_has_an_account(db: None) -> None:
    answer = Client().post("/accounts/password/reset/", {"email": "nobody@x.example"}, follow=True)
    assert "Look into your mail" in text_of(answer)


@pytest.mark.parametrize("how", ["closed", "invite"])
def test_signup_is_shut_unless_it_is_open(db: None, settings: Settings, how: str) -> None:
    settings.FAREBOX_SIGNUP = how
    assert "By invitation" in text_of(Client().get("/accounts/signup/"))
    Client().post("/accounts/signup/", SIGN_UP)
    assert not User.objects.exists()


def test_open_signup_makes_a_tenant_and_asks_for_the_address(db: None, settings: Settings) -> None:
    settings.FAREBOX_SIGNUP = "open"
    client = Client()
    answer = client.post("/accounts/signup/", SIGN_UP, follow=True)
    assert "Look into your mail" in text_of(answer)
    assert Member.objects.get(tenant__name="Initech").role == "owner"
    assert "Look into your mail" in text_of(sign_in(client, "bill@initech.example", SIGN_UP["password1"]))  # type: ignore[arg-type]
    link = re.search(r"https?://[^/]+(/accounts/confirm-email/\S+)", str(mail.outbox[0].body))
    assert link is not None
    client.post(link[1])
    answer = client.post(
        "/accounts/login/", {"login": "bill@initech.example", "password": SIGN_UP["password1"]}, follow=True
    )
    assert answer.redirect_chain[-1][0] == "/portal/initech/test/"


def test_a_second_company_of_the_same_name_gets_an_address_of_its_own(db: None, settings: Settings) -> None:
    settings.FAREBOX_SIGNUP = "open"
    Client().post("/accounts/signup/", SIGN_UP)
    Client().post("/accounts/signup/", {**SIGN_UP, "email": "peter@initech.example"})
    assert set(Tenant.objects.values_list("slug", flat=True)) == {"initech", "initech-2"}


def test_somebody_without_a_tenant_is_told_so(db: None) -> None:
    user = User.objects.create_user("lone@x.example", PASSWORD)
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    assert "not a member of any tenant" in text_of(client.get("/"))


def test_the_mail_page_is_for_development_alone(db: None, settings: Settings) -> None:
    assert Client().get("/dev/mail/").status_code == 200
    settings.DEVELOPMENT = False
    assert Client().get("/dev/mail/").status_code == 404


@pytest.mark.parametrize(
    ("peer", "forwarded", "believed"),
    [
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),
        ("10.0.0.7", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.7", "6.6.6.6, 198.51.100.1, 10.0.0.8", "198.51.100.1"),
        ("10.0.0.7", "", "10.0.0.7"),
    ],
)
def test_only_trusted_proxies_may_say_who_calls(peer: str, forwarded: str, believed: str) -> None:
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    request = RequestFactory().get("/", REMOTE_ADDR=peer, headers=headers)
    assert client_address(request, ("10.0.0.0/8",)) == believed
