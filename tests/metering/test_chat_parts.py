from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from metering.allowances import Allowances
from metering.chat_beside import ALLOWABLE
from metering.chat_parts import PAGE_TEXT_TOKENS
from metering.errors import RequestShapeError, Uncountable
from metering.openai_chat import bound_chat
from metering.quote import BoundClass, InputBound
from tests.metering.chats import bound, request
from tests.metering.test_audio import encoded, wav

PDF = b"%PDF-1.4\n1 0 obj <</Type /Page>> endobj 2 0 obj <</Type /Page>> endobj"
SOUND = encoded(wav(3))


def chat(part: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [{"type": "text", "text": "see"}, part]}]


def bounded(model: str, part: dict[str, Any], *, provider: str = "openai", **tokens: int) -> InputBound:
    return bound_chat(request(model, chat(part)), provider=provider, allowances=Allowances(tokens))


def file(data: bytes = PDF, kind: str = "application/pdf") -> dict[str, Any]:
    return {"type": "file", "file": {"file_data": f"data:{kind};base64,{b64encode(data).decode()}"}}


def sound(data: str = SOUND) -> dict[str, Any]:
    return {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}


def gif(width: int, height: int) -> dict[str, Any]:
    data = b"GIF89a" + width.to_bytes(2, "little") + height.to_bytes(2, "little") + bytes(20)
    return {"type": "image_url", "image_url": {"url": f"data:image/gif;base64,{b64encode(data).decode()}"}}


def test_each_page_of_a_document_is_a_picture_and_its_text() -> None:
    found = bounded("gpt-4o", file())
    assert found.image_tokens == 2 * 1445
    assert found.tokens > 2 * (1445 + PAGE_TEXT_TOKENS)
    assert found.bound_class is BoundClass.EMPIRICAL


@pytest.mark.parametrize(
    ("model", "part", "kind", "provider"),
    [
        ("gpt-4o", file(b"PK"), "document", "openai"),
        ("gpt-4o", file(kind="text/csv"), "document", "openai"),
        ("gpt-4o", {"type": "file", "file": {}}, "document", "openai"),
        ("gpt-4o", {"type": "file", "file": {"file_id": "file-1"}}, "file_id", "openai"),
        ("gpt-3.5-turbo", file(), "document", "openai"),
        ("mistral-small", file(), "document", "mistral"),
        (
            "mistral-small",
            {"type": "document_url", "document_url": "https://a.example"},
            "document",
            "mistral",
        ),
        ("qwen3-vl-flash", {"type": "video_url", "video_url": {}}, "video", "alibaba"),
        ("gpt-audio", sound("T2dnUw=="), "audio", "openai"),
        ("mistral-small", sound(), "audio", "mistral"),
        ("sonar", {"type": "image_url", "image_url": "https://a.example/b.png"}, "image_url", "perplexity"),
        ("deepseek-v4", {"type": "image_url", "image_url": "https://a.example"}, "image_url", "deepseek"),
        ("llava", {"type": "image_url", "image_url": "https://a.example"}, "image_url", "ollama"),
        ("sim-mini", {"type": "file", "file": {"file_id": "file-1"}}, "file_id", "simulator"),
        ("gpt-4o", {"type": "surprise"}, "server_tool", "openai"),
    ],
)
def test_an_allowance_stands_for_what_nobody_can_bound(
    model: str, part: dict[str, Any], kind: str, provider: str
) -> None:
    with pytest.raises(Uncountable, match=f"PATCH /api/v1/settings .*{kind}") as refused:
        bounded(model, part, provider=provider)
    assert (refused.value.kind, refused.value.part) == (kind, f"messages[0].content[1].{part['type']}")
    less, more = (bounded(model, part, provider=provider, **{kind: tokens}) for tokens in (1_000, 51_000))
    assert more.bound_class is BoundClass.EMPIRICAL
    assert more.tokens - less.tokens in (50_000, 50_500)  # and a percent of margin


def test_sound_costs_by_its_seconds() -> None:
    found = bounded("gpt-audio", sound())
    assert found.audio_tokens == 4 * 10
    assert found.tokens > 40
    assert bounded("voxtral-small-latest", sound(), provider="mistral").audio_tokens == 384
    assert bounded("voxtral-small-latest", {"type": "input_audio", "input_audio": SOUND}, provider="mistral")


def test_an_earlier_answers_sound_may_be_allowed() -> None:
    messages = [{"role": "assistant", "content": "x" * 600, "audio": {"id": "audio_1"}}]
    for model, provider in (("gpt-audio", "openai"), ("any", "vllm")):
        for _ in range(2):
            found = bound_chat(
                request(model, messages), provider=provider, allowances=Allowances({"audio": 700})
            )
            assert found.audio_tokens == 700


@pytest.mark.parametrize(
    ("model", "provider", "size", "tokens"),
    [
        ("mistral-small-latest", "mistral", (330, 291), 145),
        ("mistral-small-latest", "mistral", (9_000, 9_000), 3_025 + 55 + 2),
        ("pixtral-12b", "mistral", (32, 33), 6 + 3 + 2),
        ("qwen3-vl-flash", "alibaba", (330, 291), 114),
        ("qwen/qwen2.5-vl-72b-instruct", "openrouter", (597, 566), 22 * 21 + 4),
        ("meta-llama/llama-4-scout-17b", "groq", (400, 301), 2 * 146 + 160),
        ("sonar", "perplexity", (330, 291), 129),
        ("any-model", "together", (561, 560), 2 * 1601),
    ],
)
def test_a_picture_costs_what_its_provider_says(
    model: str, provider: str, size: tuple[int, int], tokens: int
) -> None:
    found = bounded(model, gif(*size), provider=provider)
    assert found.image_tokens == tokens
    assert found.tokens > tokens


def test_a_picture_elsewhere_may_be_allowed_for_less_than_the_largest() -> None:
    elsewhere = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    for model, provider, most in (("qwen3-vl-flash", "alibaba", 16_388), ("gpt-4o", "openai", 1_445)):
        assert bounded(model, elsewhere, provider=provider).image_tokens == most
        assert bounded(model, elsewhere, provider=provider, image_url=900).image_tokens == 900
        assert bounded(model, elsewhere, provider=provider, image_url=99_000).image_tokens == most
        own = gif(330, 291)
        assert bounded(model, own, provider=provider, image_url=1) == bounded(model, own, provider=provider)


def test_the_base64_of_a_picture_is_no_text() -> None:
    url = "data:image/png;base64," + "A" * 100_000
    part = {"type": "image_url", "image_url": {"url": url}}
    found = bounded("any-model", part, provider="together")
    assert 4 * 1601 < found.tokens < 4 * 1601 + 1_000


@pytest.mark.parametrize("kind", ["file", "image_url"])
def test_a_part_of_no_known_shape_is_refused(kind: str) -> None:
    with pytest.raises(RequestShapeError, match=kind):
        bounded("gpt-4o", {"type": kind, kind: 5})


@pytest.mark.parametrize("name", sorted(ALLOWABLE))
def test_what_is_looked_up_may_be_allowed(name: str) -> None:
    kind = "file_search" if name == "data_sources" else "web_search"
    for provider in ("openai", "groq", "vllm", "simulator"):
        asked = request("sim-mini" if provider == "simulator" else "gpt-4o", "hi", **{name: {}})
        with pytest.raises(Uncountable) as refused:
            bound_chat(asked, provider=provider)
        assert (refused.value.kind, refused.value.part) == (kind, name)
        found = bound_chat(asked, provider=provider, allowances=Allowances({kind: 5_000}))
        assert found.tokens > 5_000
        assert found.bound_class is BoundClass.EMPIRICAL
    off = bound(**{name: False})
    assert off == bound()


@pytest.mark.parametrize(
    ("tool", "kind"),
    [
        ({"type": "web_search"}, "web_search"),
        ({"type": "browser_search"}, "web_search"),
        ({"type": "code_interpreter"}, "code_execution"),
        ({"type": "mcp"}, "mcp"),
        ({"type": "retrieval"}, "server_tool"),
        ("web", "server_tool"),
    ],
)
def test_a_tool_that_runs_at_the_provider_may_be_allowed(tool: Any, kind: str) -> None:
    for provider in ("openai", "groq", "vllm"):
        asked = request("gpt-4o", "hi", tools=[tool])
        with pytest.raises(Uncountable) as refused:
            bound_chat(asked, provider=provider)
        assert refused.value.kind == kind
        found = bound_chat(asked, provider=provider, allowances=Allowances({kind: 9_000}))
        assert found.tokens > 9_000
        assert found.bound_class is BoundClass.EMPIRICAL


def test_a_model_that_goes_round_by_itself_may_be_allowed() -> None:
    for model, provider in (("groq/compound", "groq"), ("gpt-4o-search-preview", "openai")):
        found = bound_chat(request(model), provider=provider, allowances=Allowances({"server_tool": 60_000}))
        assert found.tokens > 60_000
        assert found.bound_class is BoundClass.EMPIRICAL


def test_thinking_that_no_cap_covers_is_held_as_a_second_answer() -> None:
    assert bound_chat(request("qwen3.8-max"), provider="alibaba").rounds == 2
    assert bound_chat(request("qwen/qwen3.5-35b-a3b"), provider="openrouter").rounds == 2
    assert bound_chat(request("deepseek-v4"), provider="alibaba").rounds == 1
    off: tuple[dict[str, Any], ...] = ({"enabled": False}, {"effort": "none"})
    for reasoning in off:
        asked = request("qwen/qwen3.5-35b-a3b", reasoning=reasoning)
        assert bound_chat(asked, provider="openrouter").rounds == 1
    assert bound_chat(request("qwen3.8-max", enable_thinking=False), provider="alibaba").rounds == 1
    assert bound_chat(request("qwen3.8-max"), provider="groq").rounds == 1
    with pytest.raises(RequestShapeError, match="reasoning"):
        bound_chat(request("qwen/qwen3.5-35b-a3b", reasoning="high"), provider="openrouter")
