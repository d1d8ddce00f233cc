"""What a caller is told when a provider refuses or fails: never so that it looks like the caller's own mistake."""

from __future__ import annotations

from typing import Any

import msgspec

from enforcement.policies import ProviderAccount
from metering.providers import find_provider
from proxy.errors import ForbiddenAddress, NotSent, Refusal, UpstreamError
from proxy.upstream import Answer

_RETRY_AFTER_MS = 1_000
# Somebody has to mend it first; or it may have been billed, and a client that tries again by itself would pay again.
_NEVER = None
_PAGE = "the portal's page Provider accounts or PATCH /api/v1/provider-accounts"
# Source: Google's "Error reasons" of API keys, read 2026-11-21.
_WRONG_KEY = frozenset({"API_KEY_INVALID", "API_KEY_EXPIRED"})
_told = msgspec.json.Decoder(dict[str, Any] | list[dict[str, Any]])


def not_reached(failure: UpstreamError, account: ProviderAccount) -> Refusal:
    """Say why a provider gave no answer."""
    where = f"provider account {account.name!r} ({account.base_url})"
    if isinstance(failure, ForbiddenAddress):
        why = f"{where} may not be reached: {failure}. Mend its base URL on {_PAGE}"
        return Refusal("provider_error", why, retry_after_ms=_NEVER)
    if failure.timed_out:
        return Refusal("provider_timeout", f"{where} did not answer in time: {failure}")
    if isinstance(failure, NotSent):
        return Refusal(
            "provider_error", f"{where} could not be reached: {failure}. Nothing was sent or billed"
        )
    return Refusal("provider_error", f"{where} broke off: {failure}", retry_after_ms=_NEVER)


def of_status(answer: Answer, body: bytes, *, account: ProviderAccount, model: str) -> Refusal | None:
    """Say what a provider's error status means to a caller; None where its own answer is passed on as it is."""
    status = answer.status
    where = f"provider account {account.name!r}"
    if status in {401, 403} or (status == 400 and _rejects_key(body)):
        return Refusal(
            "provider_auth_failed",
            f"{where} was refused by its provider ({status}): its credential is wrong, withdrawn or without the right "
            f"to this. Mend it on {_PAGE}; the caller's own key is fine",
            numbers={"provider_status": status, "account": account.name},
        )
    if status == 402:
        return Refusal(
            "provider_error",
            f"{where} is out of credit at its provider (402); no budget of Farebox is exhausted",
            numbers={"provider_status": status, "account": account.name},
            retry_after_ms=_NEVER,
        )
    if status == 429:
        return Refusal(
            "provider_rate_limited",
            _message(body) or f"{where} is limited by its provider (429)",
            numbers={"provider_status": status, "account": account.name},
            retry_after_ms=_retry_after_ms(answer),
        )
    if status == 404:
        return _not_found(body, account, model)
    if 300 <= status < 400 or not _error_of(body):
        return _bare(status, where, account)
    return None


def _not_found(body: bytes, account: ProviderAccount, model: str) -> Refusal:
    where = f"provider account {account.name!r}"
    if _names_model(body, model):
        return Refusal(
            "model_not_found",
            f"{where} does not serve the model {model!r}: {_message(body)}",
            param="model",
            numbers={"provider_status": 404, "account": account.name},
        )
    return Refusal(
        "provider_error",
        f"{where} answered 404 ({_message(body) or 'no reason given'}): there is no API at its base URL "
        f"{account.base_url}{_slip(account)}. Mend it on {_PAGE}",
        numbers={"provider_status": 404, "account": account.name},
        retry_after_ms=_NEVER,
    )


def _slip(account: ProviderAccount) -> str:
    """What is most likely wrong with a base URL: it is what the provider's official client would take."""
    has_version = account.base_url.rstrip("/").endswith("/v1")
    known = find_provider(account.provider)
    usual = (known.base_url or known.base_url_example) if known else "/v1"
    if account.dialect == "openai" and not has_version and usual.endswith("/v1"):
        return ", which most likely lacks its ending /v1"
    if account.dialect != "openai" and has_version:
        return ", whose ending /v1 is most likely one too many"
    return ""


def _names_model(body: bytes, model: str) -> bool:
    """Tell a missing model from a missing address: OpenAI and its like answer 404 in the same form to both."""
    error = _error_of(body)
    known = isinstance(error, dict) and (
        error.get("code") == "model_not_found" or error.get("param") == "model"
    )
    return known or model in _message(body)


def _bare(status: int, where: str, account: ProviderAccount) -> Refusal:
    numbers: dict[str, str | int | None] = {"provider_status": status, "account": account.name}
    if status in {408, 504, 524}:
        return Refusal("provider_timeout", f"{where} gave up at its provider ({status})", numbers=numbers)
    if 300 <= status < 400:
        return Refusal(
            "provider_error",
            f"{where} answered with a redirect ({status}), which is never followed: mend its base URL "
            f"{account.base_url}",
            numbers=numbers,
            retry_after_ms=_NEVER,
        )
    return Refusal("provider_error", f"{where} answered {status}", numbers=numbers)


def _error_of(body: bytes) -> Any:
    try:
        told = _told.decode(body)
    except msgspec.DecodeError:
        return None
    # A stream that is one array tells its error as the only element.
    return told.get("error") if isinstance(told, dict) else told[0].get("error") if len(told) == 1 else None


def _rejects_key(body: bytes) -> bool:
    """Tell whether a credential was refused in words alone: Google answers 400 to one that is wrong."""
    error = _error_of(body)
    details = error.get("details") if isinstance(error, dict) else None
    listed = details if isinstance(details, list) else []
    reasons = [one.get("reason") for one in listed if isinstance(one, dict)]
    return not _WRONG_KEY.isdisjoint(map(str, reasons))


def _message(body: bytes) -> str:
    error = _error_of(body)
    return str(error.get("message") or "") if isinstance(error, dict) else str(error or "")


def _retry_after_ms(answer: Answer) -> int:
    # Azure sends `retry-after: 1` beside `retry-after-ms: 0`: the longer of both.
    found = [_number(answer.header("retry-after-ms")), 1000 * _number(answer.header("retry-after"))]
    return max(found) or _RETRY_AFTER_MS


def _number(text: str) -> int:
    try:
        return max(0, int(float(text)))
    except (ValueError, OverflowError):
        return 0
