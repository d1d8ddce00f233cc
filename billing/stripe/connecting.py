"""Connect a tenant's Stripe account, give it another key, end it; and what happens when Stripe refuses the key."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from billing.errors import StripeFailed
from billing.models import CustomerMap, StripeConnection, StripeMeter
from billing.stripe.gateway import API_VERSION, Gateway
from billing.stripe.keys import ParsedKey, gateway_even_if_broken, gateway_with, parse_key, seal_key
from billing.stripe.mail import tell_broken
from billing.stripe.outcomes import Outcome, Verdict
from billing.stripe.scopes import REQUIRED, Found, described, find_scopes
from tenants.actions.recording import SYSTEM, Actor, Change, Trail, shown
from tenants.errors import InvalidInput, WrongState
from tenants.models import Tenant

SHOWN = ("kind", "key_last4", "stripe_account", "status", "why", "scopes_missing", "api_version")
WHY_CHARS_MAX = 300
_STATUS = StripeConnection.Status


def connect(*, tenant: Tenant, mode: str, actor: Actor, api_key: str) -> Change[StripeConnection]:
    """Connect a tenant in one mode with a key that Stripe takes and that may do what is needed.

    Raises: InvalidInput; StripeFailed when Stripe could not be asked; WrongState when there is a connection that works.
    Whichever it is, nothing is kept.
    """
    key = parse_key(api_key, mode=mode)
    known = StripeConnection.objects.for_scope(tenant, mode).first()
    if known is not None and known.is_usable:
        raise WrongState("there is a connection already; rotate its key, or disconnect it first")
    found, account = _proven(key)
    with transaction.atomic():
        row, _ = StripeConnection.objects.select_for_update().get_or_create(
            tenant=tenant, mode=mode, defaults={"api_version": API_VERSION}
        )
        if row.is_usable:
            raise WrongState("somebody else connected it just now")
        before = shown(row, *SHOWN)
        if row.status == _STATUS.DISCONNECTED and not _is_same_account(row, key, account):
            _forget_account(row)
        _take(row, key, found, account)
        trail = Trail(tenant, mode, actor)
        trail.audit("stripe_connection.connect", row, before=before, after=shown(row, *SHOWN))
        return trail.done(row, created=True)


def rotate_key(*, connection: StripeConnection, actor: Actor, api_key: str) -> Change[StripeConnection]:
    """Give a connection another key of the same account; what waited goes on.

    Raises: InvalidInput when the key is refused or another account's: the old one stays; StripeFailed; WrongState.
    """
    if connection.status == _STATUS.DISCONNECTED:
        raise WrongState("the connection was ended; connect again")
    key = parse_key(api_key, mode=connection.mode)
    found, account = _proven(key)
    if not _is_same_account(connection, key, account):
        raise InvalidInput(
            "api_key", "this key opens another Stripe account; disconnect first, then connect that one"
        )
    with transaction.atomic():
        row = _locked(connection)
        before = shown(row, *SHOWN)
        _take(row, key, found, account)
        trail = Trail(row.tenant, row.mode, actor)
        trail.audit("stripe_connection.rotate", row, before=before, after=shown(row, *SHOWN))
        return trail.done(row)


@transaction.atomic
def disconnect(*, connection: StripeConnection, actor: Actor) -> Change[StripeConnection]:
    """Forget a connection's key and secrets. Meters and mappings stay, so that the same account may come back."""
    row = _locked(connection)
    before = shown(row, *SHOWN)
    row.secret = row.key_last4 = row.webhook_endpoint_id = ""
    row.webhook_secrets, row.scopes_missing = [], []
    row.status, row.why = _STATUS.DISCONNECTED, ""
    row.save()
    trail = Trail(row.tenant, row.mode, actor)
    trail.audit("stripe_connection.disconnect", row, before=before, after=shown(row, *SHOWN))
    return trail.done(row)


def recheck(*, connection: StripeConnection, actor: Actor) -> Change[StripeConnection]:
    """Knock at everything again with the key that is kept; a broken connection that answers is mended.

    Raises: StripeFailed when Stripe could not be asked.
    """
    found = find_scopes(gateway_even_if_broken(connection))
    refused = found.rejected or _refusal_for(found)
    if refused is not None:
        mark_broken(connection, refused)
        connection.refresh_from_db()
        return Change(connection)
    with transaction.atomic():
        row = _locked(connection)
        before = shown(row, *SHOWN)
        _mend(row, found, timezone.now())
        row.save()
        trail = Trail(row.tenant, row.mode, actor)
        if before != shown(row, *SHOWN):
            trail.audit("stripe_connection.recheck", row, before=before, after=shown(row, *SHOWN))
        return trail.done(row)


def mark_broken(connection: StripeConnection, outcome: Outcome) -> bool:
    """Stop using a connection whose key Stripe refused; tells the tenant's people once, and returns whether it did."""
    why = _why(outcome)
    with transaction.atomic():
        row = _locked(connection)
        if not row.is_usable:
            return False
        before = shown(row, *SHOWN)
        row.status, row.why, row.broken_at = _STATUS.BROKEN, why, timezone.now()
        row.scopes_missing = sorted({*row.scopes_missing, *outcome.scopes})
        row.save(update_fields=["status", "why", "broken_at", "scopes_missing", "updated_at"])
        trail = Trail(row.tenant, row.mode, SYSTEM)
        trail.audit("stripe_connection.break", row, before=before, after=shown(row, *SHOWN))
        # Mail that cannot be queued must not keep the connection in use.
        transaction.on_commit(lambda: tell_broken.delay(row.pk), robust=True)
    return True


def note_outcome(connection: StripeConnection, outcome: Outcome) -> bool:
    """Take what an answer says about the connection itself: break it, or note a permission that some action lacks.

    Returns whether the connection is broken by it: a refused key, or a permission that nothing works without.
    """
    if outcome.verdict == Verdict.AUTH:
        mark_broken(connection, outcome)
        return True
    if outcome.verdict == Verdict.PERMISSION:
        if REQUIRED & set(outcome.scopes) or not outcome.scopes:
            mark_broken(connection, outcome)
            return True
        with transaction.atomic():
            row = _locked(connection)
            row.scopes_missing = sorted({*row.scopes_missing, *outcome.scopes})
            row.save(update_fields=["scopes_missing", "updated_at"])
    return False


@contextmanager
def noting(connection: StripeConnection) -> Iterator[None]:
    """Let the connection hear of what Stripe refuses while it is used; the refusal itself goes on to the caller."""
    try:
        yield
    except StripeFailed as error:
        if error.outcome is not None:
            note_outcome(connection, error.outcome)
        raise


def _proven(key: ParsedKey) -> tuple[Found, str]:
    """What the key may do, and whose it is where it may say so. Raises: InvalidInput; StripeFailed."""
    gateway = gateway_with(key.text, api_version=API_VERSION)
    found = find_scopes(gateway)
    if found.rejected is not None:
        raise InvalidInput("api_key", f"Stripe does not take this key: {found.rejected.detail}")
    if found.missing_required:
        listed = ", ".join(described(name) for name in found.missing_required)
        raise InvalidInput("api_key", f"the key lacks permissions; give it {listed} in Stripe's Dashboard")
    return found, _account_of(gateway)


def _account_of(gateway: Gateway) -> str:
    try:
        return gateway.account_id()
    except StripeFailed as error:
        # A restricted key need not be allowed to read its own account.
        if error.outcome is not None and error.outcome.verdict == Verdict.PERMISSION:
            return ""
        raise


def _is_same_account(row: StripeConnection, key: ParsedKey, account: str) -> bool:
    """Whether a key opens the account that a row's meters are in; by its id, else by looking for one of them."""
    if row.stripe_account and account:
        return row.stripe_account == account
    meter = StripeMeter.objects.filter(connection=row).exclude(status=StripeMeter.Status.ARCHIVED).first()
    if meter is None:
        return True
    try:
        gateway_with(key.text, api_version=row.api_version).meter(meter.stripe_meter_id)
    except StripeFailed as error:
        if error.outcome is not None and error.outcome.verdict == Verdict.MISSING:
            return False
        raise
    return True


def _forget_account(row: StripeConnection) -> None:
    """Another account: nothing there is what it was here."""
    row.stripe_account = ""
    StripeMeter.objects.filter(connection=row).update(
        status=StripeMeter.Status.ARCHIVED, updated_at=timezone.now()
    )
    CustomerMap.objects.filter(connection=row).update(
        state=CustomerMap.State.UNMAPPED, stripe_customer_id="", subscription_id="", subscription_item_id="",
        subscription_status="", period_start=None, period_end=None, updated_at=timezone.now(),
    )  # fmt: skip


def _take(row: StripeConnection, key: ParsedKey, found: Found, account: str) -> None:
    seal_key(row, key)
    row.stripe_account, row.api_version = account or row.stripe_account, API_VERSION
    _mend(row, found, timezone.now())
    row.save()


def _mend(row: StripeConnection, found: Found, now: datetime) -> None:
    row.status, row.why, row.broken_at = _STATUS.OK, "", None
    row.scopes_missing, row.checked_at = list(found.missing), now


def _refusal_for(found: Found) -> Outcome | None:
    missing = found.missing_required
    return Outcome(Verdict.PERMISSION, scopes=missing) if missing else None


def _why(outcome: Outcome) -> str:
    if outcome.verdict == Verdict.PERMISSION:
        listed = ", ".join(described(name) for name in outcome.scopes)
        return f"the key lacks {listed or 'a permission'}"[:WHY_CHARS_MAX]
    return f"Stripe does not take the key any more: {outcome.detail or outcome.code}"[:WHY_CHARS_MAX]


def _locked(connection: StripeConnection) -> StripeConnection:
    rows = StripeConnection.objects.select_for_update(of=("self",)).select_related("tenant")
    return rows.get(pk=connection.pk)
