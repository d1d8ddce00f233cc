"""A connection's key: what its prefix says, how it is kept, and the gateway that it opens."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from django.conf import settings as django_settings
from django.utils import timezone

from billing.errors import NotConnected
from billing.models import StripeConnection
from billing.stripe.gateway import Gateway, is_loopback
from enforcement.errors import CredentialError
from tenants.actions.provider_accounts import credential_box
from tenants.errors import InvalidInput
from tenants.models import Tenant

KEY_CHARS_MAX = 255
LAST_CHARS = 4
_KEY = re.compile(r"(?P<kind>rk|sk)_(?P<mode>test|live)_(?P<rest>\w+)", re.ASCII)


@dataclass(frozen=True, slots=True)
class ParsedKey:
    """A key as its own letters describe it."""

    text: str = field(repr=False)
    kind: str
    mode: str

    @property
    def last4(self) -> str:
        """The end by which its owner recognizes it."""
        return self.text[-LAST_CHARS:]


def parse_key(text: str, *, mode: str) -> ParsedKey:
    """Read a key that is to serve one mode.

    Raises: InvalidInput for what is no key, a key of the other mode, or a secret key where those are refused.
    """
    plain = text.strip()
    found = _KEY.fullmatch(plain) if len(plain) <= KEY_CHARS_MAX else None
    if found is None:
        hint = (
            "a publishable key cannot do it"
            if plain.startswith("pk_")
            else "it begins with rk_test_ or rk_live_"
        )
        raise InvalidInput("api_key", f"this is no restricted key of Stripe: {hint}")
    if found["mode"] != mode:
        raise InvalidInput(
            "api_key", f"this is a key for Stripe's {found['mode']} mode; here it must begin with rk_{mode}_"
        )
    if found["kind"] == "sk" and not _may_be_secret():
        raise InvalidInput(
            "api_key",
            "this is a secret key, which opens the whole account; make a restricted key (rk_…) instead",
        )
    return ParsedKey(plain, found["kind"], found["mode"])


def is_simulated() -> bool:
    """Tell whether this installation's Stripe is a simulator on this machine."""
    return is_loopback(django_settings.FAREBOX_STRIPE_BASE)


def seal_key(connection: StripeConnection, key: ParsedKey) -> None:
    """Put a key into a connection's row, sealed."""
    connection.secret = credential_box().seal(key.text, context=connection.secret_context)
    connection.key_last4 = key.last4


def gateway_with(key: str, *, api_version: str, account: str = "") -> Gateway:
    """Open this installation's Stripe with a key in hand."""
    return Gateway(key, base=django_settings.FAREBOX_STRIPE_BASE, account=account, api_version=api_version)


def gateway_of(connection: StripeConnection) -> Gateway:
    """Open a connection.

    Raises: NotConnected when its key is gone, refused by Stripe, or cannot be unsealed.
    """
    if not connection.is_usable:
        raise NotConnected(
            f"the connection to Stripe is {connection.status}: {connection.why or 'give a key'}"
        )
    return _opened(connection)


def gateway_even_if_broken(connection: StripeConnection) -> Gateway:
    """Open a connection to see whether Stripe takes its key again. Raises: NotConnected."""
    if not connection.secret:
        raise NotConnected("the connection to Stripe has no key any more; give one")
    return _opened(connection)


def connection_of(tenant: Tenant, mode: str) -> StripeConnection:
    """The connection of a tenant in one mode. Raises: NotConnected when there is none, or it was ended."""
    row = StripeConnection.objects.for_scope(tenant, mode).select_related("tenant").first()
    if row is None or row.status == StripeConnection.Status.DISCONNECTED:
        raise NotConnected(f"{tenant.name} is not connected to Stripe in mode {mode}")
    return row


def open_webhook_secrets(connection: StripeConnection, kind: str) -> list[str]:
    """The signing secrets that deliveries of a kind (snapshot, thin) may bear now, the newest first."""
    now = timezone.now().isoformat()
    live = [
        each for each in connection.webhook_secrets if each["kind"] == kind and now < (each["until"] or "~")
    ]
    return [credential_box().open(each["sealed"], context=connection.webhook_context) for each in live]


def _opened(connection: StripeConnection) -> Gateway:
    try:
        key = credential_box().open(connection.secret, context=connection.secret_context)
    except CredentialError as error:
        raise NotConnected(f"the key of the connection to Stripe cannot be read: {error}") from error
    account = connection.stripe_account if connection.kind == StripeConnection.Kind.CONNECT else ""
    return gateway_with(key, api_version=connection.api_version, account=account)


def _may_be_secret() -> bool:
    # A simulator has nothing to protect.
    return is_simulated() or django_settings.FAREBOX_STRIPE_FULL_KEYS == "allow"
