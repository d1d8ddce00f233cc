"""Requests that would cost more than they seem to: refused, or bounded by what they may really come to."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest

from metering.allowances import Allowances
from metering.chat_request import decode_chat
from metering.completions_request import decode_completions
from metering.embeddings_request import decode_embeddings
from metering.errors import RequestShapeError, Uncountable
from metering.gemini import bound_embed, decode_gemini
from metering.gemini_durations import audio_ms
from metering.gemini_models import makes_pictures, speaks
from metering.images import data_url_size
from metering.openai_chat import bound_chat
from metering.pdfs import pdf_pages
from metering.quote import BoundClass
from metering.tokens import grown_bytes
from tests.metering import chats, gemini, messages, responses

# One sign of three bytes, which tokenizers that normalise read as a sentence of 33.
SENTENCE = "\ufdfa"
WEB_SEARCH = {"type": "web_search"}


def decoded(route: str, **fields: Any) -> Any:
    """A request of a route, with these fields on top of what it needs."""
    text = json.dumps({"model": "m", "input": "x", **fields}).encode()
    if route == "completions":
        return decode_completions(text)
    return decode_embeddings(text)


@pytest.mark.parametrize("tier", ["turbo", "Performance", "priority-plus", "batch"])
def test_a_tier_that_nobody_has_heard_of_is_not_quoted_as_standard(tier: str) -> None:
    for read in (
        lambda: chats.request(service_tier=tier).quoted_tier,
        lambda: responses.request(service_tier=tier).quoted_tier,
        lambda: gemini.request(service_tier=tier).quoted_tier,
        lambda: messages.request(speed=tier).quoted_tier,
        lambda: decoded("completions", service_tier=tier).quoted_tier,
        lambda: decoded("embeddings", service_tier=tier).quoted_tier,
    ):
        with pytest.raises(RequestShapeError, match="not known"):
            read()


@pytest.mark.parametrize("tier", ["priority", "Priority", "PRIORITY"])
def test_a_dearer_tier_is_quoted_on_every_route_however_it_is_written(tier: str) -> None:
    assert chats.request(service_tier=tier).quoted_tier == "priority"
    assert responses.request(service_tier=tier).quoted_tier == "priority"
    assert gemini.request(service_tier=f"SERVICE_TIER_{tier}").quoted_tier == "priority"
    assert decoded("completions", service_tier=tier).quoted_tier == "priority"
    assert decoded("embeddings", service_tier=tier).quoted_tier == "priority"


@pytest.mark.parametrize("tier", [7, 3.0, True, ["priority"], {"priority": 1}])
def test_googles_tier_by_number_is_refused(tier: Any) -> None:
    with pytest.raises(RequestShapeError, match="by its name"):
        assert gemini.request(serviceTier=tier).quoted_tier


@pytest.mark.parametrize("modality", [3, "3", "VIDEO", None, ["AUDIO"], "SOUND"])
def test_googles_modalities_by_number_or_unheard_of_are_refused(modality: Any) -> None:
    with pytest.raises(RequestShapeError, match="responseModalities"):
        gemini.cap(responseModalities=["TEXT", modality])


@pytest.mark.parametrize("mode", [[], {}, 2, None])
def test_a_mode_of_any_type_is_no_failure(mode: Any) -> None:
    config = {"functionCallingConfig": {"mode": mode}}
    assert not gemini.request(toolConfig=config).forces_tool
    assert not messages.request(tool_choice={"type": mode}).forces_tool
    assert responses.request(tool_choice={"mode": mode}).forces_tool


@pytest.mark.parametrize("kind", [[], {}, 7, None])
def test_a_format_of_any_type_is_no_failure(kind: Any) -> None:
    with pytest.raises(RequestShapeError, match=r"text\.format\.type"):
        assert responses.request(text={"format": {"type": kind}}).answer_format


@pytest.mark.parametrize(
    "name",
    [
        *("max_output_tokens", "max_new_tokens", "max_tokens_to_sample", "n_predict"),
        *("num_generations", "num_return_sequences", "candidate_count"),
    ],
)
def test_another_servers_name_for_a_cap_is_refused(name: str) -> None:
    with pytest.raises(RequestShapeError, match=name):
        chats.request(**{name: 100_000}, max_tokens=1)
    assert chats.request(**{name: None}, max_tokens=1).max_tokens == 1


def test_pictures_in_an_answer_of_chat_are_not_bounded() -> None:
    with pytest.raises(Uncountable, match="modalities"):
        chats.bound(modalities=["text", "Image"])
    assert chats.bound(modalities=["Text"]).tokens == chats.bound().tokens


def test_an_answer_that_is_fetched_later_is_not_bounded() -> None:
    with pytest.raises(Uncountable, match="deferred"):
        chats.bound(deferred=True)


@pytest.mark.parametrize(
    ("model", "provider"), [("gpt-4o-mini", "openai"), ("llama-3.3-70b-versatile", "groq")]
)
def test_documents_beside_the_messages_are_counted(model: str, provider: str) -> None:
    plain, more = (
        bound_chat(decode_chat(chats.body(model, **fields)), provider=provider)
        for fields in ({}, {"documents": [{"text": "many words " * 900}]})
    )
    assert more.tokens > plain.tokens + 1800
    assert more.bound_class is BoundClass.EMPIRICAL


@pytest.mark.parametrize(
    "call",
    [
        {"id": "c", "type": "function", "function": {"name": "f", "arguments": {"x": "word " * 500}}},
        {"type": "custom", "function": {"name": "f"}, "custom": {"name": "f", "input": "word " * 500}},
        {"function": {"name": "f", "arguments": "{}"}, "extra_content": {"x": "word " * 500}},
    ],
)
def test_what_a_call_hides_is_counted(call: dict[str, Any]) -> None:
    assert chats.bound(messages=[{"role": "assistant", "content": None, "tool_calls": [call]}]).tokens > 500


@pytest.mark.parametrize("model", ["gemini-2.5-flash-image", "GEMINI-3-PRO-IMAGE", "gemini-nano-banana-2.1"])
def test_a_model_that_paints_is_known_by_all_its_names(model: str) -> None:
    assert makes_pictures(model)
    assert speaks("Gemini-2.5-flash-preview-TTS")
    with pytest.raises(RequestShapeError, match="picture"):
        gemini.cap(model, maxOutputTokens=10)


def test_a_model_that_makes_films_is_not_bounded() -> None:
    with pytest.raises(Uncountable, match="film"):
        gemini.bound("gemini-omni-flash-preview")


@pytest.mark.parametrize(
    "item",
    [
        {"type": "additional_tools", "role": "developer", "tools": [WEB_SEARCH]},
        {"type": "tool_search_output", "tools": [{"type": "mcp", "server_url": "https://a.example"}]},
        {"type": "additional_tools", "tools": [{"type": "namespace", "tools": [WEB_SEARCH]}]},
        {"type": "additional_tools", "tools": [{"type": ["web_search"]}]},
    ],
)
@pytest.mark.parametrize("model", ["gpt-5", "who-knows"])
def test_tools_of_the_providers_are_refused_in_unusual_places(item: dict[str, Any], model: str) -> None:
    with pytest.raises(Uncountable, match="own tools"):
        responses.bound(model, [item])
    with pytest.raises(Uncountable, match="own tools"):
        responses.bound(model, tools=[{"type": "namespace", "name": "n", "tools": item["tools"]}])


def test_the_callers_own_tools_may_stand_there() -> None:
    tools = [{"type": "function", "name": "f"}, {"type": "namespace", "tools": [{"type": "custom"}]}]
    for model in ("gpt-5", "who-knows"):
        assert responses.bound(model, [{"type": "additional_tools", "tools": tools}]).tokens > 0


def test_thoughts_under_an_id_are_no_hard_bound() -> None:
    shown = {"type": "reasoning", "content": [{"type": "reasoning_text", "text": "hm"}]}
    assert responses.bound("who-knows", [shown]).bound_class is BoundClass.HARD
    for kept in ({"id": "rs_1"}, {"encrypted_content": "x" * 9}):
        assert responses.bound("who-knows", [{**shown, **kept}]).bound_class is BoundClass.EMPIRICAL


@pytest.mark.parametrize("escaped", [False, True])
def test_a_sign_that_becomes_a_sentence_is_bounded_as_one(escaped: bool) -> None:
    text, grown = SENTENCE * 100, 30 * 100

    def body(value: Any) -> bytes:
        return json.dumps(value, ensure_ascii=escaped).encode()

    said = [{"role": "user", "content": text}]
    chat = bound_chat(decode_chat(body({"model": "m", "messages": said})), provider="who")
    assert chat.tokens >= 3300 + 512
    parts = {"parts": [{"text": text}]}
    embed = bound_embed(decode_gemini(body({"content": parts}), "m", needed="content"), provider="who")
    assert embed.tokens >= 3300
    if not escaped:
        assert responses.bound("m", text, provider="who").tokens >= 3300
        assert messages.bound("m", text).tokens >= 3300
        assert gemini.bound("m", text, provider="who").tokens >= 3300
    assert grown_bytes(body(said)) == grown
    assert grown_bytes(b'"plain"', '"数字"'.encode()) == 0


def test_what_cannot_be_read_is_taken_to_grow_by_the_most() -> None:
    deep = b"[" * 100_000 + b'"\\ufdfa"'
    assert grown_bytes(deep) == 10 * len(deep)


def wav(*, told: int, hertz: int = 8_000, bits: int = 16, coding: int = 1) -> bytes:
    """The head of a WAV that tells so many bytes a second."""
    fields = (coding, 2), (1, 2), (hertz, 4), (told, 4), (bits // 8, 2), (bits, 2)
    head = b"".join(value.to_bytes(size, "little") for value, size in fields)
    return b"fmt " + (16).to_bytes(4, "little") + head


def test_a_recording_is_as_long_as_a_player_takes_it_for() -> None:
    def length_ms(head: bytes) -> int | None:
        return audio_ms((b"RIFF\0\0\0\0WAVE" + head).ljust(16_000, b"\0"))

    assert length_ms(wav(told=16_000)) == 1_000
    assert length_ms(wav(told=2**31)) == 1_000, "the sum that is told is not what is played"
    assert length_ms(wav(told=8_000)) == 2_000
    assert length_ms(wav(told=8_000, coding=2)) == 2_000
    assert length_ms(b"JUNK\x18\0\0\0" + wav(told=2**31, hertz=2**30) + wav(told=16_000)) == 1_000
    assert length_ms(wav(told=0, hertz=0)) is None


def test_filling_before_a_mark_does_not_hide_a_pictures_size() -> None:
    def frame(side: int) -> bytes:
        return b"\xff\xc0\x00\x11\x08" + side.to_bytes(2, "big") * 2

    data = b"\xff\xd8\xff\xff\xff\xe0\x00\x04ab" + frame(4000) + bytes(60_000) + frame(1) + bytes(20)
    assert data_url_size(f"data:image/jpeg;base64,{b64encode(data).decode()}") == (4000, 4000)


@pytest.mark.parametrize("name", [b"/Type /P#61ge", b"/T#79pe /Page", b"/#45ncrypt", b"/Type /#4FbjStm"])
def test_pages_whose_names_are_hidden_are_not_counted(name: bytes) -> None:
    plain = b"%PDF-1.7 /Type /Page /ABC+Arial#20Bold /Count 1 "
    assert pdf_pages(b64encode(plain).decode()) == 1
    assert pdf_pages(b64encode(plain + name).decode()) is None


def test_an_allowance_does_not_let_tools_hide() -> None:
    allowances = Allowances({"web_search": 100, "mcp": 100, "server_tool": 100})
    with pytest.raises(Uncountable, match="own tools"):
        responses.bound(given=[{"type": "additional_tools", "tools": [WEB_SEARCH]}], allowances=allowances)
