"""How the prompts of each family of models are counted: the rules, their constants and where those come from.

Source of the constants: 1,285 unique recorded OpenAI and Azure chat requests, read to 2026-11, unless said otherwise.
The documented framing (3 per message, 1 per name, 3 to prime the reply) is OpenAI's cookbook, "How to count tokens
with tiktoken"; it is exact for plain text on gpt-3.5, 4, 4o and 4.1.
"""

from __future__ import annotations

import re
from enum import Enum
from functools import lru_cache
from typing import NamedTuple


class CountRule(Enum):
    """What a prompt's tokens are worked out from."""

    FRAMING = "framing"  # documented framing: exact for plain text, an upper bound for all else
    RECIPE = "recipe"  # tokens with fitted surcharges
    WORDS = "words"  # the simulator's published rule: whitespace-separated words
    BYTES = "bytes"  # no known tokenizer: a token covers at least one byte


class Family(NamedTuple):
    """One family's way of counting; token figures are surcharges of the upper bound, never of the exact count."""

    name: str
    pattern: re.Pattern[str]
    rule: CountRule
    request_tokens: int = 0
    tools_tokens: int = 16
    tool_call_tokens: int = 12
    message_tokens: int = 0
    margin_tokens: int = 4  # at least, on plain text


class ImageRule(NamedTuple):
    """What a picture costs: by tiles of 512 pixels on top of a base, or by patches of 32 pixels times a factor."""

    base_tokens: int
    tile_tokens: int
    patches_max: int
    factor_percent: int


def tiles(base_tokens: int, tile_tokens: int) -> ImageRule:
    """A rule by tiles."""
    return ImageRule(base_tokens, tile_tokens, 0, 0)


def patches(factor_percent: int, patches_max: int = 1536) -> ImageRule:
    """A rule by patches."""
    return ImageRule(0, 0, patches_max, factor_percent)


_FAMILIES = (
    Family("sim", re.compile(r"sim-"), CountRule.WORDS),
    # The era that took 4 tokens per message, the completion model, and the deployment name on Azure (1 more).
    Family(
        "chat-old", re.compile(r"gpt-3\.5-turbo-0301|gpt-35-turbo|gpt-3\.5-turbo-instruct"), CountRule.RECIPE
    ),
    Family(
        "audio",
        re.compile(r"gpt-4o(-mini)?-(audio|realtime)|gpt-audio"),
        CountRule.RECIPE,
        message_tokens=1,
        margin_tokens=1,
    ),
    Family(
        "classic",
        re.compile(r"(chatgpt-4o|gpt-4o|gpt-4\.1|gpt-4|gpt-3\.5-turbo)(-|$)"),
        CountRule.FRAMING,
    ),
    Family("classic-like", re.compile(r"gpt-4\.5(-|$)"), CountRule.RECIPE),
    # A second message took o1-mini 7 more.
    Family("reasoning-old", re.compile(r"o1(-|$)"), CountRule.RECIPE, 8, 96, 16),
    # A preamble comes with tools (72 tokens were seen). Alone, text took one less than the framing says; an earlier
    # answer may bring the mark of its channel.
    Family("reasoning", re.compile(r"(o3|o4)(-|$)|gpt-5"), CountRule.RECIPE, 0, 96, 16, 1, 1),
)
_UNKNOWN = Family("unknown", re.compile(""), CountRule.BYTES)

# Source: OpenAI's guide "Images and vision", read to 2026-11. Where the documented factor and the billed one differ
# (gpt-5-mini 1.62 against 1.2) the larger stands. From gpt-5.1 on documents and bills diverge: the dearest of both
# with the largest documented budget of patches.
_IMAGES = (
    (re.compile(r"gpt-4o-mini"), tiles(2833, 5667)),
    (re.compile(r"gpt-4\.1-mini"), patches(162)),
    (re.compile(r"gpt-4\.1-nano"), patches(246)),
    (re.compile(r"o4-mini"), patches(172)),
    (re.compile(r"gpt-5-mini"), patches(162)),
    (re.compile(r"gpt-5-nano"), patches(246)),
    (re.compile(r"gpt-5(-chat|-20|-codex|-pro|$)"), tiles(70, 140)),
    (re.compile(r"gpt-5\.\d+-nano"), ImageRule(70, 140, 10_000, 246)),
    (re.compile(r"gpt-5\.\d+-mini"), ImageRule(70, 140, 10_000, 162)),
    (re.compile(r"gpt-5\.\d+"), ImageRule(70, 140, 10_000, 120)),
    (re.compile(r"o1-mini|o3-mini"), None),
    (re.compile(r"(o1|o3)(-|$)"), tiles(75, 150)),
    (re.compile(r"chatgpt-4o|gpt-4o|gpt-4\.1|gpt-4\.5|gpt-4-(turbo|vision|1106-vision)"), tiles(85, 170)),
)


@lru_cache(maxsize=4096)
def family_of(model: str) -> Family:
    """Return the family a model's prompts are counted with."""
    name = base_name(model)
    return next((family for family in _FAMILIES if family.pattern.match(name)), _UNKNOWN)


@lru_cache(maxsize=4096)
def image_rule_of(model: str) -> ImageRule | None:
    """Return what a picture costs on a model, or None where that is not known."""
    name = base_name(model)
    return next((rule for pattern, rule in _IMAGES if pattern.match(name)), None)


def base_name(model: str) -> str:
    """The model that a fine-tuned one (``ft:gpt-4o-mini-2024-07-18:acme::id``) is made from; else the model itself."""
    name = model.lower()
    return name.split(":")[1] if name.startswith("ft:") else name
