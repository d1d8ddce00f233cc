"""A request of Gemini's as the simulator understands it: the same call, read from Google's fields and path."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qs, unquote

from simulators.provider.calls import CHOICES_MAX, OUTPUT_TOKENS_MAX, Call, read_object
from simulators.provider.gemini_counting import count_gemini, count_words, either, listed
from simulators.provider.gemini_refusals import GeminiFault
from simulators.provider.script import Script, override, read_model

_PATH: Final = re.compile(r"/(v1|v1beta|v1alpha)/models/([^/:]+):([A-Za-z]+)")
METHODS: Final = frozenset(
    {"generateContent", "streamGenerateContent", "countTokens", "embedContent", "batchEmbedContents"}
)


@dataclass(frozen=True, slots=True)
class Target:
    """What a path and its query ask for."""

    model: str
    method: str
    key: str
    stream: str  # events, array, or empty for a whole answer


def read_target(target: str) -> Target | None:
    """Read a path with its query; None where it is none of Gemini's methods."""
    path, _, query = target.partition("?")
    found = _PATH.fullmatch(unquote(path))
    if found is None or found[3] not in METHODS:
        return None
    options = parse_qs(query)
    form = "events" if options.get("alt") == ["sse"] else "array"
    stream = form if found[3] == "streamGenerateContent" else ""
    return Target(found[2], found[3], options.get("key", [""])[0], stream)


def read_gemini_call(raw: bytes, target: Target, script_header: bytes | None) -> Call | GeminiFault:
    """Read a generateContent request, or say what is wrong with it as Google would."""
    body, script = read_object(raw), read_gemini_script(target.model, script_header)
    if body is None:
        return GeminiFault(400, "Invalid JSON payload received.")
    if isinstance(script, GeminiFault):
        return script
    config = either(body, "generationConfig")
    cap = _whole(either(config, "maxOutputTokens"), OUTPUT_TOKENS_MAX)
    choices = _whole(either(config, "candidateCount"), CHOICES_MAX)
    if isinstance(cap, GeminiFault):
        return cap
    if isinstance(choices, GeminiFault):
        return choices
    prompt_tokens = count_gemini(body)
    if prompt_tokens is None:
        return GeminiFault(400, "* GenerateContentRequest.contents: contents is not specified")
    if cap is None and script.length == "cap":
        return GeminiFault(400, "sim-exact needs generationConfig.maxOutputTokens.")
    wanted = either(config, "responseSchema") or either(config, "responseJsonSchema")
    return Call(
        model=target.model,
        script=script,
        stream=bool(target.stream),
        include_usage=True,
        choices=choices or 1,
        cap=cap,
        prompt_tokens=prompt_tokens,
        messages=body["contents"],
        tools=_tools(body),
        tool_choice=_tool_choice(body),
        response_format=None if wanted is None else {"json_schema": {"schema": _lowered(wanted)}},
    )


def read_embed_call(raw: bytes, target: Target, script_header: bytes | None) -> Call | GeminiFault:
    """Read what is to be embedded, or say what is wrong with it; ``messages`` are the contents."""
    body, script = read_object(raw), read_gemini_script(target.model, script_header)
    if body is None:
        return GeminiFault(400, "Invalid JSON payload received.")
    if isinstance(script, GeminiFault):
        return script
    wanted = listed(body.get("requests")) if target.method == "batchEmbedContents" else [body]
    contents = [one.get("content") if isinstance(one, dict) else None for one in wanted]
    words = [count_words(content) for content in contents]
    if not contents or None in words:
        return GeminiFault(400, "* EmbedContentRequest.content: content is not specified")
    titles = [one.get("title") for one in wanted if isinstance(one, dict)]
    titled = sum(len(title.split()) for title in titles if isinstance(title, str))
    tokens = sum(count or 0 for count in words) + titled
    return Call(
        model=target.model,
        script=script,
        stream=False,
        include_usage=True,
        choices=1,
        cap=0,
        prompt_tokens=tokens,
        messages=contents,
        tools=None,
        tool_choice=None,
        response_format=None,
    )


def read_gemini_script(model: str, header: bytes | None) -> Script | GeminiFault:
    """Read what the model's name and the header ask for."""
    script = read_model(model)
    if script is None:
        message = f"models/{model[:200]} is not found for API version v1beta, or is not supported."
        return GeminiFault(404, message)
    if header is None:
        return script
    return override(script, header) or GeminiFault(400, "x-sim-script: Unknown name or invalid value")


def _whole(value: object, most: int) -> int | GeminiFault | None:
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        return GeminiFault(400, f"{value!r} must be within the range from 1 to {most}")
    return value


def _tools(body: dict[str, object]) -> object:
    """Functions under the names that the simulated model knows them by."""
    declared = [
        one for tool in listed(body.get("tools")) for one in listed(either(tool, "functionDeclarations"))
    ]
    known = [one for one in declared if isinstance(one, dict)]
    return [{"function": {"name": one.get("name"), "parameters": _schema_of(one)}} for one in known] or None


def _schema_of(declaration: dict[str, object]) -> object:
    return _lowered(declaration.get("parameters") or either(declaration, "parametersJsonSchema"))


def _tool_choice(body: dict[str, object]) -> object:
    calling = either(either(body, "toolConfig"), "functionCallingConfig")
    mode = str(either(calling, "mode") or "").lower()
    names = listed(either(calling, "allowedFunctionNames"))
    return {"function": {"name": names[0]}} if mode == "any" and names else mode or None


def _lowered(schema: object) -> object:
    """Types as JSON schemas write them: Google's own are in capitals."""
    if isinstance(schema, dict):
        return {
            name: value.lower() if name == "type" and isinstance(value, str) else _lowered(value)
            for name, value in schema.items()
        }
    return [_lowered(one) for one in schema] if isinstance(schema, list) else schema
