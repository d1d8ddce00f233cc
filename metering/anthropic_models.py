"""How Claude's prompts are counted: rules, constants, and where those come from.

Source of the constants: 530 unique Messages requests recorded to 2026-11, without media or server tools, none of them
above the bound; of the 372 that are tested here the least margin is 11 %, the median bound 1.7 times the usage.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

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
ENCRYPTED_CHARS_PER_TOKEN = constant("anthropic", "encrypted_chars_per_token")
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

# How often the model answers within one call before Anthropic pauses it, where tools run there. Source: "Stop reasons",
# pause_turn, by default 10, read 2026-11-21; two recorded calls were paused after ten searches.
ITERATIONS_MAX = 10
# A skill is shown by its name and description, 64 and 1,024 characters. Source: "Agent Skills", read 2026-11-21.
SKILL_TOKENS = 1_200
ADVISOR_PROMPT_TOKENS = constant("anthropic", "advisor_prompt_tokens")
COMPACTION_OUTPUT_TOKENS = constant("anthropic", "compaction_output_tokens")
# Below, a compaction is not triggered; by default at the latter. Source: "Compaction", read 2026-11-21.
COMPACTION_TRIGGER_TOKENS = 150_000


class ServerToolRule(NamedTuple):
    """What is known of a tool that runs at Anthropic."""

    pattern: re.Pattern[str]
    allowance: str  # the kind that a tenant may set
    definition_tokens: int  # what it adds to the prompt beside its JSON
    fee: str = ""  # the extra that each use is billed as
    use_tokens: int | None = None  # what a use adds, where that is no question of what it finds
    ends_by_itself: bool = False  # bounded by Anthropic's own limit where the request states none


UNKNOWN_TOOL = "server_tool"
# A search for tools gives back up to 5 references, each no longer than a tool's name, to what the request defines.
# Fees: a search has one, fetching none, code by container and hour, which no usage report tells. Source: "Pricing".
SERVER_TOOLS = {
    "web_search": ServerToolRule(
        re.compile(r"web_search_\d{8}"),
        "web_search",
        constant("anthropic", "web_search_tool_tokens"),
        fee="web_search",
    ),
    "web_fetch": ServerToolRule(
        re.compile(r"web_fetch_\d{8}"), "web_fetch", constant("anthropic", "web_fetch_tool_tokens")
    ),
    "code_execution": ServerToolRule(
        re.compile(r"code_execution_\d{8}"),
        "code_execution",
        constant("anthropic", "code_execution_tool_tokens"),
    ),
    "filtering": ServerToolRule(
        re.compile(r"(?!)"),
        "code_execution",
        constant("anthropic", "code_execution_tool_tokens"),
        ends_by_itself=True,
    ),
    "tool_search": ServerToolRule(
        re.compile(r"tool_search_tool_(bm25|regex)(_\d{8})?"),
        "server_tool",
        constant("anthropic", "tool_search_tool_tokens"),
        use_tokens=500,
        ends_by_itself=True,
    ),
    "advisor": ServerToolRule(
        re.compile(r"advisor_\d{8}"), "server_tool", constant("anthropic", "advisor_tool_tokens")
    ),
    "mcp": ServerToolRule(re.compile(r"(?!)"), "mcp", 0),
    UNKNOWN_TOOL: ServerToolRule(re.compile(r"(?!)"), "server_tool", 0),
}

# Source: Anthropic's pages "Vision" (28 pixels a side for a token, at most 1,568 or, from 4.7 on, 4,784 after scaling
# down; earlier: width x height / 750, at most about 1,600) and "PDF support" (up to 3,000 tokens of text a page, and
# a picture of it), read to 2026-11. The larger of both rules stands.
IMAGE_TOKENS_MAX_STANDARD = 1_600
IMAGE_TOKENS_MAX_HIGH = 4_784
PAGE_TEXT_TOKENS = 3_000
# Pages that a request may have, by the size of the context. Source: "PDF support", read 2026-11-21.
PAGES_MAX = 600
PAGES_MAX_SMALL_CONTEXT = 100
SMALL_CONTEXT_TOKENS = 200_000
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
