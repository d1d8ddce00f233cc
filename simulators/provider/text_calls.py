"""Requests for embeddings, older completions and moderations as the simulator understands them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from simulators.provider.calls import CHOICES_MAX, OUTPUT_TOKENS_MAX, Call, read_object, read_script
from simulators.provider.refusals import Refusal, refuse
from simulators.provider.script import Script
from simulators.provider.texts import Text, count_texts, read_texts

# Where a completion that names no cap stops.
UNSAID_CAP_TOKENS: Final = 16
UNSAID_MODERATION_MODEL: Final = "omni-moderation-latest"
_MODERATORS: Final = ("omni-moderation-", "text-moderation-")


@dataclass(frozen=True, slots=True)
class TextCall(Call):
    """A request whose prompt is texts; ``shown`` of the answers generated are told."""

    texts: tuple[Text, ...] = ()
    shown: int = 1
    echo: bool = False
    dimensions: int = 8
    base64: bool = False


def read_embeddings(raw: bytes, script_header: bytes | None) -> TextCall | Refusal:
    """Read an embeddings request, or say what is wrong with it."""
    found = _read(raw, script_header, "input")
    if isinstance(found, Refusal):
        return found
    body, script, texts = found
    dimensions = body.get("dimensions", 8)
    if not isinstance(dimensions, int) or not 1 <= dimensions <= 4096:
        return refuse(400, "dimensions must be an integer between 1 and 4096.", param="dimensions")
    call = _call(body, script, texts)
    return replace(call, dimensions=dimensions, base64=body.get("encoding_format") == "base64")


def read_completion(raw: bytes, script_header: bytes | None) -> TextCall | Refusal:
    """Read a completion request, or say what is wrong with it."""
    found = _read(raw, script_header, "prompt")
    if isinstance(found, Refusal):
        return found
    body, script, texts = found
    counts = _read_counts(body)
    if isinstance(counts, Refusal):
        return counts
    cap = UNSAID_CAP_TOKENS if body.get("max_tokens") is None else body["max_tokens"]
    if not isinstance(cap, int) or isinstance(cap, bool) or not 0 <= cap <= OUTPUT_TOKENS_MAX:
        return refuse(400, f"max_tokens must be between 0 and {OUTPUT_TOKENS_MAX}.", param="max_tokens")
    call = _call(body, script, texts)
    suffix = body.get("suffix")
    behind = count_texts([suffix]) * len(texts) if isinstance(suffix, str) else 0
    return replace(
        call,
        cap=cap,
        prompt_tokens=call.prompt_tokens + behind,
        shown=len(texts) * counts[0],
        choices=len(texts) * counts[1],
        echo=body.get("echo") is True,
    )


def _read_counts(body: dict[str, object]) -> tuple[int, int] | Refusal:
    """Read how many answers are shown for a prompt, and how many are generated."""
    counts: list[int] = []
    for name in ("n", "best_of"):
        count = body.get(name) or 1
        if not isinstance(count, int) or not 1 <= count <= CHOICES_MAX:
            return refuse(400, f"{name} must be an integer between 1 and {CHOICES_MAX}.", param=name)
        counts.append(count)
    shown, generated = counts[0], max(counts)
    if body.get("stream") is True and generated > shown:
        return refuse(400, "best_of is not supported with stream.", param="best_of")
    return shown, generated


def read_moderation(raw: bytes, script_header: bytes | None) -> TextCall | Refusal:
    """Read a moderation request, or say what is wrong with it. Nothing of it is billed, so nothing is counted."""
    body = read_object(raw)
    if body is None:
        return refuse(400, "We could not parse the JSON body of your request.")
    body.setdefault("model", UNSAID_MODERATION_MODEL)
    known = isinstance(body["model"], str) and body["model"].startswith(_MODERATORS)
    script = Script() if known else read_script(body, script_header)
    if isinstance(script, Refusal):
        return script
    given = body.get("input")
    if not given or not isinstance(given, str | list):
        return refuse(400, "input must be text, or a list of texts or parts.", param="input")
    several = isinstance(given, list) and all(isinstance(one, str) for one in given)
    nothing: list[Text] = [0] * (len(given) if several else 1)
    return _call(body, script, nothing)


def _read(
    raw: bytes, script_header: bytes | None, field: str
) -> tuple[dict[str, object], Script, list[Text]] | Refusal:
    body = read_object(raw)
    if body is None:
        return refuse(400, "We could not parse the JSON body of your request.")
    script = read_script(body, script_header)
    if isinstance(script, Refusal):
        return script
    # A completion of nothing is one from the beginning of a new text.
    given = "" if field == "prompt" and body.get(field) is None else body.get(field)
    texts = read_texts(given)
    if texts is None:
        return refuse(400, f"{field} must be text or token ids, one or a list of them.", param=field)
    return body, script, texts


def _call(body: dict[str, object], script: Script, texts: list[Text]) -> TextCall:
    options = body.get("stream_options")
    return TextCall(
        model=str(body["model"]),
        script=script,
        stream=body.get("stream") is True,
        include_usage=isinstance(options, dict) and options.get("include_usage") is True,
        choices=1,
        cap=0,
        prompt_tokens=count_texts(texts),
        messages=texts,
        tools=None,
        tool_choice=None,
        response_format=None,
        texts=tuple(texts),
    )
