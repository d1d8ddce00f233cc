"""Small requests, one for each kind of part, and what the code itself says that each can be billed for."""

from __future__ import annotations

import base64
import io
import json
import struct
import wave
import zlib
from typing import Any, NamedTuple

from metering.allowances import NONE
from metering.errors import MeteringError, Uncountable
from metering.quote import InputBound
from proxy.routes import find_dialect

TEXT = "Say hello"
SCHEMA = {"type": "object", "properties": {"city": {"type": "string", "description": "Where"}}}
_CHAT, _RESPONSES, _MESSAGES = "/v1/chat/completions", "/v1/responses", "/v1/messages"
_GEMINI = "/gemini/v1beta/models/{model}:generateContent"


class Column(NamedTuple):
    """One route, asked for one model at one provider."""

    title: str
    route: str
    model: str
    provider: str


COLUMNS = (
    Column("chat, `gpt-4o` at `openai`", _CHAT, "gpt-4o", "openai"),
    Column("chat, `llama-3.3-70b-versatile` at `groq`", _CHAT, "llama-3.3-70b-versatile", "groq"),
    Column("chat, any model at `vllm`", _CHAT, "my-model", "vllm"),
    Column("responses, `gpt-5` at `openai`", _RESPONSES, "gpt-5", "openai"),
    Column("messages, `claude-sonnet-4-5` at `anthropic`", _MESSAGES, "claude-sonnet-4-5", "anthropic"),
    Column("`gemini-2.5-flash` at `google`", _GEMINI, "gemini-2.5-flash", "google"),
)


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _picture(side: int) -> str:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0))
    rows = zlib.compress((b"\0" + bytes(side // 8)) * side, 9)
    return _base64(b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", rows) + chunk(b"IEND", b""))


def _sound(seconds: int) -> str:
    out = io.BytesIO()
    with wave.open(out, "wb") as writing:
        writing.setnchannels(1)
        writing.setsampwidth(2)
        writing.setframerate(8000)
        writing.writeframes(bytes(2 * 8000 * seconds))
    return _base64(out.getvalue())


PICTURE, SOUND = _picture(1024), _sound(10)
PDF = _base64(
    b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"
    b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
)
_URL = "https://files.example/it"
_FUNCTION = {"name": "get_weather", "description": "Tell the weather", "parameters": SCHEMA}


def _chat(*parts: dict[str, Any], **fields: Any) -> dict[str, Any]:
    content = [{"type": "text", "text": TEXT}, *parts] if parts else TEXT
    return {"messages": [{"role": "user", "content": content}], "max_tokens": 100, **fields}


def _responses(*parts: dict[str, Any], **fields: Any) -> dict[str, Any]:
    content = [{"type": "input_text", "text": TEXT}, *parts] if parts else TEXT
    return {"input": [{"role": "user", "content": content}], "max_output_tokens": 100, **fields}


def _messages(*parts: dict[str, Any], **fields: Any) -> dict[str, Any]:
    content = [{"type": "text", "text": TEXT}, *parts] if parts else TEXT
    return {"messages": [{"role": "user", "content": content}], "max_tokens": 100, **fields}


def _gemini(*parts: dict[str, Any], **fields: Any) -> dict[str, Any]:
    config = {"maxOutputTokens": 100, **fields.pop("generationConfig", {})}
    contents = [{"role": "user", "parts": [{"text": TEXT}, *parts]}]
    return {"contents": contents, "generationConfig": config, **fields}


def _inline(kind: str, content: str) -> dict[str, Any]:
    return {"inlineData": {"mimeType": kind, "data": content}}


def _source(kind: str, media: str, content: str) -> dict[str, Any]:
    return {"type": kind, "source": {"type": "base64", "media_type": media, "data": content}}


def _served(tool: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"tools": [tool], **fields}


_NAMED = {"name": "answer", "schema": SCHEMA}
_SEARCH = {"type": "web_search_20250305", "name": "web_search"}
_CODE = {"type": "code_execution_20250825", "name": "code_execution"}
_MCP = {"type": "url", "url": "https://mcp.example", "name": "mcp"}

# Each part by the route that knows it.
PARTS: dict[str, dict[str, dict[str, Any]]] = {
    "text alone, two words": {
        _CHAT: _chat(),
        _RESPONSES: _responses(),
        _MESSAGES: _messages(),
        _GEMINI: _gemini(),
    },
    "a function with one property": {
        _CHAT: _chat(**_served({"type": "function", "function": _FUNCTION})),
        _RESPONSES: _responses(**_served({"type": "function", **_FUNCTION})),
        _MESSAGES: _messages(**_served({"name": "get_weather", "input_schema": SCHEMA})),
        _GEMINI: _gemini(**_served({"functionDeclarations": [_FUNCTION]})),
    },
    "a schema of the answer": {
        _CHAT: _chat(response_format={"type": "json_schema", "json_schema": _NAMED}),
        _RESPONSES: _responses(text={"format": {"type": "json_schema", **_NAMED}}),
        _MESSAGES: _messages(output_config={"format": {"type": "json_schema", "schema": SCHEMA}}),
        _GEMINI: _gemini(generationConfig={"responseMimeType": "application/json", "responseSchema": SCHEMA}),
    },
    "a picture of 1024 x 1024 pixels": {
        _CHAT: _chat({"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PICTURE}"}}),
        _RESPONSES: _responses({"type": "input_image", "image_url": f"data:image/png;base64,{PICTURE}"}),
        _MESSAGES: _messages(_source("image", "image/png", PICTURE)),
        _GEMINI: _gemini(_inline("image/png", PICTURE)),
    },
    "a picture by URL": {
        _CHAT: _chat({"type": "image_url", "image_url": {"url": _URL}}),
        _RESPONSES: _responses({"type": "input_image", "image_url": _URL}),
        _MESSAGES: _messages({"type": "image", "source": {"type": "url", "url": _URL}}),
        _GEMINI: _gemini({"fileData": {"mimeType": "image/png", "fileUri": _URL}}),
    },
    "a PDF of one page": {
        _CHAT: _chat(
            {"type": "file", "file": {"filename": "a", "file_data": f"data:application/pdf;base64,{PDF}"}}
        ),
        _RESPONSES: _responses(
            {"type": "input_file", "filename": "a", "file_data": f"data:application/pdf;base64,{PDF}"}
        ),
        _MESSAGES: _messages(_source("document", "application/pdf", PDF)),
        _GEMINI: _gemini(_inline("application/pdf", PDF)),
    },
    "a PDF by URL": {
        _RESPONSES: _responses({"type": "input_file", "file_url": _URL}),
        _MESSAGES: _messages({"type": "document", "source": {"type": "url", "url": _URL}}),
        _GEMINI: _gemini({"fileData": {"mimeType": "application/pdf", "fileUri": _URL}}),
    },
    "an uploaded file": {
        _CHAT: _chat({"type": "file", "file": {"file_id": "file-1"}}),
        _RESPONSES: _responses({"type": "input_file", "file_id": "file-1"}),
        _MESSAGES: _messages({"type": "document", "source": {"type": "file", "file_id": "file_1"}}),
        _GEMINI: _gemini({"fileData": {"mimeType": "application/pdf", "fileUri": f"{_URL}/files/1"}}),
    },
    "ten seconds of sound (WAV)": {
        _CHAT: _chat({"type": "input_audio", "input_audio": {"data": SOUND, "format": "wav"}}),
        _GEMINI: _gemini(_inline("audio/wav", SOUND)),
    },
    "a web search, three at most": {
        _CHAT: _chat(web_search_options={}),
        _RESPONSES: _responses(**_served({"type": "web_search"}, max_tool_calls=3)),
        _MESSAGES: _messages(**_served({**_SEARCH, "max_uses": 3})),
        _GEMINI: _gemini(**_served({"googleSearch": {}})),
    },
    "code run at the provider": {
        _RESPONSES: _responses(**_served({"type": "code_interpreter", "container": {"type": "auto"}})),
        _MESSAGES: _messages(**_served(_CODE)),
        _GEMINI: _gemini(**_served({"codeExecution": {}})),
    },
    "a remote MCP server": {
        _RESPONSES: _responses(
            **_served({"type": "mcp", "server_label": "a", "server_url": "https://mcp.example"})
        ),
        _MESSAGES: _messages(
            mcp_servers=[_MCP], **_served({"type": "mcp_toolset", "mcp_server_name": "mcp"})
        ),
    },
    "earlier turns kept at the provider": {
        _RESPONSES: _responses(previous_response_id="resp_1"),
        _GEMINI: _gemini(cachedContent="cachedContents/1"),
    },
}


def bound(column: Column, body: dict[str, Any]) -> InputBound | Uncountable:
    """Bound a request as the gateway would; a part that it refuses comes back as the refusal."""
    dialect = find_dialect("POST", column.route.replace("{model}", column.model), b"")
    named = body if "{model}" in column.route else {"model": column.model, **body}
    call = dialect.decode(json.dumps(named).encode())
    try:
        return call.bound(column.model, provider=column.provider, allowances=NONE)
    except Uncountable as refusal:
        return refusal


def cell(column: Column, part: str) -> str:
    """Say what a part adds to the prompt's bound; the first row says the whole."""
    body = PARTS[part].get(column.route)
    if body is None:
        return ""
    found = bound(column, body)
    if isinstance(found, Uncountable):
        return f"allowance `{found.kind}`" if found.kind else "refused"
    plain = bound(column, PARTS["text alone, two words"][column.route])
    if isinstance(plain, Uncountable):
        raise MeteringError(plain.part)
    tokens = f"{found.tokens:,}" if body is PARTS["text alone, two words"][column.route] else ""
    added = tokens or f"+{found.tokens - plain.tokens:,}"
    rounds = f", {found.rounds} answers" if found.rounds > 1 else ""
    fees = "".join(f", {times} x {name}" for name, times in found.extras)
    return f"{added} {found.bound_class.value}{rounds}{fees}"
