"""What is read of a Gemini request, in both of Google's spellings, and its output cap."""

from __future__ import annotations

from typing import Any

import pytest

from metering.errors import RequestShapeError
from metering.gemini import decode_gemini, estimate_gemini_output, gemini_cap_for, may_think_unseen
from metering.gemini_models import makes_pictures, output_ceiling, rule_of, searches_billed, speaks
from metering.gemini_request import camel, listed
from metering.model_families import CountRule
from tests.metering.gemini import FLASH, cap, request

BODY = b'{"contents":[{"parts":[{"text":"hi"}]}]%s}'


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"[]", ""),
        (b"{", None),
        (b"{}", "contents"),
        (b'{"contents":null}', "contents"),
        (BODY % b',"contents":[]', "contents"),
        (BODY % b',"generationConfig":7', "generationConfig"),
        (BODY % b',"generationConfig":{},"generation_config":{}', "generation_config"),
        (BODY % b',"GenerationConfig":{}', "GenerationConfig"),
        (BODY % b',"generationConfig":{"MAX_OUTPUT_TOKENS":1}', "MAX_OUTPUT_TOKENS"),
        (BODY % b',"generationConfig":{"maxOutputTokens":0}', "generationConfig.maxOutputTokens"),
        (BODY % b',"generationConfig":{"maxOutputTokens":true}', "generationConfig.maxOutputTokens"),
        (BODY % b',"generationConfig":{"maxOutputTokens":1.5}', "generationConfig.maxOutputTokens"),
        (BODY % b',"generationConfig":{"maxOutputTokens":"x"}', "generationConfig.maxOutputTokens"),
        (BODY % b',"generationConfig":{"candidateCount":129}', "generationConfig.candidateCount"),
        (BODY % b',"generationConfig":{"thinkingConfig":[]}', "generationConfig.thinkingConfig"),
        (
            BODY % b',"generationConfig":{"thinkingConfig":{"thinkingBudget":-2}}',
            "generationConfig.thinkingConfig.thinkingBudget",
        ),
    ],
)
def test_a_body_of_another_shape_is_refused(body: bytes, param: str | None) -> None:
    with pytest.raises(RequestShapeError) as raised:
        decode_gemini(body, FLASH)
    assert (raised.value.param or None) == (param or None)


@pytest.mark.parametrize("model", ["", "m" * 257])
def test_a_model_must_be_named(model: str) -> None:
    with pytest.raises(RequestShapeError, match="model"):
        decode_gemini(BODY % b"", model)


@pytest.mark.parametrize(
    "config",
    [
        {"maxOutputTokens": 7, "candidateCount": 2, "thinkingConfig": {"thinkingBudget": 5}},
        {"max_output_tokens": "7", "candidate_count": 2.0, "thinking_config": {"thinking_budget": "5"}},
    ],
)
def test_both_spellings_and_kinds_of_number_are_read(config: dict[str, Any]) -> None:
    made = request(generation_config=config)
    assert (made.max_output_tokens, made.candidates, made.thinking_budget) == (7, 2, 5)
    assert made.spelled["generationConfig"] == "generation_config"
    assert made.config_spelled["maxOutputTokens"] in config


def test_what_is_absent_is_not_zero() -> None:
    made = request(generationConfig=None)
    assert (made.max_output_tokens, made.candidates, made.thinking_budget) == (None, 1, None)
    assert (made.schema, made.forces_tool, made.quoted_tier, made.modalities) == ([], False, "", frozenset())


@pytest.mark.parametrize(
    ("tier", "quoted"),
    [("SERVICE_TIER_PRIORITY", "priority"), ("priority", "priority"), ("flex", ""), (None, "")],
)
def test_a_dearer_service_tier_is_quoted(tier: Any, quoted: str) -> None:
    assert request(serviceTier=tier).quoted_tier == quoted


def test_names_and_lists_are_read_as_google_reads_them() -> None:
    assert [camel(name) for name in ("max_output_tokens", "maxOutputTokens", "_x", "a__b2_c")] == [
        "maxOutputTokens",
        "maxOutputTokens",
        "_x",
        "aB2C",
    ]
    assert (listed(None), listed({}), listed([1])) == ([], [{}], [1])


@pytest.mark.parametrize(
    ("model", "config", "tokens", "least", "may_clamp"),
    [
        ("gemini-1.5-flash", {}, 4096, 256, True),
        ("gemini-2.0-flash", {"maxOutputTokens": 1000}, 1000, 256, True),
        (FLASH, {}, 32_768, 32_768, False),
        (FLASH, {"maxOutputTokens": 1000}, 1000, 1000, False),
        (FLASH, {"thinkingConfig": {"thinkingBudget": 0}}, 4096, 256, True),
        ("gemini-2.5-pro", {"thinkingConfig": {"thinkingBudget": 0}}, 32_768, 32_768, False),
        (FLASH, {"thinkingConfig": {"thinkingBudget": 500}}, 32_768, 756, True),
        (FLASH, {"thinkingConfig": {"thinkingBudget": 60_000}}, 60_256, 60_256, True),
        ("gemini-2.0-flash", {"thinkingConfig": {"thinkingBudget": -1}}, 32_768, 32_768, False),
        ("gemini-flash-latest", {"thinkingConfig": {"thinkingLevel": "LOW"}}, 32_768, 32_768, False),
        ("gemini-1.5-flash", {"responseSchema": {"type": "OBJECT"}}, 4096, 4096, False),
        ("gemini-1.5-flash", {"response_json_schema": {"type": "object"}}, 4096, 4096, False),
        ("gemini-2.5-flash-image", {}, 4096, 4096, False),
        ("gemini-2.5-flash-preview-tts", {"responseModalities": ["AUDIO"]}, 4096, 4096, False),
        ("gemini-1.5-flash", {"responseModalities": "AUDIO"}, 4096, 4096, False),
    ],
)
def test_the_cap_and_how_far_it_may_be_cut(
    model: str, config: dict[str, Any], tokens: int, least: int, may_clamp: bool
) -> None:
    found = cap(model, **config)
    assert (found.tokens, found.minimum_tokens, found.may_clamp) == (tokens, least, may_clamp)
    assert found.source == ("caller" if "maxOutputTokens" in config else "default")
    assert found.audio is (model == "gemini-1.5-flash" and "responseModalities" in config)


def test_a_cap_stays_under_the_ceiling_and_counts_for_every_candidate() -> None:
    found = cap("gemini-1.5-flash", ceiling=100, candidateCount=3)
    assert (found.tokens, found.choices, found.minimum_tokens) == (100, 3, 100)


@pytest.mark.parametrize(("mode", "may_clamp"), [("ANY", False), ("AUTO", True)])
def test_a_forced_call_is_never_cut(mode: str, may_clamp: bool) -> None:
    config = {"function_calling_config": {"mode": mode}}
    assert cap("gemini-1.5-flash", more={"tool_config": config}).may_clamp is may_clamp


@pytest.mark.parametrize(
    ("model", "config"), [("gemini-2.5-flash-image", {}), (FLASH, {"responseModalities": ["Image"]})]
)
def test_a_picture_needs_room(model: str, config: dict[str, Any]) -> None:
    with pytest.raises(RequestShapeError, match="picture"):
        cap(model, maxOutputTokens=2519, **config)
    assert cap(model, maxOutputTokens=2520, **config).tokens == 2520
    tight = {"default_plain": 100, "default_reasoning": 100, "minimum": 9}
    assert gemini_cap_for(request(model, generationConfig=config), ceiling=None, **tight).tokens == 2520


@pytest.mark.parametrize(
    ("model", "budget", "hides"),
    [
        (FLASH, None, True),
        (FLASH, 0, False),
        ("gemini-2.0-flash", None, True),
        ("gemini-2.0-flash", 0, False),
        ("gemini-1.5-pro", None, False),
        ("gemini-2.5-pro", 0, True),
        ("sim-mini", None, False),
        ("sim-reasoning-5", None, True),
        ("sim-reasoning-5", 0, False),
        ("gemma-3-27b-it", None, False),
    ],
)
def test_whether_thoughts_are_hidden(model: str, budget: int | None, hides: bool) -> None:
    config = {} if budget is None else {"thinkingConfig": {"thinkingBudget": budget}}
    assert may_think_unseen(request(model, generationConfig=config)) is hides


def test_what_is_known_of_models() -> None:
    assert rule_of("sim-mini", "google") is CountRule.WORDS
    assert rule_of("gemini-3-pro-preview", "google") is CountRule.RECIPE
    assert rule_of("gemini-3-pro-preview", "somebody") is CountRule.BYTES
    assert rule_of("somebodys", "google") is CountRule.BYTES
    assert output_ceiling(FLASH, "google") == 65_536
    assert output_ceiling("gemini-1.5-flash", "google") == 8_192
    assert output_ceiling("somebodys", "google") is None
    assert (makes_pictures("gemini-3-pro-image-preview"), makes_pictures(FLASH)) == (True, False)
    assert (speaks("gemini-2.5-pro-preview-tts"), speaks(FLASH)) == (True, False)
    assert [searches_billed(FLASH, queries) for queries in (0, 1, 3)] == [0, 1, 1]
    assert searches_billed("gemini-3-flash-preview", 3) == 3


def test_an_estimate_grows_with_text_and_calls() -> None:
    alone = estimate_gemini_output("")
    assert estimate_gemini_output("one two") > alone
    assert estimate_gemini_output("", tool_calls=1) > alone
