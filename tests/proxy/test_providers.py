"""What differs on the wire from provider to provider, by the data that says so."""

from __future__ import annotations

import json

import pytest

from proxy.providers.base import Verdict, verdict_of
from proxy.providers.openai import OpenAIChat
from proxy.providers.openai_answers import ChatTap, read_answer
from proxy.providers.openai_wire import TRAITS

CHAT = OpenAIChat()
TIMINGS = {"cache_n": 3, "prompt_n": 40, "predicted_n": 25, "predicted_ms": 122.7}


def sent(provider: str, model: str, **fields: object) -> dict[str, object]:
    """What reaches a provider of a request with a cap of 100 tokens."""
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": "hi"}], **fields}).encode()
    prepared = CHAT.decode(body).prepare(model=model, cap_tokens=100, traits=CHAT.traits_of(provider))
    found: dict[str, object] = json.loads(prepared.body)
    return found


@pytest.mark.parametrize(
    ("provider", "path", "header"),
    [
        ("openai", "/chat/completions", ("authorization", "Bearer k")),
        ("nobody", "/chat/completions", ("authorization", "Bearer k")),
        ("azure", "/chat/completions", ("api-key", "k")),
        (
            "azure-deployments",
            "/deployments/my%2Fgpt%204/chat/completions?api-version=2024-10-21",
            ("api-key", "k"),
        ),
        ("azure-models", "/chat/completions?api-version=2024-05-01-preview", ("api-key", "k")),
    ],
)
def test_a_provider_has_its_own_path_and_its_own_way_of_taking_a_key(
    provider: str, path: str, header: tuple[str, str]
) -> None:
    traits = CHAT.traits_of(provider)
    assert CHAT.path_for("my/gpt 4", traits) == path
    headers = CHAT.upstream_headers(
        "k", [(b"x-ms-client-request-id", b"7"), (b"api-key", b"caller's")], traits
    )
    assert headers == [header, ("x-ms-client-request-id", "7")]
    assert CHAT.upstream_headers("", [], traits) == []


def test_every_provider_that_takes_one_spelling_of_a_cap_alone_is_sent_that_one() -> None:
    for provider, traits in TRAITS.items():
        fields = sent(provider, "some-model", max_completion_tokens=500)
        spelled = {name for name in ("max_tokens", "max_completion_tokens") if name in fields}
        assert len(spelled) == 1
        assert fields[spelled.pop()] == 100
        assert "max_tokens" in fields or traits.cap_field == "max_completion_tokens", provider
    assert "max_tokens" in sent("deepseek", "deepseek-v4-pro")


def test_usage_is_asked_for_only_where_the_field_is_known() -> None:
    assert sent("groq", "llama", stream=True)["stream_options"] == {"include_usage": True}
    assert "stream_options" not in sent("mistral", "mistral-small", stream=True)


def test_thinking_that_the_cap_leaves_out_is_bounded_by_a_field_of_its_own() -> None:
    assert sent("alibaba", "qwen3.8-max")["thinking_budget"] == 100
    assert sent("alibaba", "qwen3.8-max", thinking_budget=50)["thinking_budget"] == 50
    assert sent("alibaba", "qwen3.8-max", thinking_budget=0)["thinking_budget"] == 0
    assert "thinking_budget" not in sent("alibaba", "deepseek-v4-pro")
    assert "thinking_budget" not in sent("alibaba", "qwen3.8-max", enable_thinking=False)
    assert "thinking_budget" not in sent("groq", "qwen/qwen3-32b")
    asked = {"effort": "high", "exclude": True}
    assert sent("openrouter", "qwen/qwen3.5-35b", reasoning=asked)["reasoning"] == {
        "exclude": True,
        "max_tokens": 100,
    }
    assert sent("openrouter", "qwen/qwen3.5-35b", reasoning={"max_tokens": 7})["reasoning"] == {
        "max_tokens": 7
    }
    assert sent("openrouter", "qwen/qwen3.5-35b")["reasoning"] == {"max_tokens": 100}
    for off in ({"enabled": False}, {"effort": "none"}):
        assert sent("openrouter", "qwen/qwen3.5-35b", reasoning=off)["reasoning"] == off


def test_llama_cpps_counters_stand_in_for_usage_that_nobody_asked_for() -> None:
    traits = TRAITS["llamacpp"]
    chunk = b"data: " + json.dumps({"choices": [{"delta": {}}], "timings": TIMINGS}).encode() + b"\n\n"
    tap = ChatTap(strip_usage=False, traits=traits)
    assert tap.feed(chunk) == chunk
    usage = tap.report().usage
    assert usage is not None
    assert (usage.input_tokens, usage.cache_read_tokens, usage.output_tokens) == (40, 3, 25)
    whole = json.dumps({"choices": [], "timings": TIMINGS}).encode()
    assert read_answer(whole, traits).usage == usage
    # Elsewhere the field is not known to mean that.
    other = ChatTap(strip_usage=False)
    other.feed(chunk)
    assert other.report().usage is None
    assert read_answer(whole).usage is None


def test_usage_counts_before_llama_cpps_counters_and_impossible_ones_are_told() -> None:
    traits = TRAITS["llamacpp"]
    tap = ChatTap(strip_usage=False, traits=traits)
    tap.feed(
        b'data: {"usage":{"prompt_tokens":43,"completion_tokens":25},"timings":{"prompt_n":1,"predicted_n":1}}\n\n'
    )
    usage = tap.report().usage
    assert usage is not None
    assert usage.input_tokens == 43
    tap = ChatTap(strip_usage=False, traits=traits)
    tap.feed(b'data: {"timings":{"prompt_n":-1,"predicted_n":1}}\n\n')
    assert "prompt_n" in tap.report().impossible
    assert read_answer(b'{"usage": 7}').impossible


def test_what_only_the_total_counts_goes_where_the_provider_leaves_it_out() -> None:
    body = b'{"choices":[],"usage":{"prompt_tokens":16,"completion_tokens":2,"total_tokens":393}}'
    spoken = read_answer(body, TRAITS["mistral"]).usage
    thought = read_answer(body, TRAITS["google"]).usage
    assert spoken is not None
    assert thought is not None
    assert (spoken.audio_input_tokens, spoken.all_output_tokens) == (375, 2)
    assert (thought.all_input_tokens, thought.reasoning_tokens) == (16, 375)


def test_a_status_means_what_its_provider_means_by_it() -> None:
    assert verdict_of(498, TRAITS["groq"]) is Verdict.NOT_BILLED
    assert TRAITS["groq"].verdicts == {498: Verdict.NOT_BILLED}
