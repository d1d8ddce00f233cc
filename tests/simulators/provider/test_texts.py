"""Embeddings, the older completions, moderations and the lists of models, counted by the published rule."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import httpx
import pytest

from tests.simulators.provider.conftest import Simulator


def post(sim: Simulator, path: str, model: str = "sim-mini", **fields: Any) -> httpx.Response:
    return sim.http.post(f"/v1/{path}", json={"model": model, **fields})


def events(answer: httpx.Response) -> list[dict[str, Any]]:
    lines = [line[6:] for line in answer.text.splitlines() if line.startswith("data: ")]
    assert lines[-1] == "[DONE]"
    return [json.loads(line) for line in lines[:-1]]


@pytest.mark.parametrize(
    ("given", "tokens", "vectors"),
    [("hello big world", 3, 1), (["a b", "c"], 3, 2), ([5, 6, 7], 3, 1), ([[5], [6, 7]], 3, 2)],
)
def test_embeddings_bill_words_and_token_ids(sim: Simulator, given: Any, tokens: int, vectors: int) -> None:
    body = post(sim, "embeddings", input=given).json()
    assert body["usage"] == {"prompt_tokens": tokens, "total_tokens": tokens}
    assert [len(one["embedding"]) for one in body["data"]] == [8] * vectors
    record = sim.only_record()
    assert (record["prompt_tokens"], record["completion_tokens"], record["billed_nanousd"]) == (
        tokens,
        0,
        tokens * 1000,
    )


def test_vectors_come_in_base64_when_asked(sim: Simulator) -> None:
    plain = post(sim, "embeddings", input="a", dimensions=4).json()["data"][0]["embedding"]
    packed = post(sim, "embeddings", input="a", dimensions=4, encoding_format="base64").json()
    assert list(struct.unpack("<4f", base64.b64decode(packed["data"][0]["embedding"]))) == plain


@pytest.mark.parametrize(
    ("model", "usage"),
    [
        ("sim-nousage", None),
        ("sim-zerousage", {"prompt_tokens": 0, "total_tokens": 0}),
        ("sim-usage-total-only", {"total_tokens": 5}),
        ("sim-usage-total-more", {"prompt_tokens": 5, "total_tokens": 8}),
        ("sim-usage-total-less", {"prompt_tokens": 5, "total_tokens": 2}),
    ],
)
def test_what_is_told_does_not_change_what_is_billed(sim: Simulator, model: str, usage: Any) -> None:
    assert post(sim, "embeddings", model, input="a b c d e").json().get("usage") == usage
    assert sim.only_record()["billed_nanousd"] == 5000


def test_a_completion_stops_at_sixteen_unless_told(sim: Simulator) -> None:
    body = post(sim, "completions", "sim-words-100", prompt="a b").json()
    assert body["object"] == "text_completion"
    assert (len(body["choices"][0]["text"].split()), body["choices"][0]["finish_reason"]) == (16, "length")
    assert body["usage"] == {"prompt_tokens": 2, "completion_tokens": 16, "total_tokens": 18}


def test_answers_that_are_thrown_away_are_billed(sim: Simulator) -> None:
    body = post(sim, "completions", "sim-exact", prompt=["a", "b"], n=2, best_of=5, max_tokens=3).json()
    assert (len(body["choices"]), body["usage"]["completion_tokens"]) == (4, 30)
    assert sim.only_record()["completion_tokens"] == 30


def test_a_prompt_is_echoed_and_a_suffix_counted(sim: Simulator) -> None:
    body = post(sim, "completions", prompt="one two", suffix="x y z", echo=True, max_tokens=0).json()
    assert body["choices"][0]["text"] == "one two"
    assert body["usage"] == {"prompt_tokens": 5, "completion_tokens": 0, "total_tokens": 5}


@pytest.mark.parametrize("model", ["sim-words-5", "sim-words-5-crlf"])
def test_a_completion_streams(sim: Simulator, model: str) -> None:
    options = {"stream": True, "stream_options": {"include_usage": True}}
    chunks = events(post(sim, "completions", model, prompt=["a", "b"], **options))
    texts = [chunk["choices"][0] for chunk in chunks if chunk["choices"]]
    for index in (0, 1):
        assert "".join(each["text"] for each in texts if each["index"] == index).split() == [
            f"tok{number}" for number in range(1, 6)
        ]
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"] == {"prompt_tokens": 2, "completion_tokens": 10, "total_tokens": 12}
    assert sim.only_record()["completion_tokens"] == 10


@pytest.mark.parametrize(
    ("model", "told"),
    [
        ("sim-nousage", 0),
        ("sim-usage-choice", 1),
        ("sim-usage-not-last", 1),
    ],
)
def test_a_streams_usage_has_its_quirks(sim: Simulator, model: str, told: int) -> None:
    options = {"stream": True, "stream_options": {"include_usage": True}}
    chunks = events(post(sim, "completions", model, prompt="a", **options))
    assert sum(bool(chunk.get("usage")) for chunk in chunks) == told
    every = events(post(sim, "completions", "sim-usage-every", prompt="a", stream=True))
    assert all(chunk["usage"] for chunk in every)


def test_moderations_are_free(sim: Simulator) -> None:
    named = sim.http.post("/v1/moderations", json={"input": ["a", "b"], "model": "omni-moderation-latest"})
    assert len(named.json()["results"]) == 2
    unnamed = sim.http.post("/v1/moderations", json={"input": [{"type": "text", "text": "a"}]}).json()
    assert (unnamed["model"], len(unnamed["results"])) == ("omni-moderation-latest", 1)
    assert sim.http.get("/_sim/bill").json()["billed_nanousd"] == 0
    assert post(sim, "moderations", "sim-error-503", input="a").status_code == 503


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("embeddings", {"input": []}),
        ("embeddings", {"input": [{}]}),
        ("embeddings", {"input": "a", "dimensions": 0}),
        ("embeddings", {"input": "a", "model": "gpt-4o"}),
        ("completions", {"prompt": {}}),
        ("completions", {"prompt": "a", "n": 0.5}),
        ("completions", {"prompt": "a", "max_tokens": -1}),
        ("completions", {"prompt": "a", "best_of": 2, "stream": True}),
        ("moderations", {}),
        ("moderations", {"input": "a", "model": "gpt-4o"}),
    ],
)
def test_what_is_no_request_is_refused_and_free(sim: Simulator, path: str, fields: Any) -> None:
    assert post(sim, path, **fields).status_code in (400, 404)
    assert sim.only_record()["billed_nanousd"] == 0


@pytest.mark.parametrize(("path", "field"), [("embeddings", "input"), ("completions", "prompt")])
def test_faults_are_as_in_chat(sim: Simulator, path: str, field: str) -> None:
    assert post(sim, path, "sim-error-429", **{field: "a"}).status_code == 429
    with pytest.raises(httpx.RemoteProtocolError):
        post(sim, path, "sim-cut-5", **{field: "a b c"})
    with pytest.raises(httpx.ReadError):
        post(sim, path, "sim-reset", **{field: "a"})


def test_models_are_listed_as_anthropic_does_for_its_clients(sim: Simulator) -> None:
    listed = sim.http.get("/v1/models", headers={"anthropic-version": "2023-06-01"}).json()
    assert listed["data"][0]["type"] == "model"
    assert (listed["first_id"], listed["has_more"]) == (listed["data"][0]["id"], False)
    assert sim.http.get("/v1/models/sim-words-77").json()["id"] == "sim-words-77"
