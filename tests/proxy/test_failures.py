"""What a provider's failure means: never a silent refund, never a charge for a refusal."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from config.devservers import free_port
from tests.proxy.conftest import Bill, Proxy, Tenant, wait_for
from tests.proxy.echo import Echo

Chat = Callable[..., httpx.Response]


@pytest.mark.parametrize(
    ("status", "seen", "code"),
    [
        (400, 400, None),
        (401, 502, "provider_auth_failed"),
        (402, 502, "provider_error"),
        (403, 502, "provider_auth_failed"),
        (404, 404, "model_not_found"),
        (422, 422, None),
        (429, 429, "provider_rate_limited"),
        (503, 503, None),
        (529, 529, None),
    ],
)
def test_what_a_provider_refused_before_generating_costs_nothing(
    acme: Tenant, chat: Chat, status: int, seen: int, code: str | None
) -> None:
    budget = acme.budget()
    answer = chat(acme.key(acme.customer(budget)), f"sim-error-{status}")
    assert answer.status_code == seen
    if code is not None:
        assert answer.json()["error"]["code"] == code
        assert "main" in answer.json()["error"]["message"] or code == "provider_rate_limited"
    assert "error" in answer.json()
    [(kind, basis, cost, body)] = acme.rows()
    assert (kind, basis, cost) == ("released", "none", 0)
    assert (body.end, body.upstream_status) == ("refused", status)
    assert acme.spent(budget) == (0, 0)


@pytest.mark.parametrize("status", [408, 500, 502, 504])
def test_a_failure_that_may_have_been_billed_stays_at_the_quote(
    acme: Tenant, chat: Chat, status: int
) -> None:
    budget = acme.budget()
    answer = chat(acme.key(acme.customer(budget)), f"sim-error-{status}")
    assert answer.status_code >= 400
    [(kind, basis, cost, body)] = acme.rows()
    assert (kind, basis, cost) == ("expired", "unresolved", body.quote_cost_nanousd)
    assert body.upstream_status == status
    assert acme.spent(budget) == (cost, 0)


@pytest.mark.parametrize(
    ("model", "status", "code", "end"),
    [("sim-hang", 504, "provider_timeout", "timeout"), ("sim-reset", 502, "provider_error", "reset")],
)
def test_silence_and_resets_after_sending_stay_at_the_quote(
    acme: Tenant, chat: Chat, model: str, status: int, code: str, end: str
) -> None:
    budget = acme.budget()
    answer = chat(acme.key(acme.customer(budget)), model)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert answer.headers["x-should-retry"] == "false"  # it may have been billed
    [(kind, basis, cost, body)] = acme.rows()
    assert (kind, basis, body.end) == ("expired", "unresolved", end)
    assert acme.spent(budget) == (cost, 0)


def test_an_answer_cut_off_half_way_stays_at_the_quote(acme: Tenant, chat: Chat) -> None:
    budget = acme.budget()
    answer = chat(acme.key(acme.customer(budget)), "sim-cut-5")
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "provider_error")
    [(kind, basis, _, body)] = acme.rows()
    assert (kind, basis, body.end) == ("expired", "unresolved", "cut")


def test_nobody_listening_means_nothing_was_sent(acme: Tenant, chat: Chat) -> None:
    budget = acme.budget()
    account = acme.account("main", default=True, base_url=f"http://127.0.0.1:{free_port()}/v1")
    acme.publish(accounts=(account,))
    answer = chat(acme.key(acme.customer(budget)))
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "provider_error")
    assert "Nothing was sent" in answer.json()["error"]["message"]
    assert "x-should-retry" not in answer.headers
    [(kind, _, cost, body)] = acme.rows()
    assert (kind, cost, body.end) == ("released", 0, "not_sent")
    assert acme.spent(budget) == (0, 0)


@pytest.mark.parametrize(
    "base_url",
    [
        "https://169.254.169.254/v1",
        "https://localhost:1/v1",
        "https://[::ffff:10.0.0.1]/v1",
        "http://192.0.2.1/v1",
    ],
)
def test_a_base_url_into_the_private_network_is_refused_unsent(
    acme: Tenant, chat: Chat, base_url: str
) -> None:
    budget = acme.budget()
    acme.publish(accounts=(acme.account("main", default=True, base_url=base_url),))
    answer = chat(acme.key(acme.customer(budget)))
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "provider_error")
    assert "may not be reached" in answer.json()["error"]["message"]
    assert acme.spent(budget) == (0, 0)
    assert acme.rows() == []


def test_a_redirect_is_not_followed(acme: Tenant, chat: Chat, echo: Echo, bill: Bill, simulator: str) -> None:
    echo.status, echo.kind, echo.pieces = b"307 Temporary Redirect", b"text/html", [b"<a>moved</a>"]
    echo.extra_headers = f"location: {simulator}/chat/completions\r\n".encode()
    acme.publish(accounts=(acme.account("main", default=True, base_url=echo.base_url),))
    before = bill.last()
    answer = chat(acme.key(acme.customer(acme.budget())))
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "provider_error")
    assert answer.headers["x-should-retry"] == "false"
    assert "redirect" in answer.json()["error"]["message"]
    assert bill.records(after=before) == []


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (b"text/html", b"<h1>404</h1>"),
        # OpenAI's own words for an address it does not have, in the form of any other error.
        (
            b"application/json",
            b'{"error":{"message":"Invalid URL (POST /chat/completions)","type":"invalid_request_error",'
            b'"param":null,"code":null}}',
        ),
    ],
)
def test_a_base_url_without_its_ending_is_named(
    acme: Tenant, chat: Chat, echo: Echo, kind: bytes, body: bytes
) -> None:
    echo.status, echo.kind, echo.pieces = b"404 Not Found", kind, [body]
    account = acme.account("west", default=True, base_url=echo.base_url.removesuffix("/v1"))
    acme.publish(accounts=(account,))
    answer = chat(acme.key(acme.customer(acme.budget())))
    assert answer.headers["x-should-retry"] == "false"
    error = answer.json()["error"]
    assert error["code"] == "provider_error"
    assert "'west'" in error["message"]
    assert account.base_url in error["message"]
    assert "/v1" in error["message"]


def test_a_provider_that_is_limited_says_when_to_come_again(acme: Tenant, chat: Chat, echo: Echo) -> None:
    echo.status, echo.pieces = (
        b"429 Too Many Requests",
        [b'{"error":{"message":"slow down","code":"rate_limit"}}'],
    )
    echo.extra_headers = b"retry-after: 7\r\nretry-after-ms: 0\r\n"
    acme.publish(accounts=(acme.account("main", default=True, base_url=echo.base_url),))
    answer = chat(acme.key(acme.customer(acme.budget())))
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")
    assert answer.json()["error"]["message"] == "slow down"


def test_a_refused_credential_never_shows_the_credential(acme: Tenant, chat: Chat) -> None:
    acme.publish(accounts=(acme.account("main", default=True, key="sk-wrong-0123456789"),))
    answer = chat(acme.key(acme.customer(acme.budget())))
    assert answer.json()["error"]["code"] == "provider_auth_failed"
    assert answer.headers["x-should-retry"] == "false"
    assert "sk-wrong" not in answer.text


def test_an_error_page_is_not_passed_on_as_an_answer(acme: Tenant, chat: Chat, echo: Echo) -> None:
    echo.status, echo.kind, echo.pieces = b"502 Bad Gateway", b"text/html", [b"<h1>oh no</h1>"]
    acme.publish(accounts=(acme.account("main", default=True, base_url=echo.base_url),))
    answer = chat(acme.key(acme.customer(acme.budget())))
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "provider_error")


def test_an_answer_that_is_no_json_is_counted_never_free(acme: Tenant, chat: Chat, echo: Echo) -> None:
    echo.kind, echo.pieces = b"text/html", [b"<h1>welcome to the captive portal</h1>"]
    acme.publish(accounts=(acme.account("main", default=True, base_url=echo.base_url),))
    budget = acme.budget()
    assert chat(acme.key(acme.customer(budget))).status_code == 200
    [(kind, basis, cost, _)] = acme.rows()
    assert (kind, basis) == ("settled", "estimated")
    assert acme.spent(budget) == (cost, 0)
    assert cost > 0


def test_logs_hold_no_secrets_and_no_bodies(acme: Tenant, chat: Chat, proxy: Proxy) -> None:
    key = acme.key(acme.customer(acme.budget()))
    before = len(proxy.log.read_text())  # other tests make the proxy fail on purpose
    answer = chat(key, messages=[{"role": "user", "content": "a very private question"}])
    # Its line is written once the answer is out.
    wait_for(lambda: answer.headers["farebox-request-id"] in proxy.log.read_text())
    text = proxy.log.read_text()
    assert "Traceback" not in text[before:]
    for secret in (key, "sk-sim-", "very private", "sk-wrong"):
        assert secret not in text


def test_an_answer_nobody_foresaw_leaves_no_hold_behind(
    acme: Tenant, chat: Chat, echo: Echo, proxy: Proxy
) -> None:
    """A header that is no text raised past every end: the hold was renewed for as long as the process lived."""
    echo.extra_headers = b"x-request-id: \xff\xfe\r\n"
    acme.publish(accounts=(acme.account("main", default=True, base_url=echo.base_url),))
    budget = acme.budget()
    assert chat(acme.key(acme.customer(budget))).status_code == 500
    [(kind, basis, cost, body)] = acme.rows()
    assert (kind, basis, body.end) == ("expired", "unresolved", "failed")
    assert acme.spent(budget) == (cost, 0)
    assert proxy.metric("farebox_open_holds") == 0


@pytest.mark.parametrize(
    "changes", [{"key": "sk-with\na-line-end"}, {"base_url": f"https://{'a' * 64}.example"}]
)
def test_a_request_that_cannot_be_written_costs_nothing(
    acme: Tenant, chat: Chat, proxy: Proxy, changes: dict[str, str]
) -> None:
    budget = acme.budget()
    acme.publish(accounts=(acme.account("main", default=True, **changes),))
    answer = chat(acme.key(acme.customer(budget)))
    assert answer.status_code >= 500
    assert "a-line-end" not in answer.text + proxy.log.read_text()
    assert acme.spent(budget) == (0, 0)
    assert proxy.metric("farebox_open_holds") == 0


def test_a_providers_endless_names_are_cut(acme: Tenant, chat: Chat, echo: Echo) -> None:
    echo.extra_headers = b"x-request-id: %b\r\n" % (b"x" * 300)
    echo.pieces = [echo.pieces[0].replace(b"sim-mini", b"m" * 300)]
    acme.publish(accounts=(acme.account("main", default=True, base_url=echo.base_url),))
    assert chat(acme.key(acme.customer(acme.budget()))).status_code == 200
    [(_, basis, _, body)] = acme.rows()
    assert (basis, body.upstream_request_id, body.response_model) == ("reported", "x" * 256, "m" * 256)
