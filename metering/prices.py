"""Prices: rates per million tokens with their tiers, in a dated book with a tenant's own entries on top."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field



@dataclass(frozen=True, slots=True)
class Rate:
    """One bucket's price in nano-dollars per million tokens, with dearer tiers above a prompt size.

    ``tiers`` are ``(prompt_tokens_above, nanousd_per_mtok)``, ascending: the whole call is billed at the
    tier its prompt reaches ("cliff").
    """

    nanousd_per_mtok: int
    tiers: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Price:
    """What one model costs from one date on. ``rates`` by bucket name of ``metering.usage.TOKEN_BUCKETS``."""

    price_id: str
    provider: str
    model: str
    rates: Mapping[str, Rate]
    # Nano-dollars per unit of a counted extra (web_search ...), and per request.
    extras_nanousd: Mapping[str, int] = field(default_factory=dict)
    per_request_nanousd: int = 0
    source: str = ""


@dataclass(frozen=True, slots=True)
class PriceEntry:
    """A tenant's own price, in force from ``from_ms`` on until its next entry for the same model."""

    from_ms: int
    price: Price


class PriceBook:
    """The price in force for a provider's model at an instant: the tenant's entry first, else the base book's."""

    def __init__(self, entries: Sequence[PriceEntry] = ()) -> None:
        raise NotImplementedError

    def find(self, provider: str, model: str, at_ms: int) -> Price:
        """Return the price in force. Raises: UnpricedModel when neither book knows one."""
        raise NotImplementedError


