"""A Messages request as the simulator understands it: the same call, read from Anthropic's fields."""

from __future__ import annotations

from simulators.provider.calls import OUTPUT_TOKENS_MAX, Call, read_object
from simulators.provider.message_counting import count_messages
from simulators.provider.message_refusals import Fault
from simulators.provider.message_rounds import plan_rounds
from simulators.provider.script import Script, override, read_model


def read_message_call(raw: bytes, script_header: bytes | None) -> Call | Fault:
    """Read a Messages request, or say what is wrong with it as Anthropic would."""
    body = read_object(raw)
    if body is None:
        return Fault(400, "The request body is not valid JSON.")
    script = read_script(body, script_header)
    if isinstance(script, Fault):
        return script
    cap = _read_cap(body)
    if isinstance(cap, Fault):
        return cap
    prompt_tokens = count_messages(body)
    if prompt_tokens is None:
        return Fault(400, "messages: Input should be a list of one or more messages")
    rounds = plan_rounds(script, body, prompt_tokens=prompt_tokens)
    return Call(
        model=str(body["model"]),
        script=script,
        stream=body.get("stream") is True,
        include_usage=True,
        choices=1,
        cap=cap,
        prompt_tokens=prompt_tokens if rounds is None else rounds.prompt_tokens,
        messages=body["messages"],
        tools=_read_tools(body.get("tools")),
        tool_choice=_read_tool_choice(body.get("tool_choice")),
        response_format=_read_format(body),
        rounds=rounds,
    )


def read_script(body: dict[str, object], header: bytes | None) -> Script | Fault:
    """Read what the model's name and the header ask for."""
    model = body.get("model")
    if not isinstance(model, str) or not model:
        return Fault(400, "model: Field required")
    script = read_model(model)
    if script is None:
        return Fault(404, f"model: {model[:200]}")
    if header is None:
        return script
    return override(script, header) or Fault(400, "x-sim-script: Input should be an object of known fields")


def _read_cap(body: dict[str, object]) -> int | Fault:
    cap = body.get("max_tokens")
    if cap is None:
        return Fault(400, "max_tokens: Field required")
    if not isinstance(cap, int) or isinstance(cap, bool):
        return Fault(400, "max_tokens: Input should be a valid integer")
    if not 1 <= cap <= OUTPUT_TOKENS_MAX:
        return Fault(400, f"max_tokens: {cap}, which must be between 1 and {OUTPUT_TOKENS_MAX}")
    thinking = body.get("thinking")
    budget = thinking.get("budget_tokens") if isinstance(thinking, dict) else None
    if isinstance(budget, int) and budget >= cap:
        return Fault(400, "`max_tokens` must be greater than `thinking.budget_tokens`.")
    return cap


def _read_tools(tools: object) -> object:
    """Tools under the names that the simulated model knows them by."""
    if not isinstance(tools, list):
        return None
    known = [tool for tool in tools if isinstance(tool, dict)]
    return [
        {"function": {"name": tool.get("name"), "parameters": tool.get("input_schema")}} for tool in known
    ]


def _read_tool_choice(choice: object) -> object:
    kind = choice.get("type") if isinstance(choice, dict) else None
    if isinstance(choice, dict) and kind == "tool":
        return {"function": {"name": choice.get("name")}}
    return kind


def _read_format(body: dict[str, object]) -> object:
    config = body.get("output_config")
    wanted = (config.get("format") if isinstance(config, dict) else None) or body.get("output_format")
    return {"json_schema": wanted} if isinstance(wanted, dict) else None
