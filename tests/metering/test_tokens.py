from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import tiktoken
from hypothesis import example, given, settings
from hypothesis import strategies as st

from metering import tokens
from metering.errors import TokenizerError
from metering.tokens import (
    Encoding,
    byte_bound,
    count,
    count_exact,
    encoding_for,
    estimate_output,
    load_encodings,
)
from metering.vocabularies import place_vocabularies

ENCODINGS: tuple[Encoding, ...] = ("cl100k_base", "o200k_base")


@pytest.fixture(scope="module")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tiktoken.Encoding]]:
    """tiktoken's own encodings, from the packaged vocabularies."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIKTOKEN_CACHE_DIR", str(place_vocabularies(str(tmp_path_factory.mktemp("home")))))
        yield {name: tiktoken.get_encoding(name) for name in ENCODINGS}


@pytest.fixture
def fresh() -> Iterator[None]:
    """Tokenizers that load anew, before and after the test."""
    tokens._counter.cache_clear()
    yield
    tokens._counter.cache_clear()


texts = st.one_of(
    st.text(max_size=300),
    st.text(st.characters(codec="utf-8"), max_size=100),
    st.text(
        st.sampled_from(" \t\n\r.,'s0123456789aZéß漢字あ한\u0627🚕👩‍🚀<|endoftext|>{}[]\":\\"), max_size=300
    ),
    st.lists(
        st.sampled_from(["hello", " world", "'ll", "12345", "\n\n", "   ", "def f():", "Ünïcödé", "日本"])
    ).map("".join),
)


@settings(max_examples=400, deadline=None)
@given(text=texts)
@example(text="<|endoftext|><|im_start|>user<|endofprompt|>")
@example(text="")
@example(text=" " * 5000)
def test_counts_are_those_of_tiktoken(oracle: dict[str, tiktoken.Encoding], text: str) -> None:
    for name in ENCODINGS:
        expected = len(oracle[name].encode(text, disallowed_special=()))
        assert count(text, name) == expected <= byte_bound(text)


def test_a_text_too_long_is_bounded_by_its_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "TEXT_CHARS_MAX", 10)
    assert count_exact("é" * 11, "o200k_base") is None
    assert count("é" * 11, "o200k_base") == 22


def test_a_text_that_no_tokenizer_takes_is_bounded_by_its_bytes() -> None:
    assert count_exact("a\ud800", "o200k_base") is None
    assert count("a\ud800", "o200k_base") == 4


@pytest.mark.parametrize(
    ("model", "encoding"),
    [
        ("gpt-4o-mini", "o200k_base"),
        ("chatgpt-4o-latest", "o200k_base"),
        ("gpt-4.1-nano", "o200k_base"),
        ("gpt-4.5-preview", "o200k_base"),
        ("gpt-4-turbo", "cl100k_base"),
        ("gpt-4", "cl100k_base"),
        ("gpt-3.5-turbo-0125", "cl100k_base"),
        ("ft:gpt-3.5-turbo:acme::x", "cl100k_base"),
        ("ft:gpt-4o-mini:acme::x", "o200k_base"),
        ("gpt-35-turbo", "cl100k_base"),
        ("text-embedding-3-small", "cl100k_base"),
        ("o4-mini", "o200k_base"),
        ("nobody-knows", "o200k_base"),
    ],
)
def test_a_model_is_counted_in_its_encoding(model: str, encoding: str) -> None:
    assert encoding_for(model) == encoding


def test_an_estimate_of_output_has_a_margin() -> None:
    shown = count("Hello there", "o200k_base")
    assert estimate_output("Hello there", "o200k_base") == shown + 9
    assert estimate_output("Hello there", "o200k_base", tool_calls=2) == shown + 77


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize(
    "broken",
    [
        None,  # not installed
        SimpleNamespace(),  # another version, without the private call
        SimpleNamespace(_encoding=lambda _name: SimpleNamespace(count=lambda _text: 1)),  # counts wrongly
        SimpleNamespace(_encoding={}.__getitem__),  # does not know the encoding
    ],
)
def test_tiktoken_stands_in_where_the_quick_tokenizer_fails(
    broken: object, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FAREBOX_HOME", str(tmp_path))
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", "")
    monkeypatch.setitem(sys.modules, "toktok", broken)
    load_encodings()
    assert count("Hello <|endoftext|>", "o200k_base") == 8
    assert (tmp_path / "tiktoken").is_dir()
    # Its regex gives up on very long runs of spaces.
    assert count_exact(" " * 1_000_000, "o200k_base") is None
    assert count(" " * 1_000_000, "o200k_base") == 1_000_000


@pytest.mark.usefixtures("fresh")
def test_without_a_tokenizer_that_counts_as_published_nothing_is_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "toktok", None)
    monkeypatch.setitem(sys.modules, "tiktoken", None)
    with pytest.raises(TokenizerError, match="cl100k_base"):
        load_encodings()
