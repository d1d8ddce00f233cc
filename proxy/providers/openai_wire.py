"""What every route of OpenAI's interface shares on the wire: who is peculiar, and how a credential is presented."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import quote

from metering.providers import Provider, providers
from proxy.providers.base import Traits, Verdict, forwarded
from proxy.providers.openai_errors import OpenAIErrors


def traits_from(provider: Provider) -> Traits:
    """Say what is peculiar to a provider on the wire, from its data."""
    return Traits(
        cap_field=provider.cap_fields[0],
        takes_stream_options=provider.takes_stream_options,
        credential=provider.credential,
        path=provider.path,
        query=provider.query,
        cap_leaves_out=provider.cap_leaves_out,
        thinking_field=provider.thinking_field,
        reads_timings="timings" in provider.usage,
        total_beyond=provider.total_beyond,
        usage_runs="every_chunk" in provider.usage,
        verdicts={status: Verdict(verdict) for status, verdict in provider.verdicts.items()},
    )


TRAITS: Mapping[str, Traits] = {
    name: traits_from(provider) for name, provider in providers().items() if "openai" in provider.base_urls
}
# Anyone not named takes the model's spelling of a cap, and `stream_options`.
_OTHERS = Traits()
FORWARDED_HEADERS = frozenset((b"openai-beta", b"accept-language", b"x-ms-client-request-id"))


class OpenAIWire:
    """The half of a dialect that does not depend on its route; a route adds its path, its calls and its answers."""

    name = "openai"
    errors = OpenAIErrors()
    _path: str

    def traits_of(self, provider: str) -> Traits:
        """What is peculiar to a provider."""
        return TRAITS.get(provider, _OTHERS)

    def path_for(self, model: str, traits: Traits) -> str:
        """What follows an account's base URL; a deployment's name may stand in it."""
        path = traits.path.format(route=self._path, model=quote(model, safe=""))
        return f"{path}?{traits.query}" if traits.query else path

    def upstream_headers(
        self, credential: str, sent: Iterable[tuple[bytes, bytes]], traits: Traits
    ) -> list[tuple[str, str]]:
        """How a credential is presented, and what of the caller's own headers goes on."""
        name, _, value = traits.credential.partition(": ")
        presented = [(name, value.format(key=credential))] if credential else []
        return presented + forwarded(sent, FORWARDED_HEADERS)
