from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering import chat_named
from metering.chat_families import families, named_family, plain_name
from metering.chat_named import text_tokens
from metering.openai_chat import bound_chat
from metering.quote import BoundClass
from metering.tokens import count
from tests.metering.chats import bound, request

MISTRAL = families()["mistral"]


def at(provider: str, model: str, messages: Any = "hi", **fields: Any) -> int:
    found = bound_chat(request(model, messages, **fields), provider=provider)
    assert found.bound_class is BoundClass.EMPIRICAL
    return found.tokens


@pytest.mark.parametrize(
    ("model", "provider", "family"),
    [
        ("openai/gpt-oss-120b", "groq", "gpt-oss"),
        ("openai.gpt-oss-20b", "groq", "gpt-oss"),
        ("gpt-oss:20b", "cerebras", "gpt-oss"),
        ("llama-3.3-70b-versatile", "groq", "llama-3"),
        ("meta-llama/Llama-4-Scout-17B", "huggingface", "llama-4"),
        ("Qwen/Qwen3-4B", "huggingface", "qwen"),
        ("qwen/qwen3.5-35b-a3b", "openrouter", "qwen"),
        ("qwen3.8-max", "alibaba", "qwen-new"),
        ("qwen2.5-vl-72b", "together", "qwen-vision"),
        ("deepseek-ai/DeepSeek-V4-Pro", "together", "deepseek-together"),
        ("deepseek-ai/DeepSeek-V4-Pro", "baseten", "deepseek"),
        ("magistral-medium-latest", "mistral", "mistral"),
        ("mistral-tiny", "mistral", "mistral-small-vocabulary"),
        ("anthropic/claude-sonnet-4.6", "openrouter", "claude"),
        ("zai-glm-4.7", "cerebras", "glm"),
        ("kimi-k2-0905", "moonshotai", "kimi"),
        ("my-deployment", "azure", "openai-deployment"),
        ("my-deployment", "azure-deployments", "openai-deployment"),
        ("grok-4", "x-ai", None),
    ],
)
def test_a_name_says_the_family_it_is_of(model: str, provider: str, family: str | None) -> None:
    assert named_family(model, provider) is (families()[family] if family else None)


def test_every_family_can_be_reached_and_says_why() -> None:
    for name, family in families().items():
        assert re.compile(family.models)
        assert min(len(family.why), len(family.source), len(family.sample)) > 5, name
    assert plain_name("meta-llama/Llama-3.2") == "llama-3.2"
    assert plain_name("gpt-4.1") == "gpt-4.1"


@given(st.text(max_size=60))
def test_a_text_is_never_bounded_below_what_its_bytes_and_digits_need(text: str) -> None:
    tokens = text_tokens(text, MISTRAL)
    beyond = sum(len(letter.encode("utf-8", "surrogatepass")) for letter in text if ord(letter) > 127)
    assert tokens >= beyond + len(re.findall("[0-9]", text)) * 2 / 3


def test_a_text_is_counted_by_its_sort() -> None:
    words = "The quick brown fox jumps over the lazy dog. " * 10
    assert text_tokens(words, MISTRAL) == -(-count(words, "o200k_base") * 120 // 100)
    assert text_tokens("123456", MISTRAL) == 7  # two and a fifth, and four more
    assert text_tokens("数字", MISTRAL) >= 6
    assert text_tokens("数字 123456", families()["gpt-oss"]) == count("数字 123456", "o200k_base")


def test_what_a_template_writes_is_added() -> None:
    assert at("groq", "llama-3.3-70b-versatile") == 40 + 6 + 2
    tool = {"type": "function", "function": {"name": "f"}}
    with_tool = at("groq", "llama-3.3-70b-versatile", tools=[tool])
    assert with_tool > at("groq", "llama-3.3-70b-versatile") + 192 + 16
    assert at("groq", "llama-3.3-70b-versatile", response_format={"type": "json_object"}) > 48 + 128
    assert at("groq", "llama-3.3-70b-versatile", response_format={"type": "text"}) == 48


def test_all_that_is_written_in_a_message_is_counted() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"at": "it"}'}}
    answer = {"role": "assistant", "content": None, "tool_calls": [call], "reasoning_content": "so be it"}
    plain = {"role": "assistant", "content": None}
    assert at("mistral", "mistral-small", [answer]) > at("mistral", "mistral-small", [plain]) + 80
    old = {"role": "assistant", "content": None, "function_call": {"name": "look", "arguments": "{}"}}
    assert at("mistral", "mistral-small", [old]) > at("mistral", "mistral-small", [plain]) + 80
    odd = {"role": "assistant", "content": None, "tool_calls": ["x"], "metadata": {"a": 1}}
    assert at("mistral", "mistral-small", [odd]) > at("mistral", "mistral-small", [plain]) + 80
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "so be it, as it was"}]}
    thought = {"role": "assistant", "content": [thinking]}
    assert at("mistral", "mistral-small", [thought]) > at("mistral", "mistral-small", [plain])
    result = {"role": "tool", "content": 'a "b" \n' * 20, "tool_call_id": "c1"}
    shown = at("mistral", "mistral-small", [result])
    assert shown > at("mistral", "mistral-small", [{**result, "role": "user"}])


def test_openais_models_are_counted_as_such_wherever_their_vendor_is_named() -> None:
    own, elsewhere = bound("gpt-4o-mini"), bound_chat(request("openai/gpt-4o-mini"), provider="openrouter")
    assert own.tokens < elsewhere.tokens <= own.tokens + 20
    assert elsewhere.bound_class is BoundClass.EMPIRICAL
    unknown = bound_chat(request("openai/sim-mini"), provider="openrouter")
    assert unknown.bound_class is BoundClass.HARD


def test_a_long_message_is_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[str] = []
    inner = chat_named.text_tokens

    def watched(text: str, family: Any) -> int:
        counted.append(text)
        return inner(text, family)

    monkeypatch.setattr(chat_named, "text_tokens", watched)
    text = "remembered by its family's measure " * 40
    first = at("mistral", "mistral-small", text)
    assert at("mistral", "mistral-small", text) == first
    assert counted == [text]
