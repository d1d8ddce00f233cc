"""How Claude's prompts are counted: rules, constants, and where those come from.

Source of the constants: 530 unique Messages requests recorded to 2026-11, without media or server tools, none of them
above the bound; of the 372 that are tested here the least margin is 11 %, the median bound 1.7 times the usage.
"""

from __future__ import annotations

import re
from functools import lru_cache

from metering.model_families import CountRule

# Claude's tokenizers are not public. Up to 1.4 tokens for each of OpenAI's were seen, and a third of the bytes where
# those have one token for a whole word that Claude splits.
O200K_PERCENT = 140
BYTES_PER_TOKEN = 3
REQUEST_TOKENS = 40
TOOLS_TOKENS = 700  # a system prompt of its own, once
SCHEMA_TOKENS = 200
CITATIONS_TOKENS = 1_000  # likewise; up to 820 were seen
# An earlier answer's thinking comes back encrypted: its 110 recorded signatures have over 3 characters for a token.
SIGNATURE_CHARS_PER_TOKEN = 2

# Output that a stream does not show. Source: the 99th percentile of recorded streams of text, the 90th of tool calls.
UNSEEN_TOKENS = 56
UNSEEN_TOKENS_PER_TOOL_CALL = 118

# Tools that Anthropic defines and the caller runs: what their definitions cost beside the JSON.
# Source: Anthropic's pages of each tool (245, 700, 735 and 499), read to 2026-11; memory as recorded (1,577 in all).
CLIENT_TOOLS = (
    (re.compile(r"bash_\d{8}"), 400),
    (re.compile(r"text_editor_\d{8}"), 1_000),
    (re.compile(r"computer_\d{8}"), 2_000),
    (re.compile(r"memory_\d{8}"), 2_000),
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
