"""How Claude's prompts are counted: rules, constants, and where those come from.

Source of the constants: 530 unique Messages requests recorded to 2026-11, without media or server tools, none of them
above the bound; of the 372 that are tested here the least margin is 11 %, the median bound 1.7 times the usage.
"""

from __future__ import annotations

import re
from functools import lru_cache

from metering.empirical import constant
from metering.model_families import CountRule

# Each with its reason, source and sample in data/empirical.toml.
O200K_PERCENT = constant("anthropic", "o200k_percent")
BYTES_PER_TOKEN = constant("anthropic", "bytes_per_token")
REQUEST_TOKENS = constant("anthropic", "request_tokens")
TOOLS_TOKENS = constant("anthropic", "tools_tokens")
SCHEMA_TOKENS = constant("anthropic", "schema_tokens")
CITATIONS_TOKENS = constant("anthropic", "citations_tokens")
SIGNATURE_CHARS_PER_TOKEN = constant("anthropic", "signature_chars_per_token")
UNSEEN_TOKENS = constant("anthropic", "unseen_output_tokens")
UNSEEN_TOKENS_PER_TOOL_CALL = constant("anthropic", "unseen_output_tokens_per_tool_call")

# Tools that Anthropic defines and the caller runs: what their definitions cost beside the JSON.
# Source: Anthropic's pages of each tool (245, 700, 735 and 499), read to 2026-11.
CLIENT_TOOLS = (
    (re.compile(r"bash_\d{8}"), 400),
    (re.compile(r"text_editor_\d{8}"), 1_000),
    (re.compile(r"computer_\d{8}"), 2_000),
    (re.compile(r"memory_\d{8}"), constant("anthropic", "memory_tool_tokens")),
)

# Source: Anthropic's pages "Vision" (28 pixels a side for a token, at most 1,568 or, from 4.7 on, 4,784 after scaling
# down; earlier: width x height / 750, at most about 1,600) and "PDF support" (up to 3,000 tokens of text a page, and
# a picture of it), read to 2026-11. The larger of both rules stands.
IMAGE_TOKENS_MAX_STANDARD = 1_600
IMAGE_TOKENS_MAX_HIGH = 4_784
PAGE_TEXT_TOKENS = 3_000
_PATCH_PIXELS = 28
_PIXELS_PER_TOKEN = 750
_STANDARD = re.compile(
    r"claude-(instant|v?[123]([-.@:]|$)|(opus|sonnet|haiku)-[34]([-.@](?![789](\D|$))|$)|4([.-][0-6])?-)"
)


@lru_cache(maxsize=4096)
def rule_of(model: str) -> CountRule:
    """Return what a model's prompts are counted from."""
    name = model.lower()
    if name.startswith("sim-"):
        return CountRule.WORDS
    return CountRule.RECIPE if "claude" in name else CountRule.BYTES


@lru_cache(maxsize=4096)
def image_tokens_max(model: str) -> int:
    """Return the most that one picture costs on a model, however large it is."""
    return IMAGE_TOKENS_MAX_STANDARD if _STANDARD.search(model.lower()) else IMAGE_TOKENS_MAX_HIGH


def image_tokens(size: tuple[int, int] | None, tokens_max: int) -> int:
    """Bound the tokens of a picture by its width and height; the most there can be where they are not known."""
    if size is None:
        return tokens_max
    width, height = size
    patches = -(-width // _PATCH_PIXELS) * -(-height // _PATCH_PIXELS)
    return min(tokens_max, max(patches, -(-width * height // _PIXELS_PER_TOKEN)))
