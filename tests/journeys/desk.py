"""A tenant's own work through the control API, and its customers' calls through the proxies."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.stack import Stack, wait_for

MESSAGES: Any = [{"role": "user", "content": "Say hello"}]
_numbers = itertools.count(1)


def fresh(name: str) -> str:
    """A name nobody has used in this run."""
    return f"{name}-{next(_numbers)}"


@dataclass(frozen=True)
class Made:
    """A customer as the API made it, with its budget and the secret of its key."""

    id: str
    external_id: str
    budget_id: str
    key_id: str
    key: str


@dataclass
class Desk:
    """A tenant in one mode."""

    stack: Stack
    api_key: str
    client: httpx.Client

    def ask(self, method: str, path: str, body: Any = None, **options: Any) -> httpx.Response:
        """Call the control API and return whatever it answers."""
        headers = {"authorization": f"Bearer {self.api_key}", **options.pop("headers", {})}
        url = f"{self.stack.address('web')}/api/v1{path}"
        return self.client.request(method, url, json=body, headers=headers, **options)

    def do(self, method: str, path: str, body: Any = None) -> Any:
        """Call the control API; it must be done and in force."""
        answer = self.ask(method, path, body)
        assert answer.status_code in {200, 201}, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json()

    def customer(self, limit_usd: str = "10.00", *, external_id: str = "", **key: Any) -> Made:
        """Make a customer with a monthly budget and a key."""
        named = external_id or fresh("customer")
        made = self.do("POST", "/customers", {"external_id": named})
        budget = self.do("POST", "/budgets", {"customer": made["id"], "limit_usd": limit_usd})
        issued = self.do("POST", "/keys", {"customer": made["id"], **key})
        return Made(made["id"], named, budget["id"], issued["id"], issued["key"])

    def account(self, name: str, base_url: str, api_key: str, *, default: bool = False) -> dict[str, Any]:
        """Make a provider account of OpenAI's dialect."""
        account = {"provider": "openai", "name": name, "base_url": base_url, "api_key": api_key}
        made: dict[str, Any] = self.do("POST", "/provider-accounts", {**account, "default": default})
        return made

    def price(self, model: str = "sim-mini", *, input_usd: str = "1.00", output_usd: str = "2.00") -> None:
        """Price a model of OpenAI's."""
        rates = {"input_usd_per_mtok": input_usd, "output_usd_per_mtok": output_usd}
        self.do("PUT", f"/prices/openai/{model}", {**rates, "cache_read_usd_per_mtok": "0.25"})

    def chat(
        self, key: str, model: str = "sim-mini", *, proxy: str = "proxy1", **fields: Any
    ) -> httpx.Response:
        """Make one call through a proxy and return whatever it answers."""
        headers = {"authorization": f"Bearer {key}", **fields.pop("headers", {})}
        body = {"model": model, "messages": MESSAGES, **fields}
        url = f"{self.stack.address(proxy)}/v1/chat/completions"
        return self.client.post(url, json=body, headers=headers)


def code_of(answer: httpx.Response) -> tuple[int, str]:
    """An error's status and code."""
    return answer.status_code, answer.json()["error"]["code"]


def lines_of(stack: Stack, proxy: str = "proxy1") -> list[dict[str, Any]]:
    """A proxy's own log of the requests it was sent."""
    logged = (json.loads(line) for line in stack.log(proxy).splitlines() if line.startswith("{"))
    return [line for line in logged if line["event"] == "request"]


@dataclass
class Seen:
    """What a block of a test made a proxy and a simulator see; filled in at the block's end."""

    codes: list[str] = field(default_factory=list)
    upstream: list[dict[str, Any]] = field(default_factory=list)


@contextmanager
def watching(stack: Stack, proxy: str = "proxy1", simulator: str = "simulator") -> Iterator[Seen]:
    """Collect what a proxy logs and a simulator bills during a block."""
    seen, billed = Seen(), len(stack.bill_records(simulator))
    start = _mark(stack, proxy)
    yield seen
    end = _mark(stack, proxy)
    lines = lines_of(stack, proxy)
    routes = [line["route"] for line in lines]
    seen.codes = [line["code"] for line in lines[routes.index(start) + 1 : routes.index(end)]]
    seen.upstream = stack.bill_records(simulator)[billed:]


def _mark(stack: Stack, proxy: str) -> str:
    """Put a line of our own into a proxy's log: a request's line is written after its answer has left."""
    route = f"/{fresh('mark')}"
    assert httpx.get(stack.address(proxy) + route).status_code == 404
    wait_for(lambda: any(line["route"] == route for line in lines_of(stack, proxy)), f"{route} logged")
    return route


@contextmanager
def signed_in(stack: Stack, tenant: dict[str, str], email: str) -> Iterator[httpx.Client]:
    """A browser of a tenant's owner, signed in by the form."""
    with httpx.Client(base_url=stack.address("web"), follow_redirects=True, timeout=20.0) as browser:
        hidden = hidden_of(browser.get("/accounts/login/").text)
        form = {"login": email, "password": tenant["password"], **hidden}
        entered = browser.post("/accounts/login/", data=form)
        assert "/portal/" in str(entered.url), entered.text[:2000]
        yield browser


def hidden_of(page: str) -> dict[str, str]:
    """The hidden fields of a page's last form that has any."""
    return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page))


def make_api_key(browser: httpx.Client, slug: str, mode: str) -> str:
    """Make an API key on the portal's page, as an owner does, and read it there."""
    page = f"/portal/{slug}/{mode}/keys/"
    given = {"kind": "api", "name": "journeys", **hidden_of(browser.get(page).text)}
    shown = browser.post(page, data=given).text
    found = re.search(r"fbx_ak_\w+", shown)
    assert found is not None, shown[:3000]
    return found[0]
