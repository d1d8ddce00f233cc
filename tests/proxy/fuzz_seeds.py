"""A request of each dialect with a bit of everything in it, for mutation."""

from __future__ import annotations

from typing import Any

MODEL = "sim-mini"
TOOL = {
    "name": "f",
    "description": "d",
    "parameters": {"type": "object", "properties": {"a": {"type": "string"}}},
}
PICTURE = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
CHAT: dict[str, Any] = {
    "model": MODEL,
    "messages": [
        {"role": "system", "content": "Be kind"},
        {
            "role": "user",
            "content": [{"type": "text", "text": "hé"}, {"type": "image_url", "image_url": {"url": PICTURE}}],
        },
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "c", "content": "1"},
    ],
    "tools": [{"type": "function", "function": TOOL}],
    "response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object"}}},
    "max_tokens": 50,
    "n": 1,
    "stream": False,
    "stream_options": {"include_usage": True},
}
MESSAGES: dict[str, Any] = {
    "model": MODEL,
    "max_tokens": 60,
    "system": [{"type": "text", "text": "Be kind", "cache_control": {"type": "ephemeral"}}],
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "hé"}]},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "1"}]},
    ],
    "tools": [
        {"name": "f", "input_schema": {"type": "object"}},
        {"type": "web_search_20250305", "name": "web_search", "max_uses": 2},
    ],
    "thinking": {"type": "enabled", "budget_tokens": 20},
    "stream": False,
}
RESPONSES: dict[str, Any] = {
    "model": MODEL,
    "instructions": "Be kind",
    "input": [
        {"role": "user", "content": [{"type": "input_text", "text": "hé"}]},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "1"},
    ],
    "tools": [{"type": "function", **TOOL}],
    "text": {"format": {"type": "json_schema", "name": "s", "schema": {"type": "object"}}},
    "reasoning": {"effort": "low"},
    "max_output_tokens": 50,
    "stream": False,
}
GEMINI: dict[str, Any] = {
    "contents": [
        {
            "role": "user",
            "parts": [{"text": "hé"}, {"inlineData": {"mimeType": "image/png", "data": PICTURE[22:]}}],
        }
    ],
    "systemInstruction": {"parts": [{"text": "Be kind"}]},
    "tools": [{"functionDeclarations": [TOOL]}],
    "generationConfig": {"maxOutputTokens": 50, "candidateCount": 1, "thinkingConfig": {"thinkingBudget": 5}},
}
SEEDS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("/embeddings", {"model": MODEL, "input": ["hé", "b"], "encoding_format": "float"}),
    ("batchEmbed", {"requests": [{"model": f"models/{MODEL}", "content": {"parts": [{"text": "b"}]}}]}),
    ("embedContent", {"content": {"parts": [{"text": "hé"}]}, "taskType": "RETRIEVAL_QUERY"}),
    ("/chat/", CHAT),
    ("/completions", {"model": MODEL, "prompt": ["hé", "b"], "max_tokens": 9, "n": 2, "best_of": 2}),
    ("/moderations", {"model": MODEL, "input": "hé"}),
    ("/messages", MESSAGES),
    ("/responses", RESPONSES),
    ("/gemini/", GEMINI),
)
