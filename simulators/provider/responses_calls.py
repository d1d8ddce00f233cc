"""A Responses request as the simulator understands it: the same call, read from this interface's fields."""

from __future__ import annotations

from simulators.provider.calls import OUTPUT_TOKENS_MAX, Call, read_object, read_script
from simulators.provider.refusals import Refusal, refuse
from simulators.provider.responses_counting import count_responses

# A compaction takes no cap; its words never come to more.
COMPACT_TOKENS_MAX = 1024
# Kept by the real one; this one keeps nothing.
_STATE = ("previous_response_id", "conversation", "prompt", "background")


def read_response_call(raw: bytes, script_header: bytes | None, *, compacts: bool = False) -> Call | Refusal:
    """Read a request to answer or to compact, or say what is wrong with it as OpenAI would."""
    body = read_object(raw)
    if body is None:
        return refuse(400, "We could not parse the JSON body of your request.")
    script = read_script(body, script_header)
    if isinstance(script, Refusal):
        return script
    for name in _STATE:
        if body.get(name):
            return refuse(400, f"The simulator keeps no state: {name!r} is not supported.", param=name)
    cap = COMPACT_TOKENS_MAX if compacts else _read_cap(body)
    if isinstance(cap, Refusal):
        return cap
    if cap is None and script.length == "cap":
        return refuse(400, "sim-exact needs max_output_tokens.", param="max_output_tokens")
    prompt_tokens = count_responses(body)
    if prompt_tokens is None:
        return refuse(400, "input must be a string or a list of known items.", param="input")
    return Call(
        model=str(body["model"]),
        script=script,
        stream=body.get("stream") is True and not compacts,
        include_usage=True,
        choices=1,
        cap=cap,
        prompt_tokens=prompt_tokens,
        messages=body.get("input"),
        tools=_read_tools(body.get("tools")),
        tool_choice=_read_tool_choice(body.get("tool_choice")),
        response_format=_read_format(body.get("text")),
    )


def _read_cap(body: dict[str, object]) -> int | Refusal | None:
    cap = body.get("max_output_tokens")
    if cap is None:
        return None
    if not isinstance(cap, int) or isinstance(cap, bool):
        return refuse(400, "max_output_tokens must be an integer.", param="max_output_tokens")
    if not 1 <= cap <= OUTPUT_TOKENS_MAX:
        message = f"Invalid 'max_output_tokens': {cap} is not between 1 and {OUTPUT_TOKENS_MAX}."
        return refuse(400, message, param="max_output_tokens")
    return cap


def _read_tools(tools: object) -> object:
    """Functions under the names that the simulated model knows them by; other tools it has none."""
    if not isinstance(tools, list):
        return None
    known = [tool for tool in tools if isinstance(tool, dict) and tool.get("type") == "function"]
    return [{"function": {"name": tool.get("name"), "parameters": tool.get("parameters")}} for tool in known]


def _read_tool_choice(choice: object) -> object:
    if isinstance(choice, dict) and choice.get("type") == "function":
        return {"function": {"name": choice.get("name")}}
    return choice


def _read_format(text: object) -> object:
    wanted = text.get("format") if isinstance(text, dict) else None
    if not isinstance(wanted, dict) or wanted.get("type") != "json_schema":
        return None
    return {"json_schema": {"schema": wanted.get("schema")}}
