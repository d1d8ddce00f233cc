"""What is peculiar to each provider, read once from ``data/providers.toml``: addresses, spellings, where usage stands.

The proxy's traits, the accounts a tenant may make, the probe that tries them and the bound of a prompt all read this.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from functools import cache, lru_cache
from importlib import resources
from typing import Annotated, Literal

import msgspec

from metering.errors import ProviderDataError
from metering.images import Pictures

Dialect = Literal["openai", "anthropic", "gemini"]
CapField = Literal["max_tokens", "max_completion_tokens"]
UsagePlace = Literal["when_asked", "last_chunk", "every_chunk", "x_groq", "timings"]
TENANT = "tenant"

_Text = Annotated[str, msgspec.Meta(min_length=1)]
_Header = Annotated[str, msgspec.Meta(pattern=r"^[a-z-]+: .*\{key\}$")]
_Path = Annotated[str, msgspec.Meta(pattern=r"^/")]
_Url = Annotated[str, msgspec.Meta(pattern=r"^(https://[^?#]*[^/?#])?$")]
# What people call them, and what the price book does.
_ALIASES = {
    "gemini": "google",
    "xai": "x-ai",
    "moonshot": "moonshotai",
    "qwen": "alibaba",
    "voyage": "voyageai",
}


class Provider(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One provider; the head of ``data/providers.toml`` says what each field means."""

    title: _Text
    base_urls: dict[Dialect, _Url]
    prices: _Text
    tokenizers: Literal["openai", "named", "unknown"]
    cap_fields: Annotated[tuple[CapField, ...], msgspec.Meta(min_length=1)]
    usage: Annotated[tuple[UsagePlace, ...], msgspec.Meta(min_length=1)]
    source: _Text
    date: date
    base_url_example: str = ""
    help: str = ""
    credential: _Header = "authorization: Bearer {key}"
    path: Annotated[str, msgspec.Meta(pattern=r"\{route\}")] = "{route}"
    models_path: _Path = "/models"
    lists_models: bool = True
    query: str = ""
    limits: str = ""
    cap_leaves_out: str = ""
    thinking_field: str = ""
    takes_stream_options: bool = True
    total_beyond: Literal["", "prompt_audio", "thinking"] = ""
    verdicts: dict[int, Literal["not_billed", "ambiguous"]] = {}
    pictures: Pictures | None = None
    provider_id: str = ""

    @property
    def dialect(self) -> Dialect:
        """The dialect of an account that names none."""
        return next(iter(self.base_urls))

    @property
    def base_url(self) -> str:
        """Where its official client goes in that dialect; empty where every tenant has an address of its own."""
        return self.base_urls[self.dialect]

    def presented(self, key: str) -> tuple[str, str]:
        """The header that presents a credential."""
        name, _, value = self.credential.partition(": ")
        return name, value.format(key=key)


@cache
def providers() -> Mapping[str, Provider]:
    """Return every provider we know, by the name that accounts, prices and ledger rows have for it."""
    return read_providers((resources.files("metering") / "data" / "providers.toml").read_bytes())


def find_provider(name: str) -> Provider | None:
    """Return the provider of this name, or None for one that nobody described."""
    return providers().get(name)


@lru_cache(maxsize=1024)
def canonical_provider(name: str) -> str:
    """Return the price book's name of a provider, from any that people use."""
    lowered = name.strip().lower()
    return _ALIASES.get(lowered, lowered)


def price_source(provider: str) -> str:
    """Return under which name the base price book knows a provider's prices."""
    known = providers().get(provider)
    return known.prices if known else provider


@lru_cache(maxsize=4096)
def leaves_thinking_out(pattern: str, model: str) -> bool:
    """Tell whether a provider's output cap, by its ``cap_leaves_out``, leaves a model's thinking unbounded."""
    return bool(pattern) and re.fullmatch(pattern, model.lower()) is not None


def read_providers(text: bytes) -> Mapping[str, Provider]:
    """Read providers from TOML. Raises: ProviderDataError naming what is wrong with which."""
    try:
        found = msgspec.toml.decode(text, type=dict[str, Provider])
    except msgspec.MsgspecError as error:
        raise ProviderDataError(str(error)) from error
    for name, provider in found.items():
        _check(name, provider)
    return {name: msgspec.structs.replace(provider, provider_id=name) for name, provider in found.items()}


def _check(name: str, provider: Provider) -> None:
    if provider.provider_id:
        raise ProviderDataError(f"{name}: the table's own name is its provider_id")
    if not provider.base_urls:
        raise ProviderDataError(f"{name} speaks no dialect")
    if "" in provider.base_urls.values() and not provider.base_url_example:
        raise ProviderDataError(f"{name} has no address, and no example of one")
    if bool(provider.cap_leaves_out) != bool(provider.thinking_field):
        raise ProviderDataError(f"{name}: what the cap leaves out needs a field that bounds it")
