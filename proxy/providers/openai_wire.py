"""What every route of OpenAI's interface shares on the wire: who is peculiar, and how a credential is presented."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from proxy.providers.base import Traits, forwarded
from proxy.providers.openai_errors import OpenAIErrors

# Source: the providers' API references, read to 2026-11. Anyone not named takes the model's
# spelling of a cap, and `stream_options`.
TRAITS: Mapping[str, Traits] = {
    "openai": Traits(cap_field="max_completion_tokens"),
    "azure": Traits(cap_field="max_completion_tokens"),
    # Refuse fields they do not know, and report usage without being asked.
    "mistral": Traits(takes_stream_options=False),
    "perplexity": Traits(takes_stream_options=False),
}
_OTHERS = Traits()
FORWARDED_HEADERS = frozenset((b"openai-beta", b"accept-language"))


class OpenAIWire:
    """The half of a dialect that does not depend on its route; a route adds its path, its calls and its answers."""

    name = "openai"
    errors = OpenAIErrors()
    _path: str

    def traits_of(self, provider: str) -> Traits:
        """What is peculiar to a provider."""
        return TRAITS.get(provider, _OTHERS)

    def path_for(self, model: str, traits: Traits) -> str:
        """What follows an account's base URL."""
        return self._path

    def upstream_headers(
        self, credential: str, sent: Iterable[tuple[bytes, bytes]], traits: Traits
    ) -> list[tuple[str, str]]:
        """How a credential is presented, and what of the caller's own headers goes on."""
        presented = [("authorization", f"Bearer {credential}")] if credential else []
        return presented + forwarded(sent, FORWARDED_HEADERS)
