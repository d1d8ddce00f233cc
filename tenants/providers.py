"""The providers we know by name, as data: how they are spoken to and where their official client goes."""

from __future__ import annotations

from dataclasses import dataclass

from tenants.models.provider_account import ProviderAccount

OPENAI = str(ProviderAccount.Dialect.OPENAI)
ANTHROPIC = str(ProviderAccount.Dialect.ANTHROPIC)
GEMINI = str(ProviderAccount.Dialect.GEMINI)


@dataclass(frozen=True, slots=True)
class Provider:
    """A provider's dialect and default base URL; its id is the price book's name for it."""

    provider_id: str
    dialect: str
    base_url: str


# Source: each provider's own documentation of its (OpenAI-compatible) endpoint, 2026-08.
KNOWN = {
    provider_id: Provider(provider_id, dialect, base_url)
    for provider_id, dialect, base_url in (
        ("openai", OPENAI, "https://api.openai.com/v1"),
        ("anthropic", ANTHROPIC, "https://api.anthropic.com"),
        ("google", GEMINI, "https://generativelanguage.googleapis.com"),
        ("groq", OPENAI, "https://api.groq.com/openai/v1"),
        ("mistral", OPENAI, "https://api.mistral.ai/v1"),
        ("together", OPENAI, "https://api.together.xyz/v1"),
        ("fireworks", OPENAI, "https://api.fireworks.ai/inference/v1"),
        ("deepseek", OPENAI, "https://api.deepseek.com/v1"),
        ("openrouter", OPENAI, "https://openrouter.ai/api/v1"),
        ("x-ai", OPENAI, "https://api.x.ai/v1"),
        ("cerebras", OPENAI, "https://api.cerebras.ai/v1"),
        ("perplexity", OPENAI, "https://api.perplexity.ai"),
        ("novita", OPENAI, "https://api.novita.ai/v3/openai"),
        ("moonshotai", OPENAI, "https://api.moonshot.ai/v1"),
        ("zai", OPENAI, "https://api.z.ai/api/paas/v4"),
    )
}
# What people call them, and what the price book does.
ALIASES = {"gemini": "google", "xai": "x-ai", "moonshot": "moonshotai"}


def canonical(provider: str) -> str:
    """The price book's name of a provider."""
    lowered = provider.strip().lower()
    return ALIASES.get(lowered, lowered)


def find(provider: str) -> Provider | None:
    """The provider of this canonical name, if we know it."""
    return KNOWN.get(provider)
