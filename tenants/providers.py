"""The providers an account may name: how they are spoken to, and where their official client goes."""

from __future__ import annotations

from metering.providers import Provider, canonical_provider, find_provider, providers
from tenants.models.provider_account import ProviderAccount

__all__ = ["ANTHROPIC", "GEMINI", "KNOWN", "OPENAI", "Provider", "canonical", "find"]

OPENAI = str(ProviderAccount.Dialect.OPENAI)
ANTHROPIC = str(ProviderAccount.Dialect.ANTHROPIC)
GEMINI = str(ProviderAccount.Dialect.GEMINI)
# By the price book's name for each; metering/data/providers.toml says all that is known of them.
KNOWN = providers()
canonical = canonical_provider
find = find_provider
