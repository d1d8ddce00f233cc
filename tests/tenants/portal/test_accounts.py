from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from django.utils.html import escape

from enforcement.control import Control
from tenants.actions.provider_accounts import open_credential
from tenants.models import ProviderAccount
from tenants.providers import KNOWN
from tests.factories import Holding
from tests.people import browser_of, make_member, text_of


class _Provider(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        is_good = self.headers["authorization"] == "Bearer sk-good"
        body = b'{"data": [{"id": "tiny-1"}]}' if is_good else b'{"error": "no"}'
        self.send_response(200 if is_good else 401)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def provider() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), _Provider)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    server.server_close()
    thread.join()


def test_an_account_is_added_tried_and_its_credential_rotated(
    acme: Holding, provider: str, open_shard: Callable[[str], Control]
) -> None:
    open_shard(acme.tenant.pk)
    browser = browser_of(make_member(acme.tenant, "developer"))
    given = {
        "provider": "other",
        "other_name": "tiny",
        "name": "tiny",
        "base_url": provider,
        "api_key": "sk-bad",
    }
    assert browser.post("account_new", given).status_code == 302
    account = ProviderAccount.objects.get(name="tiny")

    refused = browser.client.post(
        browser.url("account_test", account_id=account.pk), headers={"HX-Request": "true"}
    )
    assert "The provider refused the credential" in text_of(refused)
    browser.post("account", {"base_url": provider, "api_key": "sk-good"}, account_id=account.pk)
    account.refresh_from_db()
    assert open_credential(account) == "sk-good"
    works = browser.client.post(
        browser.url("account_test", account_id=account.pk), headers={"HX-Request": "true"}
    )
    assert "It works" in text_of(works)
    assert "tiny-1" in text_of(works)
    assert "sk-good" not in text_of(browser.get("account", account_id=account.pk))


def test_without_javascript_the_trial_is_told_on_the_page(acme: Holding, provider: str) -> None:
    browser = browser_of(make_member(acme.tenant))
    given = {
        "provider": "other",
        "other_name": "tiny",
        "name": "tiny",
        "base_url": provider,
        "api_key": "sk-good",
    }
    browser.post("account_new", given)
    account = ProviderAccount.objects.get(name="tiny")
    answer = browser.client.post(browser.url("account_test", account_id=account.pk), follow=True)
    assert "It works." in text_of(answer)


def test_a_base_url_that_leads_inwards_is_refused_at_its_field(acme: Holding) -> None:
    browser = browser_of(make_member(acme.tenant))
    given = {
        "provider": "other",
        "other_name": "x",
        "name": "x",
        "base_url": "https://169.254.169.254/",
        "api_key": "k",
    }
    answer = browser.post("account_new", given)
    assert answer.status_code == 422
    assert "private address" in text_of(answer)


def test_a_viewer_cannot_rotate(acme: Holding) -> None:
    browser = browser_of(make_member(acme.tenant, "viewer"))
    answer = browser.post(
        "account", {"base_url": acme.account.base_url, "api_key": "sk-x"}, account_id=acme.account.pk
    )
    assert answer.status_code == 403
    acme.account.refresh_from_db()
    assert open_credential(acme.account) != "sk-x"


def test_a_removed_account_is_gone_from_the_list(acme: Holding) -> None:
    browser = browser_of(make_member(acme.tenant))
    browser.post("account_remove", account_id=acme.account.pk)
    assert "No provider account yet" in text_of(browser.get("accounts"))


def test_an_account_is_told_to_ask_for_exact_counts_and_no_longer(acme: Holding) -> None:
    browser = browser_of(make_member(acme.tenant, "developer"))
    given = {"provider": "anthropic", "name": "claude", "api_key": "sk-good", "counts_exactly": "on"}
    browser.post("account_new", given)
    account = ProviderAccount.objects.get(name="claude")
    assert account.counts_exactly
    assert "counted by the provider" in text_of(browser.get("account", account_id=account.pk))
    browser.post("account_counting", {"counts_exactly": "no"}, account_id=account.pk)
    account.refresh_from_db()
    assert not account.counts_exactly
    browser.post("account_counting", {"counts_exactly": "yes"}, account_id=account.pk)
    account.refresh_from_db()
    assert account.counts_exactly
    viewer = browser_of(make_member(acme.tenant, "viewer"))
    assert viewer.post("account_counting", account_id=account.pk).status_code == 403


def test_the_form_offers_every_provider_and_says_what_each_needs(acme: Holding) -> None:
    browser = browser_of(make_member(acme.tenant))
    page = browser.get("account_new").content.decode()
    for name, known in KNOWN.items():
        assert f'<option value="{name}"' in page
        assert escape(known.help) in page
    needed = {"provider": "azure", "name": "az", "base_url": "", "api_key": "k" * 20}
    refused = browser.post("account_new", needed)
    assert refused.status_code == 422
    assert KNOWN["azure"].base_url_example in text_of(refused)
    given = {**needed, "base_url": "https://acme.openai.azure.com/openai/v1"}
    assert browser.post("account_new", given).status_code == 302
    account = ProviderAccount.objects.get(name="az")
    assert (account.provider, account.dialect) == ("azure", "openai")


def test_a_private_address_that_nobody_allowed_is_refused_at_its_field(acme: Holding) -> None:
    browser = browser_of(make_member(acme.tenant))
    given = {"provider": "ollama", "name": "own", "base_url": "http://10.0.0.5:11434/v1", "api_key": "any"}
    refused = browser.post("account_new", given)
    assert refused.status_code == 422
    assert "FAREBOX_ALLOW_PRIVATE_UPSTREAMS" in text_of(refused)
