"""The stand-in provider that answers with recordings."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from simulators.replay.app import Replay
from simulators.replay.rows import answer_of, read_rows, request_of

USAGE = {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}
ROW: dict[str, Any] = {
    "id": "rec_1",
    "provider": "openai",
    "model": "gpt-4o",
    "status": 200,
    "method": "POST",
    "usage": {"input_tokens": 3, "output_tokens": 1},
    "usage_raw": USAGE,
    "request_body": {"model": "gpt-4o", "messages": [{"role": "user", "content": "hé"}], "stream": True},
    "response_headers": {"content-type": "text/event-stream; charset=utf-8"},
    "response_encoding": "sse",
    "response_body": 'data: {"choices":[]}\n\n' * 1000,
}


def write(folder: Path, name: str, *rows: dict[str, Any]) -> None:
    with gzip.open(folder / f"{name}.jsonl.gz", "wt") as lines:
        lines.writelines(json.dumps(row) + "\n" for row in rows)


@pytest.fixture
def provider(tmp_path: Path) -> httpx.AsyncClient:
    write(
        tmp_path,
        "openai__v1_chat_completions",
        ROW,
        {**ROW, "id": "rec_2", "usage": None},
        {**ROW, "id": "rec_3", "status": 400},
        {
            **ROW,
            "id": "rec_4",
            "response_body": {"a": "é"},
            "response_headers": {},
            "response_encoding": "json",
        },
    )
    message = {**ROW, "id": "rec_5", "provider": "anthropic"}
    write(tmp_path, "anthropic__v1_messages", message)
    write(tmp_path, "openai__v1_embeddings", {**ROW, "id": "rec_6"})
    write(tmp_path, "openai__v1_images_generations", {**ROW, "id": "rec_7"})
    said = {"contents": [], "generationConfig": {"maxOutputTokens": 5}}
    gemini = {**ROW, "provider": "gemini", "model": "gemini-3-pro", "request_body": said}
    write(tmp_path, "gemini__v1beta_models_model_generateContent", {**gemini, "id": "rec_8"})
    return httpx.AsyncClient(transport=httpx.ASGITransport(Replay(tmp_path)), base_url="http://replay")


async def test_a_request_is_known_whatever_a_gateway_sets(provider: httpx.AsyncClient) -> None:
    sent = {**ROW["request_body"], "max_completion_tokens": 7, "stream_options": {"include_usage": True}}
    first = await provider.post("/openai/chat/completions", json=sent)
    assert first.text == ROW["response_body"]
    assert first.headers["x-request-id"] == "rec_1"
    assert first.headers["content-type"] == "text/event-stream; charset=utf-8"
    second = await provider.post("/openai/chat/completions", json=ROW["request_body"])
    assert (second.headers["x-request-id"], second.content) == ("rec_4", '{"a":"é"}'.encode())
    assert (await provider.post("/openai/chat/completions", json=sent)).status_code == 418  # each row once
    message = await provider.post("/anthropic/v1/messages", json=sent)
    assert message.headers["request-id"] == "rec_5"


async def test_each_wire_answers_for_itself(provider: httpx.AsyncClient) -> None:
    embedded = await provider.post("/openai/embeddings", json=ROW["request_body"])
    assert embedded.headers["x-request-id"] == "rec_6"
    address = "/gemini/v1beta/models/{}:generateContent"
    for model, status in (("gemini-3-flash", 418), ("gemini-3-pro", 200)):
        capped = {"contents": [], "generationConfig": {"maxOutputTokens": 9}}
        assert (await provider.post(address.format(model), json=capped)).status_code == status
    assert (await provider.post("/openai/images/generations", json=ROW["request_body"])).status_code == 418


async def test_a_request_nobody_recorded_is_refused(provider: httpx.AsyncClient) -> None:
    for changed in ({"model": "gpt-4"}, {"messages": []}, {"temperature": 1}):
        answer = await provider.post("/openai/chat/completions", json={**ROW["request_body"], **changed})
        assert answer.status_code == 418
    assert (await provider.get("/")).status_code == 200


def test_a_model_that_stands_in_the_address_alone_is_put_in(tmp_path: Path) -> None:
    body = {"messages": []}
    write(tmp_path, "azure__chat_completions", {**ROW, "request_body": body}, {**ROW, "request_body": None})
    [row] = read_rows(tmp_path)
    assert request_of(row) == {"messages": [], "model": "gpt-4o"}
    assert answer_of(row)[1] == ROW["response_body"].encode()


def test_it_refuses_to_start_in_production(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "simulators.replay", "--port", "1", "--data", str(tmp_path)]
    environment = {**os.environ, "FAREBOX_ENV": "production"}
    done = subprocess.run(command, env=environment, capture_output=True, check=False)
    assert done.returncode == 2
    assert b"refusing to start" in done.stderr
