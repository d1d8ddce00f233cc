"""The grammar of model names and the script header."""

from __future__ import annotations

import json

import pytest

from simulators.provider.script import Script, override, read_model


@pytest.mark.parametrize(
    ("name", "script"),
    [
        ("sim-mini", Script()),
        ("sim-echo", Script()),
        ("sim-exact", Script(length="cap")),
        ("sim-words-7", Script(length="words", words=7)),
        ("sim-exact-slow-200", Script(length="cap", latency_ms=200)),
        ("sim-words-60-drip-5", Script(length="words", words=60, drip_ms=5)),
        ("sim-usage-not-last-cut-3", Script(usage="not-last", cut_after=3)),
        ("sim-error-529", Script(error_status=529)),
        ("sim-midstream-error", Script(fault="midstream")),
        ("sim-tools-usage-every-crlf", Script(content="tools", usage="every", crlf=True)),
    ],
)
def test_a_name_spells_its_behaviours(name: str, script: Script) -> None:
    assert read_model(name) == script


@pytest.mark.parametrize(
    "name",
    [
        "sim",
        "sim-",
        "gpt-4o",
        "sim-nope",
        "sim-words",
        "sim-words-x",
        "sim-error-200",
        "sim-mini-",
        "sim-slow-99999999",
    ],
)
def test_what_the_grammar_does_not_allow_is_no_model(name: str) -> None:
    assert read_model(name) is None


def test_a_header_overrides_the_name() -> None:
    header = json.dumps({"latency_ms": 5, "cut_after": 2, "words": 9}).encode()
    assert override(Script(), header) == Script(latency_ms=5, cut_after=2, words=9, length="words")
    assert override(Script(), b'{"chunk_ms": 3}') == Script(drip_ms=3)


@pytest.mark.parametrize(
    "header", [b"", b"[]", b'{"nope": 1}', b'{"words": "9"}', b'{"usage": "odd"}', b'{"words": -1}']
)
def test_a_header_that_is_no_script_is_refused(header: bytes) -> None:
    assert override(Script(), header) is None
