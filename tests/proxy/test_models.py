"""Lists of models: what a key may call, in the shape its client knows, with what it costs."""

from __future__ import annotations

from typing import Any

import httpx
import msgspec
import openai
import pytest

from enforcement.policies import ProviderAccount, PublishedImport, StoppedModel
from metering.catalogue import models_of
from proxy.model_lists import SHAPES
from tests.proxy.conftest import Proxy, Tenant, code_of
from tests.proxy.messages import code_of as anthropic_code_of
from tests.proxy.texts import price

ANTHROPIC = {"anthropic-version": "2023-06-01"}


def speaking(
    tenant: Tenant, name: str, provider: str, dialect: str = "openai", *, default: bool = True
) -> ProviderAccount:
    made = tenant.account(name, default=default)
    return msgspec.structs.replace(made, provider=provider, dialect=dialect)


@pytest.fixture
def everywhere(acme: Tenant) -> Tenant:
    """Acme with an account at each of four providers and no price of its own but one."""
    acme.publish(
        accounts=(
            speaking(acme, "openai", "openai"),
            speaking(acme, "groq", "groq", default=False),
            speaking(acme, "claude", "anthropic", "anthropic"),
            speaking(acme, "gemini", "google", "gemini"),
        ),
        prices=price("in-house", provider="groq"),
    )
    return acme


def key_of(tenant: Tenant, **changes: Any) -> str:
    return tenant.key(tenant.customer(tenant.budget()), **changes)


def get(proxy: Proxy, key: str, path: str = "/v1/models", **headers: str) -> httpx.Response:
    return httpx.get(f"{proxy.url}{path}", headers={"authorization": f"Bearer {key}", **headers})


def test_openais_client_lists_what_has_a_price_with_what_it_costs(proxy: Proxy, everywhere: Tenant) -> None:
    with openai.OpenAI(base_url=f"{proxy.url}/v1", api_key=key_of(everywhere)) as client:
        found = {model.id: model for model in client.models.list()}
        one = client.models.retrieve("gpt-4o-mini")
        other = client.models.retrieve("groq/in-house")
    assert {"gpt-4o-mini", "text-embedding-3-small", "omni-moderation-latest", "groq/in-house"} <= set(found)
    assert "groq/openai/gpt-oss-120b" in found
    assert not any(name.startswith(("claude", "gemini", "ft:")) for name in found)
    assert (found["gpt-4o-mini"].owned_by, found["groq/in-house"].owned_by) == ("openai", "groq")
    assert one.model_extra is not None
    assert one == found["gpt-4o-mini"]
    ours = one.model_extra["farebox"]
    assert (ours["price"]["input_usd_per_mtok"], ours["price"]["output_usd_per_mtok"]) == ("0.15", "0.60")
    assert (ours["context_tokens_max"], ours["output_tokens_max"]) == (128_000, 16_384)
    assert ours["price_id"].startswith("genai-prices/")
    assert (ours["account"], ours["model"]) == ("openai", "gpt-4o-mini")
    assert other.model_extra is not None
    assert other.model_extra["farebox"]["model"] == "in-house"


def test_models_that_are_gone_are_not_listed() -> None:
    listed = models_of("openai")
    assert not {"ada", "text-davinci-003", "gpt-4-32k", "gpt-3.5-0301"} & set(listed)
    assert not {"claude-2", "claude-3-opus-latest"} & set(models_of("anthropic"))
    assert len(listed) == len({name.casefold() for name in listed})
    assert len(models_of("openrouter")) > 500  # a provider without a table of ceilings
    assert models_of("nobody-knows") == ()


@pytest.mark.parametrize("path", ["", "/anthropic"])
def test_anthropics_list_is_there_with_either_base_url(proxy: Proxy, everywhere: Tenant, path: str) -> None:
    sent = {"x-api-key": key_of(everywhere), **ANTHROPIC}
    with httpx.Client(base_url=f"{proxy.url}{path}/v1/models", headers=sent) as client:
        first = client.get("", params={"limit": 3}).json()
        names = [model["id"] for model in client.get("", params={"limit": 1000}).json()["data"]]
        one = client.get("/claude-sonnet-4-5").json()
        gone = client.get("/gpt-4o")
    assert (len(first["data"]), first["has_more"]) == (3, True)
    assert (first["first_id"], first["last_id"]) == (names[0], names[2])
    assert names == sorted(set(names))
    assert {"claude-sonnet-4-5", "claude-haiku-4-5"} <= set(names)
    assert all(name.startswith("claude") for name in names)
    assert {
        "type": "model",
        "id": "claude-sonnet-4-5",
        "created_at": "1970-01-01T00:00:00Z",
    }.items() <= one.items()
    assert one["farebox"]["price"]["cache_write_5m_usd_per_mtok"] == "3.75"
    assert anthropic_code_of(gone) == (404, "not_found_error", "model_not_found")


def test_anthropics_pages_go_both_ways(proxy: Proxy, everywhere: Tenant) -> None:
    key = key_of(everywhere)
    whole = get(proxy, key, "/anthropic/v1/models?limit=1000").json()["data"]
    names = [model["id"] for model in whole]
    before = get(proxy, key, f"/anthropic/v1/models?limit=2&before_id={names[3]}").json()
    assert ([model["id"] for model in before["data"]], before["has_more"]) == (names[1:3], True)
    after = get(proxy, key, f"/anthropic/v1/models?after_id={names[-2]}").json()
    assert ([model["id"] for model in after["data"]], after["has_more"]) == (names[-1:], False)
    for query in ("limit=0", "limit=x", "limit=1001", "after_id=nobody", "before_id=nobody"):
        refused = get(proxy, key, f"/anthropic/v1/models?{query}")
        assert anthropic_code_of(refused) == (400, "invalid_request_error", "invalid_request")


def test_gemini_lists_in_pages(proxy: Proxy, everywhere: Tenant) -> None:
    key = key_of(everywhere)
    head = {"x-goog-api-key": key}
    base = f"{proxy.url}/gemini/v1beta/models"
    found: list[dict[str, Any]] = []
    token = ""
    while True:
        query = {"pageSize": "7", **({"pageToken": token} if token else {})}
        page = httpx.get(base, params=query, headers=head).json()
        found += page["models"]
        token = page.get("nextPageToken", "")
        if not token:
            break
    names = [model["name"] for model in found]
    assert names == sorted(set(names))
    assert "models/gemini-2.5-flash" in names
    one = httpx.get(f"{base}/gemini-2.5-flash", headers=head).json()
    assert one == found[names.index("models/gemini-2.5-flash")]
    assert one["supportedGenerationMethods"] == ["generateContent", "countTokens"]
    assert one["inputTokenLimit"] == one["farebox"]["context_tokens_max"] == 1_048_576
    embedding = found[names.index("models/gemini-embedding-001")]
    assert embedding["supportedGenerationMethods"] == ["embedContent"]


def test_a_key_sees_what_it_and_its_customer_may_both_call(proxy: Proxy, everywhere: Tenant) -> None:
    customer = everywhere.customer(everywhere.budget(), models_allowed=("gpt-4o*", "groq/*"))
    key = everywhere.key(customer, models_allowed=("gpt-4o-mini*", "groq/in-*"))
    names = [model["id"] for model in get(proxy, key).json()["data"]]
    assert "groq/in-house" in names
    assert all(name.startswith(("gpt-4o-mini", "groq/in-")) for name in names)
    assert get(proxy, key, "/v1/models/gpt-4o-mini").status_code == 200
    assert code_of(get(proxy, key, "/v1/models/gpt-4o")) == (404, "model_not_found")


def test_a_model_with_a_date_is_found_though_no_list_has_it(proxy: Proxy, everywhere: Tenant) -> None:
    key = key_of(everywhere)
    found = get(proxy, key, "/v1/models/gpt-4o-mini-2024-07-18").json()
    assert found["farebox"]["price"]["input_usd_per_mtok"] == "0.15"
    assert code_of(get(proxy, key, "/v1/models/nobody-priced-it")) == (404, "model_not_found")


def test_a_change_is_seen_by_the_next_request(proxy: Proxy, everywhere: Tenant) -> None:
    key = key_of(everywhere)
    assert "groq/new-one" not in [model["id"] for model in get(proxy, key).json()["data"]]
    everywhere.publish(
        prices=price("new-one", "new-one@priority", provider="groq"),
        stopped_models=(StoppedModel("openai", "gpt-4o"),),
        imported_prices=(PublishedImport(price("only-imported", provider="groq")[0], ("only-imported",)),),
    )
    names = {model["id"] for model in get(proxy, key).json()["data"]}
    assert {"groq/new-one", "groq/only-imported"} <= names
    assert not {"gpt-4o", "groq/in-house", "groq/new-one@priority"} & names


def test_an_account_that_stands_alone_or_is_the_default_needs_no_prefix(proxy: Proxy, acme: Tenant) -> None:
    one = speaking(acme, "solo", "groq", default=False)
    acme.publish(accounts=(one,), prices=price("plain", "solo/odd", provider="groq"))
    names = {model["id"] for model in get(proxy, key_of(acme)).json()["data"]}
    assert "plain" in names
    # Called plainly, its first part would be taken for the account.
    assert "solo/solo/odd" in names
    assert "solo/odd" not in names


@pytest.mark.parametrize("path", sorted(SHAPES))
def test_nobodys_key_lists_nothing(proxy: Proxy, acme: Tenant, path: str) -> None:
    assert get(proxy, "fbx_ck_test_nonsense", path).status_code == 401
    assert httpx.get(f"{proxy.url}{path}").status_code == 401
    empty = get(proxy, key_of(acme), "/anthropic/v1/models").json()
    assert empty == {"data": [], "has_more": False, "first_id": None, "last_id": None}


def test_a_suspended_customer_lists_nothing(proxy: Proxy, acme: Tenant) -> None:
    customer = acme.customer(acme.budget(), state="suspended")
    assert code_of(get(proxy, acme.key(customer))) == (403, "customer_suspended")
