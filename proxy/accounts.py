"""From a model's name to the provider account that serves it, and what a tenant's policy means once compiled."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import translate
from functools import lru_cache

from enforcement.errors import CredentialError
from enforcement.keys import Scope
from enforcement.policies import Markup, ProviderAccount, PublishedImport, PublishedPrice, TenantPolicy
from enforcement.secrets import CredentialBox
from metering.allowances import Allowances
from metering.prices import ImportedPrice, Price, PriceBook, PriceEntry, Rate
from proxy.errors import Refusal


class Tenant:
    """A tenant's policy in one mode, compiled once per version: accounts by name, the price book, open credentials."""

    __slots__ = ("_box", "_by_name", "_credentials", "_scope", "_stopped", "allowances", "policy", "prices")

    def __init__(self, policy: TenantPolicy, *, scope: Scope, box: CredentialBox) -> None:
        self.policy = policy
        self.prices = PriceBook(
            [_entry(price) for price in policy.prices], [_import(one) for one in policy.imported_prices]
        )
        self._stopped = {(stopped.provider, stopped.model) for stopped in policy.stopped_models}
        self.allowances = Allowances(policy.allowances)
        self._scope = scope
        self._box = box
        self._by_name = {account.name: account for account in policy.accounts}
        self._credentials: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"Tenant({self.policy.tenant_id}, {self.policy.mode})"

    def account_for(self, model: str, dialect: str) -> tuple[ProviderAccount, str]:
        """Return the account that serves a model and the model's name there.

        A name of the tenant's own stands for the model it was given to, once: what it stands for is no such name.
        ``account/model`` goes to that account; any other name, slashes and all, to the dialect's default account.
        Raises: Refusal ``no_provider_account``.
        """
        model = self.policy.model_aliases.get(model, model)
        prefix, slash, rest = model.partition("/")
        if slash and rest and (named := self._by_name.get(prefix)) is not None:
            if named.dialect != dialect:
                raise Refusal(
                    "no_provider_account",
                    f"the provider account {prefix!r} speaks {named.dialect}, and this route {dialect}",
                )
            return named, rest
        of_dialect = [account for account in self.policy.accounts if account.dialect == dialect]
        for account in of_dialect:
            if account.default:
                return account, model
        if len(of_dialect) == 1:
            return of_dialect[0], model
        raise Refusal("no_provider_account", self._no_account(model, dialect, of_dialect))

    def is_stopped(self, account: ProviderAccount, model: str) -> bool:
        """Tell whether a model was stopped because it cost more than its quotes too often."""
        return (account.provider, model) in self._stopped

    def credential_of(self, account: ProviderAccount) -> str:
        """Open an account's credential, once per policy version.

        Raises: Refusal ``provider_auth_failed`` when it was sealed with a key this process does not have.
        """
        credential = self._credentials.get(account.account_id)
        if credential is None:
            context = f"{self._scope.tenant_id}:{self._scope.mode}:{account.account_id}"
            try:
                credential = self._box.open(account.credential, context=context) if account.credential else ""
            except CredentialError as error:
                raise Refusal(
                    "provider_auth_failed",
                    f"the credential of provider account {account.name!r} cannot be opened: {error}",
                ) from error
            self._credentials[account.account_id] = credential
        return credential

    def _no_account(self, model: str, dialect: str, candidates: Sequence[ProviderAccount]) -> str:
        if candidates:
            names = ", ".join(account.name for account in candidates)
            return (
                f"no default provider account is set for {dialect} in {self._scope.mode} mode; name the model "
                f"<account>/{model} with one of: {names}"
            )
        return (
            f"this tenant has no {dialect} provider account in {self._scope.mode} mode; make one on the portal's page "
            "Provider accounts or with POST /api/v1/provider-accounts"
        )


def _import(published: PublishedImport) -> ImportedPrice:
    price = _price(published.price, source="genai-prices")
    return ImportedPrice(published.price.from_ms, price, published.names, published.service_tier)


def _entry(published: PublishedPrice) -> PriceEntry:
    return PriceEntry(published.from_ms, _price(published, source="tenant"))


def _price(published: PublishedPrice, *, source: str) -> Price:
    rates = {
        bucket: Rate(rate, tuple((above, dearer) for above, dearer in published.tiers.get(bucket, ())))
        for bucket, rate in published.rates.items()
    }
    return Price(
        price_id=published.price_id,
        provider=published.provider,
        model=published.model,
        rates=rates,
        extras_nanousd=published.extras_nanousd,
        per_request_nanousd=published.per_request_nanousd,
        source=source,
    )


@lru_cache(maxsize=4096)
def _pattern(glob: str) -> re.Pattern[str]:
    return re.compile(translate(glob))


def matches(glob: str, name: str) -> bool:
    """Tell whether a model's name matches a glob, upper and lower case told apart."""
    return _pattern(glob).match(name) is not None


def is_allowed(globs: Sequence[str], model: str, account: ProviderAccount) -> bool:
    """Tell whether a list of globs, empty meaning all, lets a model through, named plainly or with its account."""
    if not globs:
        return True
    qualified = f"{account.name}/{model}"
    return any(matches(glob, model) or matches(glob, qualified) for glob in globs)


def markup_in_force(tenant: Markup, customer: Markup | None) -> Markup:
    """Return a customer's markup: its own models first, then its own general one or all of the tenant's."""
    if customer is None or customer.has_general:
        return customer or tenant
    return Markup(tenant.markup_bp, tenant.markup_fixed_nanousd, (*customer.models, *tenant.models))


def markup_for(markup: Markup, model: str) -> tuple[int, int]:
    """Return a model's basis points and fixed part: the first matching entry's, else the general ones."""
    for entry in markup.models:
        if matches(entry.model, model):
            return entry.markup_bp, entry.markup_fixed_nanousd
    return markup.markup_bp, markup.markup_fixed_nanousd
