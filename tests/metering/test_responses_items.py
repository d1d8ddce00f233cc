from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import msgspec
import pytest

from metering.allowances import NONE, Allowances
from metering.errors import RequestShapeError, Uncountable
from metering.responses_items import ItemCount, ItemRule, allow_kept, count_item, count_text, texts_of
from metering.tokens import TEXT_CHARS_MAX, count
from tests.metering.responses import function, message

PLAIN = ItemRule("gpt-4.1", "o200k_base", harmony=False, allowances=NONE)
THINKING = ItemRule("gpt-5", "o200k_base", harmony=True, allowances=NONE)


def counted(item: Any, rule: ItemRule = PLAIN) -> ItemCount:
    return count_item(msgspec.Raw(json.dumps(item, ensure_ascii=False).encode()), 3, rule)


def allowing(**tokens: int) -> ItemRule:
    return PLAIN._replace(allowances=Allowances(tokens))


def size(text: str) -> int:
    return count(text, "o200k_base")


def test_a_message_is_its_text_its_role_and_three() -> None:
    assert counted(message("hello world")) == (6, 0, True, 0, False)
    assert counted({"type": "message", "role": "user", "content": "hello world"}) == count_text(
        "hello world", "user", PLAIN
    )
    assert counted(message("hello world"), THINKING).tokens == 6
    assert counted(message("hello world", role="assistant"), THINKING).tokens == 8


def test_an_earlier_answer_comes_back_as_it_was_given() -> None:
    said = {"type": "output_text", "text": "hello", "annotations": []}
    answered = message(said, role="assistant", type="message", id="msg_1", status="completed")
    assert counted(answered).plain
    refused = message({"type": "refusal", "refusal": "no"}, role="assistant")
    assert counted(refused).tokens == 3 + 1 + size("no")
    odd = counted(message("hello", phase="commentary"))
    assert (odd.plain, odd.surcharge_tokens) == (False, 2)


def test_a_text_that_no_tokenizer_takes_is_bounded_by_its_bytes() -> None:
    long = counted(message("a" * (TEXT_CHARS_MAX + 1)))
    assert (long.tokens, long.plain) == (TEXT_CHARS_MAX + 1 + 4, False)


def test_a_long_message_is_counted_once() -> None:
    long = message("word " * 400)
    assert counted(long) == counted(long)
    assert counted(long) != counted({**long, "role": "assistant"}, THINKING)


def test_a_call_and_its_result() -> None:
    call = {"type": "function_call", "call_id": "c", "name": "get_weather", "arguments": '{"city": "Oslo"}'}
    text = 14 + 2 * size("get_weather") + size('{"city": "Oslo"}')
    assert counted(call)[:2] == (text, 12)
    assert counted(call, THINKING)[:2] == (text, 0)
    shell = {"type": "local_shell_call", "action": {"command": ["ls"]}, "namespace": "a"}
    assert counted(shell).tokens == 14 + 2 * size("local_shell_call") + 1 + size('{"command":["ls"]}')
    result = {"type": "function_call_output", "call_id": "c", "output": 'a "page"\n'}
    assert counted(result).tokens == 13 + size(json.dumps('a "page"\n'))
    assert not counted(result).plain
    parts = {"type": "function_call_output", "output": [{"type": "input_text", "text": "x y"}]}
    assert counted(parts).tokens == 13 + size('"x y"')


def test_tools_that_are_handed_over_later_count_as_tools_do() -> None:
    later = {"type": "additional_tools", "tools": [function(), {"type": "custom", "name": "x"}, 5]}
    assert counted(later).tokens > counted({**later, "tools": [function()]}).tokens
    assert counted(later).surcharge_tokens == 96
    assert counted({"type": "tool_search_output", "tools": None}).tokens > 0


def test_thoughts_are_bounded_by_their_size_where_that_was_measured() -> None:
    sealed = {"type": "reasoning", "id": "rs", "summary": [], "encrypted_content": "x" * 801}
    assert counted(sealed, THINKING) == (6 + 201, 0, False, 0, True)
    assert counted(sealed, THINKING._replace(model="o4-mini")).tokens == 207
    for item, rule in ((sealed, THINKING._replace(model="o3-mini")), ({"type": "reasoning"}, THINKING)):
        with pytest.raises(Uncountable, match=r"input\[3\]\.reasoning") as raised:
            counted(item, rule)
        assert raised.value.kind == "reasoning_state"
    kept = counted({"type": "reasoning"}, allowing(reasoning_state=400))
    assert (kept.tokens, kept.fixed) == (400, True)
    shown = {"type": "reasoning", "content": [{"type": "reasoning_text", "text": "two words"}]}
    assert counted(shown) == (3 + 1 + 2 + 2, 0, False, 0, False)


@pytest.mark.parametrize(
    ("kind", "allowance"),
    [
        ("item_reference", "conversation"),
        ("compaction", "conversation"),
        ("web_search_call", "web_search"),
        ("file_search_call", "file_search"),
        ("code_interpreter_call", "code_execution"),
        ("mcp_call", "mcp"),
        ("computer_call", "server_tool"),
        ("image_generation_call", "server_tool"),
    ],
)
def test_an_item_that_the_provider_keeps_is_refused_by_name(kind: str, allowance: str) -> None:
    with pytest.raises(Uncountable, match=rf"input\[3\]\.{kind}") as raised:
        counted({"type": kind})
    assert raised.value.kind == allowance
    assert counted({"type": kind}, allowing(**{allowance: 250})) == (250, 0, False, 0, True)
    assert allow_kept({"type": kind}, "input[0]", Allowances({allowance: 250})) == 250


PICTURE = {"type": "input_image", "image_url": "https://example.com/a.png", "detail": "low"}


def test_a_picture_costs_by_its_size_or_the_most_it_can() -> None:
    found = counted(message("look", PICTURE))
    assert found.image_tokens == 85
    assert (found.plain, found.fixed) == (False, True)
    most = counted(message({**PICTURE, "detail": None}))
    assert most.image_tokens == 85 + 8 * 170


@pytest.mark.parametrize(
    ("part", "allowance"),
    [
        ({"type": "input_image", "file_id": "file_1"}, "file_id"),
        ({"type": "input_image"}, "image_url"),
        ({"type": "input_file", "file_id": "file_1"}, "file_id"),
        ({"type": "input_file", "file_url": "https://example.com/a.pdf"}, "document"),
        ({"type": "input_file", "file_data": "data:application/pdf;base64,AAAA"}, "document"),
        ({"type": "input_audio", "input_audio": {}}, "audio"),
    ],
)
def test_a_part_without_a_bound_is_refused_unless_allowed(part: dict[str, Any], allowance: str) -> None:
    with pytest.raises(Uncountable) as raised:
        counted(message(part))
    assert raised.value.kind == allowance
    assert counted(message(part), allowing(**{allowance: 300})).tokens == 4 + 300
    assert allow_kept(message("a", part), "input[0]", Allowances({allowance: 300})) == 300


def test_a_pdf_costs_by_its_pages() -> None:
    content = b64encode(b"%PDF-1.4 << /Type /Page >> << /Type /Page >>").decode()
    sent = {"type": "input_file", "filename": "a.pdf", "file_data": f"data:application/pdf;base64,{content}"}
    found = counted(message("read", sent))
    page = 85 + 8 * 170
    assert (found.tokens, found.image_tokens) == (4 + 1 + 2 * (3000 + page), 2 * page)
    with pytest.raises(Uncountable) as raised:
        counted(message(sent), THINKING._replace(model="o3-mini"))
    assert raised.value.kind == "document"


def test_a_model_that_takes_no_pictures_as_far_as_we_know() -> None:
    with pytest.raises(Uncountable, match="not known"):
        counted(message(PICTURE), THINKING._replace(model="o3-mini"))


def test_a_body_bounds_all_that_is_in_it() -> None:
    assert allow_kept(message("a"), "input[0]", NONE) == 0
    assert allow_kept({"type": "reasoning", "content": [{}]}, "input[0]", NONE) == 0
    with pytest.raises(Uncountable, match=r"input\[0\]\.reasoning"):
        allow_kept({"type": "reasoning"}, "input[0]", NONE)


@pytest.mark.parametrize(
    "item",
    [
        message({"type": "film"}),
        {"type": "dream"},
        {"type": "function_call_output", "output": [{"type": "x"}]},
    ],
)
def test_what_nobody_knows_is_refused(item: dict[str, Any]) -> None:
    with pytest.raises(Uncountable):
        counted(item)


@pytest.mark.parametrize(
    "item",
    [
        5,
        {"type": 5},
        {"content": "no role"},
        {"role": "user", "content": 5},
        {"role": "user", "content": ["x"]},
        {"role": "user", "content": [{"type": "input_text", "text": 5}]},
    ],
)
def test_what_is_no_item_is_refused(item: Any) -> None:
    with pytest.raises(RequestShapeError):
        counted(item)


def test_the_texts_of_items_for_a_rule_of_words() -> None:
    assert texts_of(message("a b", "c"), "input") == ["a b", "c"]
    assert texts_of({"type": "function_call", "name": "f", "arguments": "{}"}, "input") == ["f", "{}", ""]
    assert texts_of({"type": "function_call_output", "output": "x"}, "input") == ["x"]
    assert texts_of({"type": "reasoning"}, "input") == []
    for item in ({"type": "compaction"}, message(PICTURE)):
        with pytest.raises(Uncountable):
            texts_of(item, "input")
