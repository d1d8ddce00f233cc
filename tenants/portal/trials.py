"""What trying a provider account came to, in words for a person."""

from __future__ import annotations

from dataclasses import dataclass

from tenants.models import ProviderAccount
from tenants.probing import ProbeResult, probe_account

HEADINGS = {
    "": "It works",
    "credential_unreadable": "The stored credential cannot be read",
    "provider_unreachable": "The server cannot be reached",
    "provider_auth_failed": "The provider refused the credential",
    "provider_error": "The server answered, but not as a provider does",
}
ADVICE = {
    "credential_unreadable": "Give the API key again below.",
    "provider_unreachable": "Check the base URL below.",
    "provider_auth_failed": "Give a new API key below.",
    "provider_error": "Check the base URL below: OpenAI-compatible servers usually end in a version such as /v1.",
}


@dataclass(frozen=True, slots=True)
class Trial:
    """An account's trial as a heading, a sentence and the models it found."""

    is_good: bool
    heading: str
    detail: str
    models: tuple[str, ...]


def try_account(account: ProviderAccount) -> Trial:
    """Try an account and say what came of it. Call it outside a transaction: it waits for the provider."""
    return in_words(probe_account(account))


def in_words(result: ProbeResult) -> Trial:
    """Put a probe's result into words; its own message names the API call that mends it, ours the form."""
    heading = HEADINGS.get(result.code, "It does not work")
    if result.works:
        detail = f"The provider took the credential in {result.latency_ms} ms and lists {len(result.models)} models."
    else:
        answered = f"It answered {result.status}. " if result.status else ""
        detail = answered + ADVICE.get(result.code, result.message)
    return Trial(result.works, heading, detail, result.models)
