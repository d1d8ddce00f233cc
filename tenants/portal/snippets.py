"""Ready calls to paste: what a new key's owner does next."""

from __future__ import annotations

import json
from dataclasses import dataclass

from django.conf import settings as django_settings

from tenants.models import PriceEntry, ProviderAccount, Tenant

KEY_PLACEHOLDER = "YOUR_FAREBOX_KEY"
# A small model of each dialect, for a tenant that has set no price of its own.
SMALL_MODELS = {"openai": "gpt-4o-mini", "anthropic": "claude-haiku-4-5", "gemini": "gemini-2.5-flash"}


@dataclass(frozen=True, slots=True)
class Snippets:
    """One call, written for the shell and for Python."""

    curl: str
    python: str


def snippets_for(tenant: Tenant, mode: str, key: str = KEY_PLACEHOLDER) -> Snippets:
    """Write the call that a tenant's own accounts and prices let succeed."""
    dialect, model = _dialect_and_model(tenant, mode)
    base_url = django_settings.FAREBOX_BASE_URL
    if dialect == "anthropic":
        return _anthropic(base_url, model, key)
    if dialect == "gemini":
        return _gemini(base_url, model, key)
    return _openai(base_url, model, key)


def _dialect_and_model(tenant: Tenant, mode: str) -> tuple[str, str]:
    accounts = ProviderAccount.objects.filter(tenant=tenant, mode=mode, state=ProviderAccount.State.ACTIVE)
    defaults = {account.dialect: account for account in accounts.filter(is_default=True)}
    dialect = next((name for name in SMALL_MODELS if name in defaults), "openai")
    if dialect in defaults:
        priced = PriceEntry.objects.filter(tenant=tenant, mode=mode, provider=defaults[dialect].provider)
        own = priced.order_by("created_at").values_list("model", flat=True).first()
        return dialect, own or SMALL_MODELS[dialect]
    return dialect, SMALL_MODELS[dialect]


def _openai(base_url: str, model: str, key: str) -> Snippets:
    body = {"model": model, "messages": [{"role": "user", "content": "Say hello"}]}
    return Snippets(
        curl=(
            f"curl {base_url}/v1/chat/completions \\\n"
            f'  -H "Authorization: Bearer {key}" \\\n'
            f'  -H "Content-Type: application/json" \\\n'
            f"  -d '{json.dumps(body)}'"
        ),
        python=(
            "from openai import OpenAI\n\n"
            f'client = OpenAI(\n    base_url="{base_url}/v1",\n    api_key="{key}",\n)\n'
            "answer = client.chat.completions.create(\n"
            f'    model="{model}",\n'
            '    messages=[{"role": "user", "content": "Say hello"}],\n'
            ")\n"
            "print(answer.choices[0].message.content)"
        ),
    )


def _anthropic(base_url: str, model: str, key: str) -> Snippets:
    body = {"model": model, "max_tokens": 100, "messages": [{"role": "user", "content": "Say hello"}]}
    return Snippets(
        curl=(
            f"curl {base_url}/anthropic/v1/messages \\\n"
            f'  -H "x-api-key: {key}" \\\n'
            f'  -H "anthropic-version: 2023-06-01" \\\n'
            f'  -H "Content-Type: application/json" \\\n'
            f"  -d '{json.dumps(body)}'"
        ),
        python=(
            "from anthropic import Anthropic\n\n"
            f'client = Anthropic(\n    base_url="{base_url}/anthropic",\n    api_key="{key}",\n)\n'
            "answer = client.messages.create(\n"
            f'    model="{model}",\n'
            "    max_tokens=100,\n"
            '    messages=[{"role": "user", "content": "Say hello"}],\n'
            ")\n"
            "print(answer.content[0].text)"
        ),
    )


def _gemini(base_url: str, model: str, key: str) -> Snippets:
    body = {"contents": [{"parts": [{"text": "Say hello"}]}]}
    return Snippets(
        curl=(
            f"curl {base_url}/gemini/v1beta/models/{model}:generateContent \\\n"
            f'  -H "x-goog-api-key: {key}" \\\n'
            f'  -H "Content-Type: application/json" \\\n'
            f"  -d '{json.dumps(body)}'"
        ),
        python=(
            "from google import genai\n\n"
            f'client = genai.Client(\n    api_key="{key}",\n    http_options={{"base_url": "{base_url}/gemini"}},\n)\n'
            f'answer = client.models.generate_content(model="{model}", contents="Say hello")\n'
            "print(answer.text)"
        ),
    )
