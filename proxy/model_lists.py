"""How OpenAI, Anthropic and Gemini write a list of models; beside their own fields each entry says its price.

Sources: the three providers' API references, "Models", read to 2026-11.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from enforcement.policies import ProviderAccount
from metering.limits import ModelLimits
from metering.money import format_usd
from metering.prices import Price
from proxy.errors import Refusal

# Nobody publishes when a model came in a form that can be kept up; clients want a date. Anthropic says so itself.
_UNKNOWN_DATE = "1970-01-01T00:00:00Z"
_PAGE_MAX = 1000


@dataclass(frozen=True, slots=True)
class Listed:
    """One model that may be called, under the name to call it by."""

    name: str
    account: ProviderAccount
    model: str  # as the account knows it
    price: Price
    limits: ModelLimits

    def __lt__(self, other: Listed) -> bool:
        return self.name < other.name

    @property
    def ours(self) -> dict[str, object]:
        """What Farebox adds: whose it is, what it costs per million tokens in dollars, and how much it takes."""
        price: dict[str, object] = {
            f"{bucket}_usd_per_mtok": format_usd(rate.nanousd_per_mtok)
            for bucket, rate in self.price.rates.items()
        }
        tiers = {
            bucket: [{"above_tokens": above, "usd_per_mtok": format_usd(rate)} for above, rate in steps.tiers]
            for bucket, steps in self.price.rates.items()
            if steps.tiers
        }
        if tiers:
            price["tiers"] = tiers
        if self.price.per_request_nanousd:
            price["per_request_usd"] = format_usd(self.price.per_request_nanousd)
        return {
            "provider": self.account.provider,
            "account": self.account.name,
            "model": self.model,
            "price": price,
            "price_id": self.price.price_id,
            "context_tokens_max": self.limits.input_tokens_max,
            "output_tokens_max": self.limits.output_tokens_max,
        }


class ListShape(Protocol):
    """How a dialect lists models."""

    @property
    def dialect(self) -> str:
        """The dialect as provider accounts name it."""

    def one(self, entry: Listed) -> dict[str, Any]:
        """Write one model."""

    def page(self, entries: Sequence[Listed], query: Mapping[str, str]) -> dict[str, Any]:
        """Write one page of a list. Raises: Refusal ``invalid_request`` for a page that cannot be."""


class OpenAIModels:
    """OpenAI's list, which has one page."""

    dialect = "openai"

    def one(self, entry: Listed) -> dict[str, Any]:
        """Write one model."""
        owner = entry.account.provider
        return {"id": entry.name, "object": "model", "created": 0, "owned_by": owner, "farebox": entry.ours}

    def page(self, entries: Sequence[Listed], query: Mapping[str, str]) -> dict[str, Any]:
        """Write the whole list."""
        return {"object": "list", "data": [self.one(entry) for entry in entries]}


class AnthropicModels:
    """Anthropic's list, in pages before or after a model."""

    dialect = "anthropic"

    def one(self, entry: Listed) -> dict[str, Any]:
        """Write one model."""
        return {
            "type": "model",
            "id": entry.name,
            "display_name": entry.name,
            "created_at": _UNKNOWN_DATE,
            "farebox": entry.ours,
        }

    def page(self, entries: Sequence[Listed], query: Mapping[str, str]) -> dict[str, Any]:
        """Write the page that ``limit``, ``after_id`` and ``before_id`` ask for."""
        count = _page_size(query, "limit", usual=20)
        names = [entry.name for entry in entries]
        if "before_id" in query:
            end = _place_of(names, query["before_id"], "before_id")
            start = max(0, end - count)
            has_more = start > 0
        else:
            start = _place_of(names, query["after_id"], "after_id") + 1 if "after_id" in query else 0
            end = min(len(entries), start + count)
            has_more = end < len(entries)
        data = [self.one(entry) for entry in entries[start:end]]
        first_id, last_id = (data[0]["id"], data[-1]["id"]) if data else (None, None)
        return {"data": data, "has_more": has_more, "first_id": first_id, "last_id": last_id}


class GeminiModels:
    """Gemini's list, in pages by a token, which is the name of the last model of the page before."""

    dialect = "gemini"

    def one(self, entry: Listed) -> dict[str, Any]:
        """Write one model."""
        embeds = "embedding" in entry.model
        limits = {
            "inputTokenLimit": entry.limits.input_tokens_max,
            "outputTokenLimit": entry.limits.output_tokens_max,
        }
        return {
            "name": f"models/{entry.name}",
            "displayName": entry.name,
            "supportedGenerationMethods": ["embedContent"] if embeds else ["generateContent", "countTokens"],
            **{name: tokens for name, tokens in limits.items() if tokens is not None},
            "farebox": entry.ours,
        }

    def page(self, entries: Sequence[Listed], query: Mapping[str, str]) -> dict[str, Any]:
        """Write the page that ``pageSize`` and ``pageToken`` ask for."""
        count = _page_size(query, "pageSize", usual=50)
        names = [entry.name for entry in entries]
        start = _place_of(names, query["pageToken"], "pageToken") + 1 if query.get("pageToken") else 0
        end = start + count
        following = {"nextPageToken": names[end - 1]} if end < len(entries) else {}
        return {"models": [self.one(entry) for entry in entries[start:end]], **following}


# By the route that lists; one model's stands below it.
SHAPES: Mapping[str, ListShape] = {
    "/v1/models": OpenAIModels(),
    "/anthropic/v1/models": AnthropicModels(),
    "/gemini/v1beta/models": GeminiModels(),
    "/gemini/v1/models": GeminiModels(),
}


def _page_size(query: Mapping[str, str], name: str, *, usual: int) -> int:
    text = query.get(name, str(usual))
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text[:9]) <= _PAGE_MAX:
        raise Refusal("invalid_request", f"{name} must be a number from 1 to {_PAGE_MAX}", param=name)
    return int(text)


def _place_of(names: Sequence[str], name: str, param: str) -> int:
    try:
        return names.index(name)
    except ValueError:
        raise Refusal("invalid_request", f"{param} names no model of this list", param=param) from None
