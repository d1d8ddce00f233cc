"""Provider accounts: a tenant's upstream credentials, stored and published encrypted only."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings as django_settings
from django.db import transaction

from enforcement.errors import CredentialError
from enforcement.secrets import CredentialBox
from tenants import providers, rules, upstreams
from tenants.actions.recording import SYSTEM, Actor, Change, Trail, shown
from tenants.actions.tenants import lock_settings, touch_policy
from tenants.errors import AlreadyExists, InvalidInput
from tenants.ids import new_account_id
from tenants.models import ProviderAccount, Tenant

SHOWN = (
    *("provider", "dialect", "name", "base_url", "credential_hint", "is_default", "counts_exactly", "state"),
)
HINT_CHARS = 4
CREDENTIAL_CHARS_MAX = 4096
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,59}")
_PROVIDER = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountTerms:
    """What a new account is. ``dialect`` and ``base_url`` may be left out for a provider we know."""

    provider: str
    name: str
    api_key: str
    base_url: str | None = None
    dialect: str | None = None
    is_default: bool | None = None
    counts_exactly: bool = False

    def __repr__(self) -> str:
        return f"AccountTerms({self.provider}, {self.name})"


def credential_box() -> CredentialBox:
    """The box that seals and opens credentials with the installation's keys."""
    return CredentialBox(django_settings.FAREBOX_SECRET_KEYS)


def open_credential(account: ProviderAccount) -> str:
    """Decrypt an account's credential. Raises: CredentialError."""
    return credential_box().open(account.credential, context=account.credential_context)


@transaction.atomic
def create_provider_account(
    *, tenant: Tenant, mode: str, actor: Actor, terms: AccountTerms
) -> Change[ProviderAccount]:
    """Make an account; the first of a dialect becomes its default.

    Raises: AlreadyExists when the name is taken in this mode; InvalidInput; UnsafeUpstream.
    """
    settings = lock_settings(tenant, mode)
    scoped = ProviderAccount.objects.filter(tenant=tenant, mode=mode)
    if scoped.filter(name=terms.name).exists():
        raise AlreadyExists(f"a provider account {terms.name!r} exists already in mode {mode}")
    provider, dialect, base_url = _checked_provider(terms)
    first = not scoped.filter(dialect=dialect, is_default=True).exists()
    row = ProviderAccount(
        id=new_account_id(), tenant=tenant, mode=mode, provider=provider, dialect=dialect,
        name=_checked_name(terms.name), base_url=base_url,
    )  # fmt: skip
    row.is_default = first if terms.is_default is None else terms.is_default
    row.counts_exactly = terms.counts_exactly
    _seal(row, terms.api_key)
    _clear_other_default(row)
    row.save(force_insert=True)
    trail = Trail(tenant, mode, actor)
    trail.audit("provider_account.create", row, after=shown(row, *SHOWN))
    touch_policy(settings, trail)
    return trail.done(row, created=True)


@transaction.atomic
def change_provider_account(
    *, account: ProviderAccount, actor: Actor, values: Mapping[str, Any]
) -> Change[ProviderAccount]:
    """Change an account's base URL, state, flags or credential (``api_key``: it is rotated, never shown).

    Raises: InvalidInput; UnsafeUpstream.
    """
    settings = lock_settings(account.tenant, account.mode)
    row = ProviderAccount.objects.select_for_update(of=("self",)).select_related("tenant").get(pk=account.pk)
    before = shown(row, *SHOWN)
    for field, value in values.items():
        _apply(row, field, value)
    # A credential that was given for one host must not be sent to another by a change of the URL alone.
    if row.base_url != before["base_url"] and "api_key" not in values:
        raise InvalidInput("api_key", "a new base_url needs the api_key to be given again")
    _clear_other_default(row)
    row.save()
    trail = Trail(row.tenant, row.mode, actor)
    rotated = {"credential": "rotated"} if "api_key" in values else {}
    trail.audit("provider_account.change", row, before=before, after={**shown(row, *SHOWN), **rotated})
    touch_policy(settings, trail)
    return trail.done(row)


def rotate_credential(*, account: ProviderAccount, actor: Actor, api_key: str) -> Change[ProviderAccount]:
    """Replace an account's credential, in force for the next request."""
    return change_provider_account(account=account, actor=actor, values={"api_key": api_key})


@transaction.atomic
def delete_provider_account(*, account: ProviderAccount, actor: Actor) -> Change[ProviderAccount]:
    """Disable an account for ever and forget its credential; the ledger still names it."""
    settings = lock_settings(account.tenant, account.mode)
    row = ProviderAccount.objects.select_for_update(of=("self",)).select_related("tenant").get(pk=account.pk)
    before = shown(row, *SHOWN)
    row.state, row.is_default = ProviderAccount.State.DISABLED, False
    row.credential = row.credential_hint = ""
    # Its name is free again.
    row.name = f"{row.name[:40]}.{row.pk[-16:]}"
    row.save(update_fields=["state", "is_default", "credential", "credential_hint", "name", "updated_at"])
    trail = Trail(row.tenant, row.mode, actor)
    trail.audit("provider_account.delete", row, before=before, after={"state": row.state})
    touch_policy(settings, trail)
    return trail.done(row)


@dataclass(frozen=True, slots=True)
class Resealed:
    """What became of the credentials that another key than the first held."""

    accounts: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()  # sealed with a key that is not in hand: left as they are
    entries: tuple[int, ...] = ()


def reseal_credentials(*, actor: Actor = SYSTEM) -> Resealed:
    """Seal under the first secret key what another still holds. Run it after a key rotation; it may be repeated.

    One account that cannot be opened does not keep the others from being resealed.
    """
    box = credential_box()
    resealed: list[str] = []
    unreadable: list[str] = []
    entries: list[int] = []
    for account in ProviderAccount.objects.exclude(credential="").select_related("tenant").order_by("pk"):
        try:
            if box.needs_reseal(account.credential):
                entries += _reseal(account, box, actor).entries
                resealed.append(account.pk)
        except CredentialError:
            unreadable.append(account.pk)
    return Resealed(tuple(resealed), tuple(unreadable), tuple(entries))


@transaction.atomic
def _reseal(account: ProviderAccount, box: CredentialBox, actor: Actor) -> Change[ProviderAccount]:
    settings = lock_settings(account.tenant, account.mode)
    row = ProviderAccount.objects.select_for_update(of=("self",)).select_related("tenant").get(pk=account.pk)
    trail = Trail(row.tenant, row.mode, actor)
    if not row.credential:
        return trail.done(row)  # deleted meanwhile
    plain = box.open(row.credential, context=row.credential_context)
    row.credential = box.seal(plain, context=row.credential_context)
    row.save(update_fields=["credential", "updated_at"])
    trail.audit("provider_account.reseal", row)
    touch_policy(settings, trail)
    return trail.done(row)


def _apply(row: ProviderAccount, field: str, value: Any) -> None:
    match field:
        case "api_key":
            _seal(row, value)
        case "base_url":
            row.base_url = upstreams.checked_base_url(value)
        case "state":
            row.state = rules.one_of("state", value, ProviderAccount.State.values)
        case "is_default":
            row.is_default = bool(value)
        case "counts_exactly":
            row.counts_exactly = bool(value)
        case _:
            raise InvalidInput(field, f"{field} of a provider account never changes")


def _seal(row: ProviderAccount, api_key: str) -> None:
    if (
        not api_key.strip()
        or len(api_key) > CREDENTIAL_CHARS_MAX
        or not api_key.isascii()
        or not api_key.isprintable()
    ):
        raise InvalidInput("api_key", "api_key must be the provider's own key: printable ASCII, not empty")
    plain = api_key.strip()
    row.credential = credential_box().seal(plain, context=row.credential_context)
    # A short one would be given away by its end.
    row.credential_hint = f"…{plain[-HINT_CHARS:]}" if len(plain) >= 5 * HINT_CHARS else "…"


def _checked_name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise InvalidInput("name", f"{value[:80]!r}: a name is up to 60 of a-z 0-9 . _ - as in groq/llama-3")
    return value


def _checked_provider(terms: AccountTerms) -> tuple[str, str, str]:
    """The provider's canonical name, its dialect, and where the account leads."""
    name = providers.canonical(terms.provider)
    if not _PROVIDER.fullmatch(name):
        raise InvalidInput("provider", f"{terms.provider[:80]!r} is no provider's name such as openai")
    known = providers.find(name)
    dialect = terms.dialect or (known.dialect if known else providers.OPENAI)
    rules.one_of("dialect", dialect, ProviderAccount.Dialect.values)
    base_url = terms.base_url or _known_base_url(name, known, dialect)
    return name, dialect, upstreams.checked_base_url(base_url)


def _known_base_url(name: str, known: providers.Provider | None, dialect: str) -> str:
    if known is None:
        raise InvalidInput("base_url", f"{name} is no provider we know; give its base_url")
    public = {str(spoken): base_url for spoken, base_url in known.base_urls.items()}
    if dialect not in public:
        spoken = ", ".join(public)
        raise InvalidInput(
            "dialect", f"{known.title} is known to speak {spoken}; for {dialect} give its base_url"
        )
    if not public[dialect]:
        raise InvalidInput(
            "base_url",
            f"{known.title} has an address per customer: give yours, as in {known.base_url_example}",
        )
    return public[dialect]


def _clear_other_default(row: ProviderAccount) -> None:
    """Only one default a dialect; needs the settings' lock."""
    if row.is_default:
        others = ProviderAccount.objects.filter(
            tenant=row.tenant, mode=row.mode, dialect=row.dialect, is_default=True
        )
        others.exclude(pk=row.pk).update(is_default=False)
