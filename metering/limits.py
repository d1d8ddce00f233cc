"""What models can take and give: context and output ceilings, which of them reason, and how a cap is spelled.

Source: ``data/model_limits.csv``, collected from the providers' pages, 2026-11. A dated alias that is not listed has
its family's figures.
"""

from __future__ import annotations

import csv
import re
from functools import cache, lru_cache
from importlib import resources
from typing import NamedTuple

from metering.model_families import base_name
from metering.providers import canonical_provider, find_provider

_DATE = re.compile(r"[-@](20\d{2}-\d{2}-\d{2}|20\d{6}|\d{4}|latest|preview)$")

_PROVIDERS = {"vertex": "google"}

# Models that think before they answer: their cap must leave room for it. Source: the providers' model pages, 2026-11.
_REASONING = re.compile(
    r"(.*/)?(o\d(-|$)|gpt-[5-9](?!.*chat)|chat-latest|.*daybreak|gpt-oss|sim-reason|deepseek-(r\d|reasoner|v4)|qwq"
    r"|qwen3|magistral|grok-(3-mini|[4-9])|gemini-(2\.5|[3-9])|glm-(4\.[5-9]|[5-9])|kimi-k(2-thinking|2\.[5-9]|[3-9])"
    r"|minimax-m|.*(thinking|reason))"
)
_OPENAI = re.compile(r"o\d(-|$)|gpt-|chatgpt-|chat-latest")


class ModelLimits(NamedTuple):
    """Ceilings in tokens; None where the provider publishes none."""

    input_tokens_max: int | None
    output_tokens_max: int | None


@lru_cache(maxsize=4096)
def limits_for(model: str, provider: str = "openai") -> ModelLimits | None:
    """Return a model's ceilings, or None for a model nobody has measured."""
    table = _table()
    provider = _table_name(provider)
    name = base_name(model)
    while True:
        found = table.get((provider, name)) or table.get((provider, name.rpartition("/")[2]))
        undated = _DATE.sub("", name)
        if found is not None or undated == name:
            return found
        name = undated


@cache
def measured_models(provider: str) -> frozenset[str]:
    """Name the models of a provider that have ceilings here, in lower case; none for one that the table leaves out."""
    provider = _PROVIDERS.get(provider, provider)
    return frozenset(model for owner, model in _table() if owner == provider)


@lru_cache(maxsize=4096)
def is_reasoning(model: str) -> bool:
    """Tell whether a model thinks before it answers, so that an answer's visible length says little."""
    return _REASONING.match(base_name(model)) is not None


@lru_cache(maxsize=4096)
def cap_field_of(model: str) -> str:
    """The spelling in which a model takes an output cap where the caller used none."""
    return "max_completion_tokens" if _OPENAI.match(base_name(model)) else "max_tokens"


def _table_name(provider: str) -> str:
    """The table's name of a provider, from any that accounts have for it."""
    name = canonical_provider(provider)
    known = find_provider(name)
    return known.limits if known and known.limits else _PROVIDERS.get(name, name)


@cache
def _table() -> dict[tuple[str, str], ModelLimits]:
    text = (resources.files("metering") / "data" / "model_limits.csv").read_text("utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return {
        (row["provider"], row["model"]): ModelLimits(
            int(row["max_input_tokens"]) if row["max_input_tokens"] else None,
            int(row["max_output_tokens"]) if row["max_output_tokens"] else None,
        )
        for row in csv.DictReader(lines)
    }
