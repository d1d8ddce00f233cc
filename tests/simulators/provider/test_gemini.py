"""Gemini as the simulator serves it: whole answers, events, arrays, embeddings, counts, quirks and the bill."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.simulators.provider.conftest import Simulator, run_simulator

CONTENTS = [{"role": "user", "parts": [{"text": "hello big world"}]}]  # 2 + 4 + 3 tokens
PROMPT_TOKENS = 9
FUNCTION = {
    "name": "get_weather",
    "parameters": {"type": "OBJECT", "properties": {"city": {"type": "STRING"}, "days": {"type": "INTEGER"}}},
}


def ask(
    sim: Simulator, model: str, *, method: str = "generateContent", query: str = "", **body: Any
) -> httpx.Response:
    wanted = {"contents": CONTENTS, **body}
    return sim.http.post(f"/v1beta/models/{model}:{method}{query}", json=wanted)


def stream(sim: Simulator, model: str, *, query: str = "?alt=sse", **body: Any) -> list[dict[str, Any]]:
    answer = ask(sim, model, method="streamGenerateContent", query=query, **body)
    assert answer.status_code == 200, answer.text
    if not query:
        return list(answer.json())
    assert answer.headers["content-type"] == "text/event-stream"
    assert b"\n\n" not in answer.content.replace(b"\r\n", b"")
    return [json.loads(line[6:]) for line in answer.text.splitlines() if line]


def text_of(chunks: list[dict[str, Any]]) -> str:
    parts = [
        part for chunk in chunks for one in chunk.get("candidates", ()) for part in one["content"]["parts"]
    ]
    return "".join(part.get("text", "") for part in parts if not part.get("thought"))


@pytest.mark.parametrize("version", ["v1beta", "v1"])
def test_an_answer_has_candidates_and_usage(sim: Simulator, version: str) -> None:
    path = f"/{version}/models/sim-words-3:generateContent"
    answer = sim.http.post(path, json={"contents": CONTENTS})
    record = sim.only_record()
    assert answer.json() == {
        "candidates": [
            {
                "content": {"parts": [{"text": "tok1 tok2 tok3 "}], "role": "model"},
                "finishReason": "STOP",
                "index": 0,
            }
        ],
        "usageMetadata": {
            "promptTokenCount": PROMPT_TOKENS,
            "candidatesTokenCount": 3,
            "totalTokenCount": PROMPT_TOKENS + 3,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": PROMPT_TOKENS}],
            "serviceTier": "standard",
        },
        "modelVersion": "sim-words-3",
        "responseId": record["request_id"].removeprefix("req_"),
    }
    assert (record["dialect"], record["path"]) == ("gemini", path)
    assert record["reported_usage"] == answer.json()["usageMetadata"]
    assert record["billed_nanousd"] == PROMPT_TOKENS * 1000 + 3 * 2000


@pytest.mark.parametrize("query", ["?alt=sse", ""])
def test_a_stream_tells_cumulative_usage_in_every_chunk(sim: Simulator, query: str) -> None:
    chunks = stream(sim, "sim-words-3", query=query)
    assert text_of(chunks) == "tok1 tok2 tok3 "
    told = [chunk["usageMetadata"]["candidatesTokenCount"] for chunk in chunks]
    assert told == [1, 2, 3, 3]
    assert [bool(one["candidates"][0].get("finishReason")) for one in chunks] == [False, False, False, True]
    record = sim.only_record()
    assert record["billed_nanousd"] == PROMPT_TOKENS * 1000 + 3 * 2000
    assert record["reported_usage"] == chunks[-1]["usageMetadata"]


@pytest.mark.parametrize("spelling", ["maxOutputTokens", "max_output_tokens"])
def test_the_cap_holds_thoughts_too_and_in_both_spellings(sim: Simulator, spelling: str) -> None:
    config = {spelling: 12, "candidateCount": 2}
    answer = ask(sim, "sim-exact-reasoning-10", generationConfig=config).json()
    usage = answer["usageMetadata"]
    assert (usage["thoughtsTokenCount"], usage["candidatesTokenCount"]) == (20, 4)
    assert [one["finishReason"] for one in answer["candidates"]] == ["MAX_TOKENS", "MAX_TOKENS"]
    assert answer["candidates"][0]["content"]["parts"][0]["thought"] is True


@pytest.mark.parametrize("streamed", [False, True])
def test_a_tool_is_called_whole(sim: Simulator, streamed: bool) -> None:
    tools = [{"functionDeclarations": [FUNCTION]}]
    chunks = (
        stream(sim, "sim-tools", tools=tools) if streamed else [ask(sim, "sim-tools", tools=tools).json()]
    )
    part = chunks[-1]["candidates"][0]["content"]["parts"][0]
    assert part["functionCall"] == {"name": "get_weather", "args": {"city": "tok1 tok2", "days": 1}}
    prompt = len(json.dumps(tools, separators=(",", ":"))) + PROMPT_TOKENS
    assert chunks[-1]["usageMetadata"]["promptTokenCount"] == prompt
    assert sim.only_record()["completion_tokens"] == chunks[-1]["usageMetadata"]["candidatesTokenCount"]


def test_a_schema_is_filled(sim: Simulator) -> None:
    config = {"responseSchema": FUNCTION["parameters"]}
    answer = ask(sim, "sim-json", generationConfig=config).json()
    written = json.loads(answer["candidates"][0]["content"]["parts"][0]["text"])
    assert written == {"city": "tok1 tok2", "days": 1}


@pytest.mark.parametrize(
    ("model", "usage"),
    [
        ("sim-words-3-noprompt", {"candidatesTokenCount": 3, "totalTokenCount": 12}),
        ("sim-words-3-nocandidates", {"promptTokenCount": 9, "totalTokenCount": 9}),
        ("sim-words-3-mismatch", {"promptTokenCount": 9, "candidatesTokenCount": 3, "totalTokenCount": 19}),
        (
            "sim-words-3-cached-4",
            {"promptTokenCount": 9, "cachedContentTokenCount": 4, "totalTokenCount": 12},
        ),
        ("sim-blocked", {"promptTokenCount": 9, "candidatesTokenCount": 0, "totalTokenCount": 9}),
    ],
)
def test_quirks_of_a_report(sim: Simulator, model: str, usage: dict[str, int]) -> None:
    for told in (ask(sim, model).json(), stream(sim, model)[-1]):
        assert told["usageMetadata"].items() >= usage.items()
        named = {"promptTokenCount", "candidatesTokenCount"} & told["usageMetadata"].keys()
        assert named >= usage.keys() & {"promptTokenCount", "candidatesTokenCount"}
        assert ("promptTokenCount" in named) is ("noprompt" not in model)
        assert ("candidatesTokenCount" in named) is ("nocandidates" not in model)
        assert ("promptFeedback" in told) is (model == "sim-blocked")


def test_usage_in_the_last_chunk_alone_and_what_was_searched(sim: Simulator) -> None:
    chunks = stream(sim, "sim-words-3-lastusage")
    assert ["usageMetadata" in chunk for chunk in chunks] == [False, False, False, True]
    grounded = ask(sim, "sim-grounded").json()["candidates"][0]["groundingMetadata"]
    assert len(grounded["webSearchQueries"]) == 3


@pytest.mark.parametrize("query", ["?alt=sse", ""])
def test_an_error_within_a_stream_is_its_last_chunk(sim: Simulator, query: str) -> None:
    chunks = stream(sim, "sim-midstream-error", query=query)
    assert chunks[-1]["error"]["status"] == "UNAVAILABLE"
    assert chunks[-2]["candidates"]


def test_a_cut_stream_is_billed_for_what_was_generated(sim: Simulator) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        stream(sim, "sim-cut-2")
    record = sim.only_record()
    assert (record["end"], record["completion_tokens"]) == ("cut", 2)


@pytest.mark.parametrize("method", ["embedContent", "batchEmbedContents"])
def test_what_is_embedded_counts_its_words(sim: Simulator, method: str) -> None:
    one = {"model": "models/sim-mini", "content": CONTENTS[0], "title": "two words"}
    body = one if method == "embedContent" else {"requests": [one, one]}
    answer = sim.http.post(f"/v1beta/models/sim-mini:{method}", json=body).json()
    tokens = 5 if method == "embedContent" else 10
    assert answer["usageMetadata"]["promptTokenCount"] == tokens
    assert answer["usageMetadata"]["promptTokenDetails"]
    assert len(answer["embedding"]["values"] if tokens == 5 else answer["embeddings"]) == (
        8 if tokens == 5 else 2
    )
    record = sim.only_record()
    assert (record["prompt_tokens"], record["completion_tokens"]) == (tokens, 0)
    assert record["billed_nanousd"] == tokens * 1000
    quiet = sim.http.post(f"/v1beta/models/sim-nousage:{method}", json=body).json()
    assert "usageMetadata" not in quiet


@pytest.mark.parametrize("nested", [False, True])
def test_counting_is_never_billed(sim: Simulator, nested: bool) -> None:
    body: dict[str, Any] = {"contents": CONTENTS}
    if nested:
        body = {"generateContentRequest": {"model": "models/sim-mini", **body}}
    answer = sim.http.post("/v1beta/models/sim-mini:countTokens", json=body)
    assert answer.json()["totalTokens"] == PROMPT_TOKENS
    assert sim.only_record()["billed_nanousd"] == 0


def test_errors_come_as_the_form_of_the_answer_would(sim: Simulator) -> None:
    whole = ask(sim, "sim-error-429")
    assert (whole.status_code, whole.json()["error"]["status"]) == (429, "RESOURCE_EXHAUSTED")
    events = ask(sim, "sim-error-400", method="streamGenerateContent", query="?alt=sse")
    assert events.headers["content-type"] == "text/event-stream"
    assert events.json()["error"]["code"] == 400
    array = ask(sim, "sim-error-400", method="streamGenerateContent")
    assert array.json()[0]["error"]["code"] == 400
    assert ask(sim, "sim-error-502").status_code == 502
    assert ask(sim, "no-such").json()["error"]["status"] == "NOT_FOUND"
    assert ask(sim, "sim-mini", contents=[]).status_code == 400
    assert ask(sim, "sim-exact").status_code == 400
    assert ask(sim, "sim-mini", generationConfig={"maxOutputTokens": 0}).status_code == 400
    assert ask(sim, "sim-mini", generationConfig={"candidateCount": "x"}).status_code == 400
    assert ask(sim, "sim-mini", method="embedContent").status_code == 400
    assert ask(sim, "no-such", method="countTokens").status_code == 404
    for method in ("generateContent", "embedContent", "countTokens"):
        assert sim.http.post(f"/v1beta/models/sim-mini:{method}", content=b"[").status_code == 400
    assert sim.http.get("/v1beta/models/sim-mini:generateContent").status_code == 404
    assert sim.bill()["billed_nanousd"] == 0


def test_the_key_is_taken_from_header_or_query(sim: Simulator) -> None:
    with run_simulator("--api-key", "sk-sim") as closed:

        def tried(query: str = "", **headers: str) -> httpx.Response:
            path = f"/v1beta/models/sim-mini:generateContent{query}"
            return closed.http.post(path, json={"contents": CONTENTS}, headers=headers)

        assert tried().status_code == 403
        wrong = tried(**{"x-goog-api-key": "wrong"})
        assert (wrong.status_code, wrong.json()["error"]["details"][0]["reason"]) == (400, "API_KEY_INVALID")
        assert tried(**{"x-goog-api-key": "sk-sim"}).status_code == 200
        assert tried("?key=sk-sim").status_code == 200
        listed = closed.http.get("/v1beta/models", headers={"x-goog-api-key": "sk-sim"}).json()["models"]
        assert {"models/sim-mini"} <= {one["name"] for one in listed}
