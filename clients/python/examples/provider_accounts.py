"""Keep a provider's credential and list what there is; a credential is never shown again."""

from __future__ import annotations

from farebox import Farebox


def run(client: Farebox) -> None:
    """Keep a provider's credential and list what there is; a credential is never shown again."""
    account = client.provider_accounts.create(
        provider="groq", name="examples", api_key="gsk-0123456789abcdef"
    )
    client.provider_accounts.change(account.id, state="disabled")
    print([each.name for each in client.provider_accounts.list()])
