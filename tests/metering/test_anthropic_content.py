from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from metering.anthropic_content import Counter
from metering.anthropic_models import image_tokens, image_tokens_max, rule_of
from metering.errors import RequestShapeError, Uncountable
from metering.model_families import CountRule
from tests.metering.messages import bound


def png(width: int, height: int) -> str:
    header = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + width.to_bytes(4, "big") + height.to_bytes(4, "big")
    return b64encode(header + b"\0" * 60).decode()


def picture(data: str) -> dict[str, Any]:
    return {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}


def fixed(block: Any, most: int = 1600) -> int:
    return Counter(most).count_content([block], "content").fixed_tokens


@pytest.mark.parametrize(
    ("model", "rule"),
    [
        ("sim-mini", CountRule.WORDS), ("SIM-mini", CountRule.WORDS), ("claude-opus-5", CountRule.RECIPE),
        ("us.anthropic.claude-3-haiku", CountRule.RECIPE), ("deepseek-chat", CountRule.BYTES),
    ],
)  # fmt: skip
def test_a_model_has_its_rule(model: str, rule: CountRule) -> None:
    assert rule_of(model) is rule


@pytest.mark.parametrize(
    ("tokens_max", "models"),
    [
        (
            1600,
            "claude-3-opus-20240229 claude-3-5-haiku-latest claude-2.1 claude-instant-1 claude-opus-4-20250514 "
            "claude-sonnet-4 claude-sonnet-4-5-20250929 claude-haiku-4.5 claude-opus-4-6 claude-4-sonnet-20250514 "
            "claude-4-5-haiku",
        ),
        (
            4784,
            "claude-opus-4-7 claude-opus-4-8-20260801 claude-sonnet-5 claude-haiku-5-5 claude-fable-5 claude-x",
        ),
    ],
)
def test_a_picture_costs_at_most_what_the_models_generation_takes(tokens_max: int, models: str) -> None:
    assert {model: image_tokens_max(model) for model in models.split()} == dict.fromkeys(
        models.split(), tokens_max
    )


@pytest.mark.parametrize(
    ("size", "tokens"),
    [
        ((330, 291), 132),
        ((1001, 1001), 1337),
        ((640, 480), 414),
        ((1, 1), 1),
        ((4000, 3000), 1600),
        (None, 1600),
    ],
)
def test_a_picture_costs_by_its_size(size: tuple[int, int] | None, tokens: int) -> None:
    assert image_tokens(size, 1600) == tokens


def test_a_pictures_size_is_read_and_its_bytes_are_no_text() -> None:
    assert fixed(picture(png(330, 291))) == 132
    assert fixed(picture("/9j/" + "A" * 4_000)) == 1600
    assert fixed({"type": "image", "source": {"type": "url", "url": "https://x/y.png"}}) == 1600
    small, large = (
        bound(content=[picture(png(330, 291))]),
        bound(content=[picture(png(330, 291) + "A" * 40_000)]),
    )
    assert small.tokens == large.tokens


def test_a_picture_within_a_tools_result_counts() -> None:
    result = {"type": "tool_result", "tool_use_id": "t", "content": [picture(png(330, 291))]}
    assert fixed(result) == 132
    shown = {"type": "document", "source": {"type": "content", "content": [picture(png(330, 291))]}}
    assert fixed({"type": "tool_result", "content": [shown]}) == 132


def test_a_document_costs_by_its_pages() -> None:
    pdf = b64encode(b"%PDF-1.4\n/Type /Page /Type /Page").decode()
    block = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": pdf}}
    assert fixed(block) == 2 * (3000 + 1600)
    assert fixed(block, 4784) == 2 * (3000 + 4784)


def test_a_document_of_text_is_counted_as_text() -> None:
    block = {"type": "document", "title": "T", "source": {"type": "text", "data": "word " * 400}}
    assert fixed(block) == 0
    assert bound(content=[block]).tokens > 560


@pytest.mark.parametrize(
    ("block", "kind", "part"),
    [
        ({"type": "image", "source": {"type": "file", "file_id": "f"}}, "file_id", "content[0].source.file"),
        (
            {"type": "document", "source": {"type": "file", "file_id": "f"}},
            "file_id",
            "content[0].source.file",
        ),
        ({"type": "document", "source": {"type": "url", "url": "u"}}, "document", "content[0].source.url"),
        ({"type": "document", "source": {"type": "base64", "data": "!"}}, "document", "content[0].source"),
        ({"type": "document", "source": {"type": "base64"}}, "document", "content[0].source"),
    ],
)
def test_what_was_sent_elsewhere_stays_open_for_an_allowance(block: Any, kind: str, part: str) -> None:
    found = Counter(1600).count_content([block], "content")
    assert [(one.kind, one.part) for one in found.open_parts] == [(kind, part)]
    assert found.fixed_tokens == 0


@pytest.mark.parametrize("kind", ["image", "document"])
def test_a_source_of_no_known_type_has_no_bound(kind: str) -> None:
    with pytest.raises(Uncountable) as caught:
        fixed({"type": kind, "source": {"type": "novel"}})
    assert caught.value.part == "content[0].source.novel"


def test_what_tools_at_anthropic_found_is_counted_as_text_and_by_what_is_encrypted() -> None:
    result = {"type": "web_search_result", "title": "T", "url": "u", "encrypted_content": "x" * 1001}
    block = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [result, result]}
    assert fixed(block) == 2 * 501
    printed = {
        "type": "code_execution_tool_result",
        "content": {"stdout": "word " * 500, "encrypted_stdout": "xy"},
    }
    found = Counter(1600).count_content([printed], "content")
    assert found.fixed_tokens == 1
    assert found.tokens > 500
    assert fixed({"type": "compaction", "content": "summary", "encrypted_content": "xyz"}) == 2
    assert fixed({"type": "mcp_tool_use", "id": "m", "name": "n", "input": {}}) == 0


def test_a_page_that_was_fetched_is_a_document() -> None:
    pdf = b64encode(b"%PDF-1.4\n/Type /Page").decode()
    page = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": pdf}}
    block = {
        "type": "web_fetch_tool_result",
        "content": {"type": "web_fetch_result", "url": "u", "content": page},
    }
    assert fixed(block) == 3000 + 1600


def test_a_file_for_the_container_is_a_name_in_the_prompt() -> None:
    assert fixed({"type": "container_upload", "file_id": "file_1"}) == 300


def test_a_result_that_never_ends_is_refused() -> None:
    nested: Any = "x"
    for _ in range(20):
        nested = [nested]
    with pytest.raises(RequestShapeError, match="nested"):
        fixed({"type": "web_search_tool_result", "content": nested})


@pytest.mark.parametrize(
    "block",
    [
        {"type": "image"},
        {"type": "document", "source": "x"},
        {"type": "image", "source": {"type": "base64", "data": 7}},
        {"type": "tool_result", "content": 7},
    ],
)
def test_a_block_of_no_known_shape_is_refused(block: Any) -> None:
    with pytest.raises(RequestShapeError):
        fixed(block)


def test_blocks_are_nested_only_so_deep() -> None:
    deep: Any = "hi"
    for _ in range(9):
        deep = [{"type": "tool_result", "content": deep}]
    with pytest.raises(RequestShapeError, match="list of blocks"):
        Counter(0).count_content(deep, "content")
    endless: Any = []
    for _ in range(100_000):
        endless = [endless]
    with pytest.raises(RequestShapeError, match="nested too deeply"):
        Counter(0).count({"role": "user", "input": endless}, "messages[0]")


def test_an_earlier_answers_thinking_counts_by_its_signature() -> None:
    thought = {"type": "thinking", "thinking": "Hm.", "signature": "s" * 1001}
    assert fixed(thought) == 501
    assert fixed({"type": "redacted_thinking", "data": "d" * 400}) == 200
    assert bound(content=[thought]).tokens < 501 + 40 + 60


def test_ids_are_left_out_unless_they_are_texts() -> None:
    def tokens(name: str) -> int:
        return bound(content=[{"type": "tool_use", "id": name, "name": "f", "input": {"id": "kept"}}]).tokens

    assert tokens("toolu_01Mo5Ee5Yb7vrzaxSNS5DVuP") == tokens("t")
    assert tokens("word " * 100) > tokens("t") + 130
