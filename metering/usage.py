"""What a call used, as disjoint buckets: no token stands in two of them."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from operator import attrgetter

import msgspec

from metering.rates import IMAGE_OUTPUT


class Basis(StrEnum):
    """Where a row's amount comes from."""

    REPORTED = "reported"  # the provider's own usage
    ESTIMATED = "estimated"  # counted from what was relayed
    UNRESOLVED = "unresolved"  # unknown: held at the quote until somebody resolves it
    NONE = "none"  # nothing was used


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens by bucket, all disjoint: ``input_tokens`` excludes cached, audio and image tokens and so on."""

    input_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_5m_tokens: int = 0
    cache_write_1h_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    audio_input_tokens: int = 0
    audio_output_tokens: int = 0
    image_input_tokens: int = 0
    # Counted extras by name (web_search, image_output_token ...), each priced per unit.
    extras: tuple[tuple[str, int], ...] = ()

    def tokens(self) -> Iterator[tuple[str, int]]:
        """Each token bucket by its price name (``input``, ``cache_read`` ...) with its count."""
        return zip(TOKEN_BUCKETS, _counts_of(self), strict=True)

    @property
    def all_input_tokens(self) -> int:
        """Every token of the prompt, however it is priced: what decides a long-context tier."""
        return (
            self.input_tokens
            + self.cache_read_tokens
            + self.cache_write_5m_tokens
            + self.cache_write_1h_tokens
            + self.audio_input_tokens
            + self.image_input_tokens
        )

    @property
    def all_output_tokens(self) -> int:
        """Every generated token, seen or not, those of pictures too."""
        pictures = sum(count for name, count in self.extras if name == IMAGE_OUTPUT)
        return self.output_tokens + self.reasoning_tokens + self.audio_output_tokens + pictures


TOKEN_BUCKETS = tuple(
    f.name.removesuffix("_tokens") for f in msgspec.structs.fields(Usage) if f.name != "extras"
)
_counts_of = attrgetter(*(f"{name}_tokens" for name in TOKEN_BUCKETS))
