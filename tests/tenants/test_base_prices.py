"""Base prices under review: compared, warned about, brought in by date, published, and kept for good."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from enforcement.control import Control
from metering.base_prices import book_name
from metering.prices import PriceBook
from tenants.actions.prices import PriceTerms, put_price
from tenants.actions.tenants import set_markup
from tenants.base_books import PriceShelf, keep_installed_book
from tenants.models import AuditEntry, BasePrice, BasePriceEntry, Outbox, TenantSettings
from tenants.policy_calls import calls_of_tenant
from tenants.pricing.books import base_book, tenant_book
from tenants.projection import milliseconds
from tests.factories import ACTOR, Holding, make_customer
from tests.tenants.conftest import Api

pytestmark = pytest.mark.django_db


def model(name: str, *, prices: Any = None, **changes: Any) -> dict[str, Any]:
    given = prices or {"input_mtok": 0.3, "output_mtok": 1.2}
    return {
        "id": name,
        "match": {"or": [{"equals": name}, {"starts_with": f"{name}-"}]},
        "prices": given,
        **changes,
    }


@pytest.fixture
def make_file(tmp_path: Path) -> Callable[..., str]:
    def make(*models: dict[str, Any], provider: str = "openai") -> str:
        book = [{"id": provider, "name": provider, "api_pattern": "https://api", "models": list(models)}]
        path = tmp_path / f"{provider}-{len(list(tmp_path.iterdir()))}.json"
        path.write_text(json.dumps(book))
        return str(path)

    return make


def prices(*words: str) -> str:
    out = StringIO()
    call_command("prices", *words, stdout=out)
    return out.getvalue()


def find(name: str = "gpt-4o-mini", *, at: datetime | None = None, book: PriceBook | None = None) -> str:
    return (book or base_book()).find("openai", name, milliseconds(at or timezone.now())).price_id


def test_a_comparison_tells_old_new_and_percent(make_file: Callable[..., str]) -> None:
    text = prices("diff", make_file(model("gpt-4o-mini"), model("gpt-brand-new")))
    assert "changed  openai/gpt-4o-mini: input $0.15 -> $0.30 (+100.0 %)" in text
    assert "changed  openai/gpt-4o-mini: output $0.60 -> $1.20 (+100.0 %)" in text
    assert "changed  openai/gpt-4o-mini: cache_read $0.075 -> none" in text
    assert "new      openai/gpt-brand-new: input $0.30, output $1.20" in text
    assert "gone     openai/gpt-4o: keeps its price" in text
    assert BasePriceEntry.objects.count() == 0


def test_an_import_waits_for_a_word_and_then_rules_from_its_date(
    make_file: Callable[..., str], acme: Holding, open_shard: Callable[[str], Control]
) -> None:
    open_shard(acme.tenant.pk)
    file = make_file(model("gpt-4o-mini"), model("gpt-brand-new"))
    before, version = find(), TenantSettings.objects.get(tenant=acme.tenant, mode="test").version
    with pytest.raises(CommandError, match="2 models would change"):
        prices("import", file)
    assert find() == before

    starts = timezone.now() + timedelta(days=2)
    text = prices("import", file, "--from", starts.isoformat(), "--yes")

    assert "2 models imported as genai-prices/file-" in text
    assert find() == before
    assert find(at=starts).startswith("genai-prices/file-")
    assert find("gpt-4o-mini-2024-07-18", at=starts) == find(at=starts)
    assert find("gpt-brand-new-2026", at=starts).startswith("genai-prices/file-")
    settings = TenantSettings.objects.get(tenant=acme.tenant, mode="test")
    assert settings.version > version
    assert AuditEntry.objects.filter(action="base_prices.import", actor_kind="operator").count() == 1
    assert '"imported_prices":[{"price":{"price_id":"genai-prices/file-' in repr(
        list(calls_of_tenant(settings))
    )


def test_a_second_import_follows_the_first_and_the_same_again_changes_nothing(
    make_file: Callable[..., str],
) -> None:
    first = make_file(model("gpt-4o-mini"))
    prices("import", first, "--yes")
    was, then = find(), timezone.now()
    assert "nothing to import" in prices("import", first, "--yes")
    prices("import", make_file(model("gpt-4o-mini", prices={"input_mtok": 0.4, "output_mtok": 1.2})), "--yes")
    assert find(at=then) == was
    assert find() != was


def test_an_import_can_be_taken_back_to_the_installed_package(make_file: Callable[..., str]) -> None:
    before = find()
    prices("import", make_file(model("gpt-4o-mini")), "--yes")
    assert "changed  openai/gpt-4o-mini: input $0.30 -> $0.15 (-50.0 %)" in prices("diff")
    assert "1 models imported" in prices("import", "--yes")
    assert find() == before


def test_what_a_book_announces_comes_in_with_it(make_file: Callable[..., str]) -> None:
    day = (timezone.now() + timedelta(days=30)).date()
    later = {"constraint": {"start_date": day.isoformat()}, "prices": {"input_mtok": 0.5, "output_mtok": 2}}
    dated = [{"prices": {"input_mtok": 0.3, "output_mtok": 1.2}}, later]
    prices("import", make_file(model("gpt-4o-mini", prices=dated)), "--yes")
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    assert find(at=midnight - timedelta(seconds=1)).endswith("/base")
    assert find(at=midnight).endswith(f"/{day.isoformat()}")


def test_a_price_by_the_hour_is_told_and_left_alone(make_file: Callable[..., str]) -> None:
    hours = {"constraint": {"start_time": "16:30:00Z", "end_time": "16:30:00Z"}, "prices": {"input_mtok": 9}}
    file = make_file(model("gpt-4o-mini", prices=[{"prices": {"input_mtok": 0.3, "output_mtok": 1}}, hours]))
    assert "changed  openai/gpt-4o-mini: input" in prices("diff", file)
    assert "nothing to import" in prices("import", file, "--yes")


def test_tiers_come_in_with_their_model(make_file: Callable[..., str]) -> None:
    fast = {"when": {"service_tier": "priority"}, "prices": {"input_mtok": 0.6, "output_mtok": 2.4}}
    prices("import", make_file(model("gpt-4o-mini", price_variants=[fast])), "--yes")
    shown = prices("show", "openai/gpt-4o-mini", "--tier", "priority")
    assert "input           $0.60 per million tokens" in shown
    assert sorted(BasePriceEntry.objects.values_list("price__service_tier", flat=True)) == ["", "priority"]


def test_the_past_cannot_be_changed(make_file: Callable[..., str]) -> None:
    with pytest.raises(CommandError, match="has passed"):
        prices("import", make_file(model("gpt-4o-mini")), "--from", "2026-01-01", "--yes")
    for table in ("tenants_baseprice", "tenants_basepriceentry"):
        with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"DELETE FROM {table}")


@pytest.mark.parametrize(
    "text", ["", "no json", "{}", "[]", '[{"id": "x"}]', "[1]", "null", '[{"id":"a","models":[{}]}]']
)
def test_what_is_no_book_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "data.json"
    path.write_text(text)
    with pytest.raises(CommandError):
        prices("diff", str(path))
    with pytest.raises(CommandError):
        prices("diff", str(tmp_path / "none"))


def test_whose_margin_turns_is_told(make_file: Callable[..., str], acme: Holding) -> None:
    terms = PriceTerms(rates={"input": 200_000_000, "output": 2_000_000_000})
    put_price(tenant=acme.tenant, mode="test", actor=ACTOR, name=("openai", "gpt-4o-mini"), terms=terms)
    set_markup(tenant=acme.tenant, mode="test", actor=ACTOR, markup_bp=1_000)
    make_customer(acme.tenant, "generous", markup_bp=6_000)
    make_customer(acme.tenant, "stingy", markup_bp=-2_500)
    found = [
        line for line in prices("diff", make_file(model("gpt-4o-mini"))).splitlines() if "MARGIN" in line
    ]
    assert found == [
        "MARGIN turns negative: Acme (test), customers without a markup of their own: openai/gpt-4o-mini input is "
        "charged $0.22 and would cost $0.30 per million",
        "MARGIN turns negative: Acme (test), customer stingy: openai/gpt-4o-mini input is charged $0.15 and would "
        "cost $0.30 per million",
    ]


def test_a_discount_on_the_base_price_is_told_as_it_stays(
    make_file: Callable[..., str], acme: Holding
) -> None:
    set_markup(
        tenant=acme.tenant, mode="test", actor=ACTOR, markup_bp=1_000,
        markup_models=[{"model": "gpt-4o-*", "markup_bp": -1_000}],
    )  # fmt: skip
    text = prices("diff", make_file(model("gpt-4o-mini"), model("gpt-brand-new")))
    assert "MARGIN stays negative: Acme (test)" in text
    assert "gpt-brand-new" not in "".join(line for line in text.splitlines() if "MARGIN" in line)


def test_a_tenants_own_price_stays_above_an_import(
    make_file: Callable[..., str], acme: Holding, api: Api
) -> None:
    terms = PriceTerms(rates={"input": 1, "output": 1})
    own = put_price(
        tenant=acme.tenant, mode="test", actor=ACTOR, name=("openai", "gpt-4o-mini"), terms=terms
    ).row
    prices("import", make_file(model("gpt-4o-mini"), model("gpt-4o")), "--yes")
    assert find(book=tenant_book(acme.tenant, "test")) == own.pk
    assert f"price id  {own.pk}" in prices(
        "show", "openai/gpt-4o-mini", "--tenant", acme.tenant.pk, "--mode", "test"
    )
    assert "price id  genai-prices/file-" in prices("show", "openai/gpt-4o-mini", "--tenant", acme.tenant.pk)
    answer = api(acme.api_key).get("/api/v1/prices/openai/gpt-4o").json()
    assert answer["id"] == find("gpt-4o")
    assert answer["id"].startswith("genai-prices/file-")


def test_a_price_is_shown_with_all_it_has() -> None:
    text = prices("show", "anthropic/claude-sonnet-4-5", "--at", "2026-11-01")
    assert "price id  genai-prices/" in text
    assert "when the prompt is above 200000 tokens" in text
    assert "web_search" in text
    for nonsense in (("show", "gpt-4o"), ("show", "openai/none"), ("show", "openai/gpt-4o", "--at", "noon")):
        with pytest.raises(CommandError):
            prices(*nonsense)
    with pytest.raises(CommandError, match="no tenant"):
        prices("show", "openai/gpt-4o", "--tenant", "ten_nobody")


def test_what_an_upgraded_package_changed_is_told() -> None:
    keep_installed_book()
    assert "0 figures changed" in prices("diff")
    row = BasePrice.objects.get(price_id=f"{book_name()}/openai/gpt-4o-mini/base")
    older = {**row.document, "rates": {**row.document["rates"], "input": 100_000_000}}
    BasePrice.objects.create(
        price_id="genai-prices/0.0.1/openai/gpt-4o-mini/base", book="genai-prices/0.0.1", provider="openai",
        model="gpt-4o-mini", document=older,
    )  # fmt: skip
    text = prices("diff")
    assert "changed  openai/gpt-4o-mini: input $0.10 -> $0.15 (+50.0 %)" in text
    assert "omni-moderation" not in text


def test_imported_ids_stay_resolvable(make_file: Callable[..., str]) -> None:
    prices("import", make_file(model("gpt-4o-mini")), "--yes")
    shelf = PriceShelf()
    shelf.fetch({find()})
    found = shelf.find(find())
    assert found is not None
    assert found.rates["input"].nanousd_per_mtok == 300_000_000
    assert Outbox.objects.count() == 0
