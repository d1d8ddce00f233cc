"""Asking a provider account whether it works: lists its models, spends nothing.

Goes only where a provider account may lead: the name is resolved here, every address is judged, and the connection is
made to the address that was judged, so that a name cannot change its mind in between.
"""

from __future__ import annotations

import ipaddress
import socket
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx

from enforcement.errors import CredentialError
from tenants.actions.provider_accounts import open_credential
from tenants.errors import TenantsError
from tenants.models import ProviderAccount
from tenants.providers import Provider, find
from tenants.upstreams import checked_base_url, is_allowed_private, is_public

TIMEOUTS = httpx.Timeout(10.0, connect=5.0)
ANSWER_BYTES_MAX = 2_000_000
MODELS_SHOWN_MAX = 500
ANTHROPIC_VERSION = "2023-06-01"
_WRONG_KEY = {"API_KEY_INVALID", "API_KEY_EXPIRED"}


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """Whether an account works, and if not, whose fault it is and what mends it."""

    works: bool
    code: str = ""
    message: str = ""
    status: int | None = None
    latency_ms: int | None = None
    models: tuple[str, ...] = field(default=())


def probe_account(account: ProviderAccount) -> ProbeResult:
    """List the account's models with its own credential."""
    mend = f"PATCH /api/v1/provider-accounts/{account.pk}"
    try:
        credential = open_credential(account)
        url, headers, extensions = _pinned(account, credential)
    except CredentialError as error:
        return _failed(
            "credential_unreadable", f"account {account.name}: {error}; give the api_key again with {mend}"
        )
    except (TenantsError, OSError) as error:
        return _failed("provider_unreachable", f"account {account.name}: {error}; mend base_url with {mend}")
    started = time.monotonic()
    try:
        with (
            httpx.Client(timeout=TIMEOUTS, trust_env=False) as client,
            client.stream("GET", url, headers=headers, extensions=extensions) as response,
        ):
            body = _read(response)
    except httpx.HTTPError as error:
        why = str(error) or type(error).__name__
        return _failed(
            "provider_unreachable", f"account {account.name}: {account.base_url} did not answer: {why}"
        )
    latency_ms = round((time.monotonic() - started) * 1000)
    return _judge(account, response.status_code, body, latency_ms=latency_ms, mend=mend)


def _judge(account: ProviderAccount, status: int, body: Any, *, latency_ms: int, mend: str) -> ProbeResult:
    known = find(account.provider)
    names = _model_names(body) if known is None or known.lists_models else ()
    told = f"account {account.name}: {account.base_url} answered {status}"
    if status in (401, 403) or (status == 400 and _WRONG_KEY & _reasons(body)):
        refused = f"{account.provider} refused the credential of account {account.name}"
        told = f"{refused} ({account.credential_hint}); give a new api_key with {mend}"
        return _failed("provider_auth_failed", told, status, latency_ms)
    if status >= 400:
        return _failed("provider_error", f"{told} to a listing of models; check base_url", status, latency_ms)
    if names is None:
        return _failed(
            "provider_error", f"{told}, but with no list of models; check base_url", status, latency_ms
        )
    message = f"account {account.name} works"
    return ProbeResult(works=True, message=message, status=status, latency_ms=latency_ms, models=names)


def _reasons(body: Any) -> set[str]:
    """Why Google refuses, in its own words: to a wrong key it answers 400."""
    error = body.get("error") if isinstance(body, dict) else None
    details = error.get("details") if isinstance(error, dict) else None
    listed = details if isinstance(details, list) else []
    return {str(one.get("reason")) for one in listed if isinstance(one, dict)}


def _failed(code: str, message: str, status: int | None = None, latency_ms: int | None = None) -> ProbeResult:
    return ProbeResult(works=False, code=code, message=message, status=status, latency_ms=latency_ms)


def _request_of(account: ProviderAccount, credential: str) -> tuple[str, dict[str, str]]:
    """The listing of models in the account's dialect."""
    match account.dialect:
        case ProviderAccount.Dialect.ANTHROPIC:
            return "/v1/models", {"x-api-key": credential, "anthropic-version": ANTHROPIC_VERSION}
        case ProviderAccount.Dialect.GEMINI:
            return f"/v1beta/models?pageSize={MODELS_SHOWN_MAX}", {"x-goog-api-key": credential}
        case _:
            return _openai_listing(find(account.provider), credential)


def _openai_listing(known: Provider | None, credential: str) -> tuple[str, dict[str, str]]:
    """The listing of an OpenAI-like server, as the provider's data has it."""
    if known is None:
        return "/models", {"authorization": f"Bearer {credential}"}
    name, value = known.presented(credential)
    path = f"{known.models_path}?{known.query}" if known.query else known.models_path
    return path, {name: value}


def _pinned(account: ProviderAccount, credential: str) -> tuple[str, dict[str, str], dict[str, str]]:
    """The request to an address that was judged, still speaking to the host by its name."""
    base_url = checked_base_url(account.base_url)
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    address = judged_address(host, port)
    path, headers = _request_of(account, credential)
    literal = f"[{address}]" if address.version == 6 else str(address)
    url = f"{parts.scheme}://{literal}:{port}{parts.path}{path}"
    return url, {**headers, "host": parts.netloc, "accept": "application/json"}, {"sni_hostname": host}


def judged_address(host: str, port: int) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Resolve a name to the address to connect to. Raises: OSError when it leads inwards or nowhere."""
    found = {
        ipaddress.ip_address(row[4][0]) for row in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    }
    if not is_allowed_private(host, port):
        inward = [str(address) for address in found if not is_public(address)]
        if inward:
            raise OSError(f"{host} leads to the private address {inward[0]}")
    return min(found, key=lambda address: (address.version, int(address)))


def _read(response: httpx.Response) -> Any:
    taken = b""
    for chunk in response.iter_bytes():
        taken += chunk
        if len(taken) > ANSWER_BYTES_MAX:
            return None
    try:
        return httpx.Response(200, content=taken).json()
    except ValueError:
        return None


def _model_names(body: Any) -> tuple[str, ...] | None:
    rows = body.get("data", body.get("models")) if isinstance(body, dict) else body
    if not isinstance(rows, list):
        return None
    names = (str(row.get("id") or row.get("name") or "") for row in rows if isinstance(row, dict))
    return tuple(name.removeprefix("models/") for name in names if name)[:MODELS_SHOWN_MAX]
