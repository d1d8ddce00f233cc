"""How Gemini's prompts are counted: rules, constants, and where those come from."""

from __future__ import annotations

import re
from functools import lru_cache

from metering.empirical import constant
from metering.limits import is_reasoning, limits_for
from metering.model_families import CountRule

# Each with its reason, source and sample in data/empirical.toml.
O200K_PERCENT = constant("gemini", "o200k_percent")
BYTES_PER_TOKEN = constant("gemini", "bytes_per_token")
REQUEST_TOKENS = constant("gemini", "request_tokens")
PART_TOKENS = constant("gemini", "part_tokens")
DECLARATION_TOKENS = constant("gemini", "declaration_tokens")
SCHEMA_NODE_TOKENS = constant("gemini", "schema_node_tokens")
SCHEMA_LEVELS = constant("gemini", "schema_levels")
SIGNATURE_TOKENS_PER_KCHAR = constant("gemini", "signature_tokens_per_kchar")
SEARCHES = constant("gemini", "searches")
UNSEEN_TOKENS = constant("gemini", "unseen_output_tokens")
UNSEEN_TOKENS_PER_TOOL_CALL = constant("gemini", "unseen_output_tokens_per_tool_call")

# How often a model may answer within a call whose tools run at Google. Source: "Code execution" (code is generated
# anew up to 5 times), read 2026-11-21; of the other tools no figure is published, so the same stands for them.
TOOL_ROUNDS = 6

# The least output room that a picture needs: up to 2,520 tokens for one of the largest size. Source: "Pricing" of the
# image models and "Image generation", read 2026-11-21; recorded 1,290 for one of 1024 pixels.
PICTURE_OUTPUT_TOKENS = 2_520

# Who serves Gemini and Gemma with Google's tokenizers.
_GOOGLE_HOSTS = frozenset({"google", "gemini", "vertex"})
_GOOGLE_MODELS = re.compile(r"(tunedmodels/)?(gemini|gemma|learnlm|embedding|text-embedding)-")
_NEVER_THINKS = re.compile(r"gemini-(1|pro$|exp-1|embedding)|gemma-[123]|learnlm|(text-)?embedding-")
_SELDOM_THINKS = re.compile(r"gemini-(2\.0|2\.5-flash-(image|preview-tts))")
_SMALL_ANSWERS = re.compile(r"gemini-(1|2\.0)")
_SMALL_ANSWER_TOKENS = 8_192  # the ceiling of these generations, by their model pages
_PICTURES = re.compile(r"gemini-.*(image|banana)", re.IGNORECASE)
_SPEAKS = re.compile(r"gemini-.*tts", re.IGNORECASE)
_FILMS = re.compile(r"gemini-.*omni", re.IGNORECASE)
# One fee a grounded prompt up to 2.5, one a search query from 3 on. Source: "Pricing", read 2026-11-21.
_ONE_FEE = re.compile(r"gemini-(1|2)")


@lru_cache(maxsize=4096)
def rule_of(model: str, provider: str) -> CountRule:
    """Return what a model's prompts are counted from: Google's names say so only where Google serves them."""
    name = model.lower()
    if name.startswith("sim-"):
        return CountRule.WORDS
    known = provider in _GOOGLE_HOSTS and _GOOGLE_MODELS.match(name)
    return CountRule.RECIPE if known else CountRule.BYTES


@lru_cache(maxsize=4096)
def thinks_unasked(model: str) -> bool:
    """Whether a model thinks before it answers unless told not to; one nobody has heard of is taken to."""
    return may_think(model) and not _SELDOM_THINKS.match(model)


@lru_cache(maxsize=4096)
def may_think(model: str) -> bool:
    """Whether a model may think unseen: names of 2.0 were answered by thinking models in recorded calls."""
    return is_reasoning(model) if model.startswith("sim-") else not _NEVER_THINKS.match(model)


@lru_cache(maxsize=4096)
def output_ceiling(model: str, provider: str) -> int | None:
    """Return the most output tokens a model gives, or None where that is not known."""
    limits = limits_for(model, provider)
    if limits is not None and limits.output_tokens_max is not None:
        return limits.output_tokens_max
    return _SMALL_ANSWER_TOKENS if _SMALL_ANSWERS.match(model) else None


def makes_pictures(model: str) -> bool:
    """Whether a model answers with pictures."""
    return _PICTURES.match(model) is not None


def makes_films(model: str) -> bool:
    """Whether a model answers with films, of which nobody knows how much of an output cap they keep to."""
    return _FILMS.match(model) is not None


def speaks(model: str) -> bool:
    """Whether a model's whole output is sound, at the price of its output."""
    return _SPEAKS.match(model) is not None


def searches_billed(model: str, queries: int) -> int:
    """How many search fees so many queries come to."""
    return min(queries, 1) if _ONE_FEE.match(model) else queries
