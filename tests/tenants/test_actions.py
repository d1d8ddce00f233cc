"""Every write: what it changes, what it leaves behind, what it refuses."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from config.secretkey import make_secret_key
from enforcement.errors import CredentialError
from enforcement.keyring import parse_key
from metering.ids import derived_id
from metering.money import LIMIT_NANOUSD_MAX, parse_usd
from tenants.actions import budgets, customers, keys, prices, provider_accounts, tenants
from tenants.actions.customer_import import import_customers_csv
from tenants.errors import AlreadyExists, InvalidInput, WrongState
from tenants.models import AuditEntry, Budget, Customer, Key, Outbox, PriceEntry, ProviderAccount, Tenant
from tests.factories import ACTOR, Holding, make_account, make_budget, make_customer, make_key, make_tenant


def last_entry(object_id: str) -> AuditEntry:
    return AuditEntry.objects.filter(object_id=object_id).order_by("-id")[0]


def test_a_tenant_is_made_with_settings_for_both_modes(db: None) -> None:
    tenant = make_tenant("Initech")

    assert tenant.pk.startswith("ten_")
    assert {row.mode for row in tenant.settings.all()} == {"test", "live"}
    assert Outbox.objects.filter(tenant=tenant, kind="tenant").count() == 2
    with pytest.raises(AlreadyExists):
        make_tenant("initech")


def test_a_customers_id_is_what_the_proxy_would_give_it(acme: Holding) -> None:
    customer = make_customer(acme.tenant, "first-seen")
    assert customer.pk == derived_id("cus", acme.tenant.pk, "test", "first-seen")
    assert make_customer(acme.tenant, "first-seen", mode="live").pk != customer.pk


def test_a_change_leaves_who_what_before_and_after(acme: Holding) -> None:
    budgets.change_limit(budget=acme.budget, actor=ACTOR, limit_nanousd=parse_usd("7.00"))

    entry = last_entry(acme.budget.pk)
    assert (entry.action, entry.actor_id, entry.mode) == ("budget.change_limit", "tests", "test")
    assert entry.before == {"limit_nanousd": parse_usd("50.00")}
    assert entry.after == {"limit_nanousd": parse_usd("7.00")}


def test_a_refused_change_leaves_nothing(acme: Holding) -> None:
    before = (AuditEntry.objects.count(), Outbox.objects.count())
    with pytest.raises(InvalidInput):
        budgets.change_limit(budget=acme.budget, actor=ACTOR, limit_nanousd=int(LIMIT_NANOUSD_MAX) + 1)
    assert (AuditEntry.objects.count(), Outbox.objects.count()) == before


def test_versions_grow_with_every_change_of_any_row(acme: Holding) -> None:
    first = customers.suspend_customer(customer=acme.customer, actor=ACTOR).row.version
    second = keys.change_key(key=acme.key.row, actor=ACTOR, values={"name": "new"}).row.version
    third = customers.resume_customer(customer=acme.customer, actor=ACTOR).row.version
    assert first < second < third


def test_an_external_id_never_changes(acme: Holding) -> None:
    with pytest.raises(InvalidInput):
        customers.change_customer(customer=acme.customer, actor=ACTOR, values={"external_id": "other"})


def test_a_second_customer_of_an_external_id_is_refused_and_an_upsert_changes_it(acme: Holding) -> None:
    with pytest.raises(AlreadyExists):
        customers.create_customer(tenant=acme.tenant, mode="test", actor=ACTOR, external_id="acme-1")
    changed = customers.upsert_customer(
        tenant=acme.tenant, mode="test", actor=ACTOR, external_id="acme-1", values={"name": "Renamed"}
    )
    assert not changed.created
    assert Customer.objects.get(pk=acme.customer.pk).name == "Renamed"


@pytest.mark.parametrize("external_id", ["", " lead", "new\nline", "x" * 201])
def test_an_external_id_that_cannot_be_kept_letter_by_letter_is_refused(
    acme: Holding, external_id: str
) -> None:
    with pytest.raises(InvalidInput):
        make_customer(acme.tenant, external_id)


def test_of_a_key_only_digest_and_prefix_are_kept(acme: Holding) -> None:
    issued = make_key(acme.tenant, acme.customer)

    parsed = parse_key(issued.secret)
    assert parsed is not None
    assert (parsed.kind, parsed.mode, parsed.tenant_id) == ("ck", "test", acme.tenant.pk)
    stored = Key.objects.filter(pk=issued.row.pk).values()[0]
    assert stored["digest"] == parsed.digest
    assert issued.secret.startswith(stored["prefix"])
    assert len(issued.secret) - len(stored["prefix"]) > 35
    assert issued.secret not in repr(stored) + repr(issued) + repr(last_entry(issued.row.pk).after)


def test_a_revoked_key_stays_revoked(acme: Holding) -> None:
    keys.revoke_key(key=acme.key.row, actor=ACTOR)
    with pytest.raises(WrongState):
        keys.rotate_key(key=acme.key.row, actor=ACTOR)
    with pytest.raises(WrongState):
        keys.change_key(key=acme.key.row, actor=ACTOR, values={"name": "x"})


def test_a_second_rotation_does_not_prolong_the_first_secret(acme: Holding) -> None:
    keys.rotate_key(key=acme.key.row, actor=ACTOR, overlap_seconds=3600)
    keys.rotate_key(key=acme.key.row, actor=ACTOR, overlap_seconds=60)
    ends = [secret.expires_at for secret in acme.key.row.retired_secrets.all()]
    assert len(ends) == 2
    assert max(ends) < timezone.now() + timedelta(seconds=61)


def test_a_budget_measures_charge_except_the_tenants_own(acme: Holding) -> None:
    assert make_budget(acme.tenant).measure == "cost"
    assert make_budget(acme.tenant, acme.customer).measure == "charge"


@pytest.mark.parametrize(
    "terms", [{"window_kind": "year"}, {"zone": "Mars/Olympus"}, {"anchor_day": 32}, {"limit": "9000000.01"}]
)
def test_a_budget_that_cannot_be_kept_is_refused(acme: Holding, terms: dict[str, object]) -> None:
    with pytest.raises(InvalidInput):
        make_budget(acme.tenant, acme.customer, **terms)  # type: ignore[arg-type]


def test_another_tenants_or_modes_customer_gets_no_budget_and_no_key(acme: Holding, globex: Holding) -> None:
    for target in (globex.customer, make_customer(acme.tenant, "live-1", mode="live")):
        with pytest.raises(InvalidInput):
            make_budget(acme.tenant, target)
        with pytest.raises(InvalidInput):
            make_key(acme.tenant, target)


def test_a_credential_is_encrypted_bound_to_its_account_and_rotated(acme: Holding) -> None:
    other = make_account(acme.tenant, name="other", api_key="sk-other")
    stored = ProviderAccount.objects.get(pk=acme.account.pk)
    assert "sk-0123" not in stored.credential
    assert stored.credential_hint == "…mnop"
    assert provider_accounts.open_credential(stored) == "sk-0123456789abcdefghijklmnop"

    other.credential = stored.credential
    with pytest.raises(CredentialError):
        provider_accounts.open_credential(other)

    provider_accounts.rotate_credential(account=stored, actor=ACTOR, api_key="sk-new")
    assert provider_accounts.open_credential(ProviderAccount.objects.get(pk=stored.pk)) == "sk-new"
    assert last_entry(stored.pk).after["credential"] == "rotated"  # type: ignore[index]
    assert "sk-new" not in str(last_entry(stored.pk).after)


def test_credentials_are_resealed_under_a_new_secret_key(acme: Holding, settings: object) -> None:
    old = list(settings.FAREBOX_SECRET_KEYS)  # type: ignore[attr-defined]
    settings.FAREBOX_SECRET_KEYS = (make_secret_key(), *old)  # type: ignore[attr-defined]

    assert provider_accounts.reseal_credentials().accounts == (acme.account.pk,)
    assert last_entry(acme.account.pk).action == "provider_account.reseal"
    assert provider_accounts.reseal_credentials() == provider_accounts.Resealed()

    settings.FAREBOX_SECRET_KEYS = settings.FAREBOX_SECRET_KEYS[:1]  # type: ignore[attr-defined]
    account = ProviderAccount.objects.get(pk=acme.account.pk)
    assert provider_accounts.open_credential(account) == "sk-0123456789abcdefghijklmnop"


def test_a_credential_is_not_sent_elsewhere_by_a_change_of_the_url_alone(acme: Holding) -> None:
    with pytest.raises(InvalidInput):
        provider_accounts.change_provider_account(
            account=acme.account, actor=ACTOR, values={"base_url": "https://evil.example.com/v1"}
        )


def test_one_account_a_dialect_is_the_default(acme: Holding) -> None:
    second = make_account(acme.tenant, name="second", provider="groq")
    assert not second.is_default
    provider_accounts.change_provider_account(account=second, actor=ACTOR, values={"is_default": True})
    defaults = ProviderAccount.objects.for_tenant(acme.tenant).filter(is_default=True)
    assert [account.name for account in defaults] == ["second"]


def test_the_past_keeps_its_price(acme: Holding) -> None:
    name = ("sim", "sim-mini")
    terms = prices.PriceTerms(rates={"input": 5, "output": 6})
    common = {"tenant": acme.tenant, "mode": "test", "actor": ACTOR, "name": name, "terms": terms}

    change = prices.put_price(**common)  # type: ignore[arg-type]
    again = prices.put_price(**common)  # type: ignore[arg-type]

    assert change.created
    assert not again.created
    assert again.row == change.row
    assert PriceEntry.objects.get(pk=acme.price.pk).rates["input"] == 1_000_000_000
    with pytest.raises(InvalidInput):
        prices.put_price(**common, from_at=timezone.now() - timedelta(days=1))  # type: ignore[arg-type]


def test_prices_in_force_and_to_come_are_published_and_past_ones_are_not(acme: Holding) -> None:
    common = {"tenant": acme.tenant, "mode": "test", "actor": ACTOR, "name": ("sim", "sim-mini")}
    now_in_force = prices.put_price(**common, terms=prices.PriceTerms(rates={"input": 5})).row  # type: ignore[arg-type]
    later = timezone.now() + timedelta(days=1)
    coming = prices.put_price(**common, terms=prices.PriceTerms(rates={"input": 7}), from_at=later).row  # type: ignore[arg-type]

    found = set(PriceEntry.objects.for_scope(acme.tenant, "test").in_force_or_coming(timezone.now()))

    assert found == {now_in_force, coming}


def test_a_price_without_an_input_rate_or_with_an_unknown_bucket_is_refused(acme: Holding) -> None:
    for rates in ({"output": 1}, {"input": 1, "thoughts": 1}, {"input": -1}):
        with pytest.raises(InvalidInput):
            prices.put_price(
                tenant=acme.tenant,
                mode="test",
                actor=ACTOR,
                name=("sim", "x"),
                terms=prices.PriceTerms(rates=rates),
            )


def test_unknown_customers_need_a_default_budget(acme: Holding) -> None:
    with pytest.raises(InvalidInput):
        tenants.change_settings(
            tenant=acme.tenant, mode="test", actor=ACTOR, changes={"unknown_customer": "default_budget"}
        )


def test_settings_of_test_leave_live_alone(acme: Holding) -> None:
    tenants.set_markup(tenant=acme.tenant, mode="test", actor=ACTOR, markup_bp=2000)
    assert acme.tenant.settings_for("test").markup_bp == 2000
    assert acme.tenant.settings_for("live").markup_bp == 0


def test_a_file_of_customers_loses_no_line(acme: Holding) -> None:
    text = (
        "\ufeffexternal_id,name,limit_usd,window,metadata.plan\r\n"
        'a,"Comma, Inc.",10.00,day,gold\r\n'
        "b,,nonsense,,\r\n"
        "acme-1,Renamed,,,\r\n"
        ",No id,,,\r\n"
        "c,C,1,,,extra\r\n"
        "a,,12.00,,\r\n"
    )
    report = import_customers_csv(tenant=acme.tenant, mode="test", actor=ACTOR, text=text)

    outcomes = [(line.line, line.outcome) for line in report.lines]
    assert outcomes == [
        (2, "created"), (3, "failed"), (4, "changed"), (5, "failed"), (6, "failed"), (7, "changed"),
    ]  # fmt: skip
    made = Customer.objects.get(external_id="a")
    assert (made.name, made.metadata) == ("Comma, Inc.", {"plan": "gold"})
    budget = Budget.objects.get(customer=made)
    assert (budget.limit_nanousd, budget.window_kind) == (parse_usd("12.00"), "day")
    assert not Customer.objects.filter(external_id__in=["b", "c"]).exists()


def test_a_file_with_unknown_columns_is_refused_as_a_whole(acme: Holding) -> None:
    with pytest.raises(InvalidInput):
        import_customers_csv(tenant=acme.tenant, mode="test", actor=ACTOR, text="external_id,nmae\nx,y\n")
    assert Tenant.objects.get(pk=acme.tenant.pk).customers.count() == 1
