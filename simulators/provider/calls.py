"""A chat request as the simulator understands it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

from simulators.provider.counting import count_prompt
from simulators.provider.message_rounds import Rounds
from simulators.provider.refusals import Refusal, refuse
from simulators.provider.script import Script, override, read_model

OUTPUT_TOKENS_MAX: Final = 1_000_000
CHOICES_MAX: Final = 128


@dataclass(frozen=True, slots=True)
class Call:
    """A chat request that the provider takes on."""

    model: str
    script: Script
    stream: bool
    include_usage: bool
    choices: int
    cap: int | None  # output tokens per choice
    prompt_tokens: int
    messages: object
    tools: object
    tool_choice: object
    response_format: object
    rounds: Rounds | None = None  # of several samplings; None for one

    @property
    def cached_tokens(self) -> int:
        """How many of the prompt's tokens came from the cache."""
        return min(self.script.cached, self.prompt_tokens)

    @property
    def written_tokens(self) -> tuple[int, int]:
        """How many of the prompt's other tokens are written to the cache for 5 minutes, and how many for an hour."""
        rest = self.prompt_tokens - self.cached_tokens
        for_minutes = min(self.script.cache_write, rest)
        return for_minutes, min(self.script.cache_write_1h, rest - for_minutes)


def read_call(raw: bytes, script_header: bytes | None) -> Call | Refusal:
    """Read a chat request, or say what is wrong with it as OpenAI would."""
    body = read_object(raw)
    if body is None:
        return refuse(400, "We could not parse the JSON body of your request.")
    script = read_script(body, script_header)
    if isinstance(script, Refusal):
        return script
    cap = _read_cap(body)
    if isinstance(cap, Refusal):
        return cap
    choices = _read_choices(body, cap)
    if isinstance(choices, Refusal):
        return choices
    if cap is None and script.length == "cap":
        return refuse(
            400, "sim-exact needs max_completion_tokens or max_tokens.", param="max_completion_tokens"
        )
    include_usage = _read_include_usage(body)
    if isinstance(include_usage, Refusal):
        return include_usage
    prompt_tokens = count_prompt(body)
    if prompt_tokens is None:
        return refuse(400, "messages must be a list of one or more messages.", param="messages")
    return Call(
        model=str(body["model"]),
        script=script,
        stream=body.get("stream") is True,
        include_usage=include_usage,
        choices=choices,
        cap=cap,
        prompt_tokens=prompt_tokens,
        messages=body["messages"],
        tools=body.get("tools"),
        tool_choice=body.get("tool_choice"),
        response_format=body.get("response_format"),
    )


def read_object(raw: bytes) -> dict[str, object] | None:
    """Read a body's JSON object, or None when it is none."""
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None


def read_script(body: dict[str, object], header: bytes | None) -> Script | Refusal:
    """Read what the model's name and the header ask for, or say that there is no such model."""
    model = body.get("model")
    if not isinstance(model, str) or not model:
        return refuse(400, "you must provide a model parameter", param="model")
    script = read_model(model)
    if script is None:
        message = f"The model `{model[:200]}` does not exist or you do not have access to it."
        return refuse(404, message, code="model_not_found", param="model")
    if header is None:
        return script
    overridden = override(script, header)
    return overridden or refuse(
        400, "x-sim-script must be a JSON object of known fields.", param="x-sim-script"
    )


def _read_cap(body: dict[str, object]) -> int | Refusal | None:
    spellings = [name for name in ("max_completion_tokens", "max_tokens") if body.get(name) is not None]
    if not spellings:
        return None
    if len(spellings) > 1:
        message = "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported."
        return refuse(400, message, param="max_tokens", code="invalid_parameter_combination")
    cap = body[spellings[0]]
    if not isinstance(cap, int) or isinstance(cap, bool) or cap < 1:
        return refuse(400, f"{spellings[0]} must be an integer of at least 1.", param=spellings[0])
    if cap > OUTPUT_TOKENS_MAX:
        message = f"{spellings[0]} is too large: {cap}. At most {OUTPUT_TOKENS_MAX} completion tokens are supported."
        return refuse(400, message, param=spellings[0])
    return cap


def _read_choices(body: dict[str, object], cap: int | None) -> int | Refusal:
    choices = 1 if body.get("n") is None else body["n"]
    if not isinstance(choices, int) or isinstance(choices, bool) or not 1 <= choices <= CHOICES_MAX:
        return refuse(400, f"n must be an integer between 1 and {CHOICES_MAX}.", param="n")
    if cap is not None and cap * choices > OUTPUT_TOKENS_MAX:
        return refuse(400, f"n times the output cap is over {OUTPUT_TOKENS_MAX}.", param="n")
    return choices


def _read_include_usage(body: dict[str, object]) -> bool | Refusal:
    options = body.get("stream_options")
    if options is None:
        return False
    if body.get("stream") is not True:
        message = "The 'stream_options' parameter is only allowed when 'stream' is enabled."
        return refuse(400, message, param="stream_options")
    return isinstance(options, dict) and options.get("include_usage") is True
