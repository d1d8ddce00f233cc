"""The wires that recorded calls came over: their files, how a gateway and a provider name them, and what it changes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Wire:
    """One endpoint of one dialect."""

    name: str
    dialect: str
    file_ends: tuple[str, ...]  # of a recording's file, without its extension
    tail: str  # of the address, here and at the provider
    route: str  # on the gateway; a model in the address stands for {model}
    id_header: str = "x-request-id"

    @property
    def names_model_in_path(self) -> bool:
        """Whether the model stands in the address and not in the body."""
        return "{model}" in self.route


_GEMINI: Final = "/gemini/v1beta/models/{model}"
WIRES: Final = (
    Wire("chat", "openai", ("chat_completions",), "/chat/completions", "/v1/chat/completions"),
    Wire("messages", "anthropic", ("v1_messages",), "/messages", "/anthropic/v1/messages", "request-id"),
    Wire(
        *("responses", "openai", ("v1_responses", "__responses", "openai_responses")),
        *("/responses", "/v1/responses"),
    ),
    Wire("compact", "openai", ("v1_responses_compact",), "/responses/compact", "/v1/responses/compact"),
    Wire("embeddings", "openai", ("v1_embeddings", "deployment_embeddings"), "/embeddings", "/v1/embeddings"),
    Wire(
        "completions",
        "openai",
        ("v1_completions", "deployment_completions"),
        "/completions",
        "/v1/completions",
    ),
    Wire("generate", "gemini", ("_generateContent",), ":generateContent", f"{_GEMINI}:generateContent"),
    Wire(
        *("generate_stream", "gemini", ("_streamGenerateContent",)),
        *(":streamGenerateContent", f"{_GEMINI}:streamGenerateContent"),
    ),
    Wire("embed", "gemini", ("_embedContent",), ":embedContent", f"{_GEMINI}:embedContent"),
    Wire(
        *("embed_batch", "gemini", ("_batchEmbedContents",)),
        *(":batchEmbedContents", f"{_GEMINI}:batchEmbedContents"),
    ),
)
BY_NAME: Final = {wire.name: wire for wire in WIRES}

# What a gateway sets or changes on the way: caps of every kind, and whether a stream tells its usage.
_CHANGED: Final = frozenset(
    (
        *("max_tokens", "max_completion_tokens", "max_output_tokens", "max_tool_calls"),
        *("thinking_budget", "stream_options"),
    )
)
_CONFIGS: Final = ("generationConfig", "generation_config", "reasoning")
_CONFIG_CHANGED: Final = frozenset({"maxOutputTokens", "max_output_tokens", "max_tokens"})
_MODEL_IN_PATH = re.compile(r"/models/(.+):\w+$")


def wire_of_file(stem: str) -> Wire | None:
    """The wire whose calls a file holds, None for one that is not replayed."""
    return next((wire for wire in WIRES if stem.endswith(wire.file_ends)), None)


def wire_of_path(path: str) -> Wire | None:
    """The wire that an address at the provider belongs to."""
    return next((wire for wire in WIRES if path.endswith(wire.tail)), None)


def model_of_path(path: str) -> str:
    """The model that an address names; empty where the body does."""
    found = _MODEL_IN_PATH.search(path)
    return found[1] if found else ""


def left_alone(body: dict[str, Any]) -> dict[str, Any]:
    """What of a request a gateway passes on as it came."""
    kept = {name: value for name, value in body.items() if name not in _CHANGED}
    for name in _CONFIGS:
        if isinstance(kept.get(name), dict):
            config = {one: value for one, value in kept[name].items() if one not in _CONFIG_CHANGED}
            kept[name] = config
            if not config:
                del kept[name]
    return kept
