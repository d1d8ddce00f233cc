"""The tools of a Messages request: what their definitions add to the prompt, and which of them run at Anthropic.

A tool that runs at Anthropic makes the model answer several times within one call, each time billed for the prompt
that has grown by what the tool gave back. How often, and how much that may be, is said here; the sum is made in
``metering.anthropic_rounds``.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from metering.anthropic_content import Counter, Piece
from metering.anthropic_models import CLIENT_TOOLS, SERVER_TOOLS, SKILL_TOKENS
from metering.anthropic_request import MessagesRequest, given
from metering.chat_request import parse_unique
from metering.errors import RequestShapeError

# Searching and fetching that filters what it found by code of its own, which may run as often as any other code.
_CODES_ITSELF = re.compile(r"web_(search|fetch)_(\d{8})")
_CODES_SINCE = "20260209"
_USES_MAX = 1_000


class ServerTool(NamedTuple):
    """A tool that runs at Anthropic; None where the request does not say."""

    part: str
    kind: str  # of metering.allowances
    name: str  # web_search, tool_search ... as in metering.anthropic_models
    uses: int | None = None
    content_tokens: int | None = None  # of each use, as stated
    advisor: str = ""  # the model that is asked for advice
    advice_tokens: int | None = None


class Tools(NamedTuple):
    """What all tools of a request come to."""

    piece: Piece = Piece()
    at_provider: tuple[ServerTool, ...] = ()

    def plus(self, other: Tools) -> Tools:
        """Add other tools."""
        return Tools(self.piece.plus(other.piece), self.at_provider + other.at_provider)


def read_tools(value: Any) -> Tools:
    """Read the field ``tools``. Raises: RequestShapeError."""
    if not isinstance(value, list):
        raise RequestShapeError("tools must be a list", "tools")
    found = Tools()
    for place, tool in enumerate(value):
        found = found.plus(_tool(tool, f"tools[{place}]"))
    return found


def read_surroundings(request: MessagesRequest) -> Tools:
    """Read ``mcp_servers`` and ``container``, which bring tools and texts along. Raises: RequestShapeError."""
    found = Tools()
    if given(request.mcp_servers):
        servers = parse_unique(request.mcp_servers, "mcp_servers")
        if not isinstance(servers, list):
            raise RequestShapeError("mcp_servers must be a list", "mcp_servers")
        for place in range(len(servers)):
            found = found.plus(Tools(at_provider=(ServerTool(f"mcp_servers[{place}]", "mcp", "mcp"),)))
    if given(request.container):
        container = parse_unique(request.container, "container")
        skills = container.get("skills") if isinstance(container, dict) else None
        if skills is not None and not isinstance(skills, list):
            raise RequestShapeError("container.skills must be a list", "container.skills")
        # What else is in a container enters the prompt only as what code prints.
        found = found.plus(Tools(Piece(fixed_tokens=SKILL_TOKENS * len(skills or ()))))
    return found


def _tool(tool: Any, param: str) -> Tools:
    if not isinstance(tool, dict):
        raise RequestShapeError(f"{param} must be an object", param)
    kind = str(tool.get("type") or "custom")
    server_tools = _server_tools(tool, kind, param)
    shown = {name: value for name, value in tool.items() if name != "content"}
    own_tokens = next((tokens for pattern, tokens in CLIENT_TOOLS if pattern.fullmatch(kind)), 0)
    own_tokens += sum(SERVER_TOOLS[one.name].definition_tokens for one in server_tools)
    return Tools(Counter(0).count(shown, param).plus(Piece(fixed_tokens=own_tokens)), server_tools)


def _server_tools(tool: dict[str, Any], kind: str, param: str) -> tuple[ServerTool, ...]:
    """The tools at Anthropic that a definition stands for; none for one that the caller runs."""
    if kind in ("custom", "mcp_toolset") or any(pattern.fullmatch(kind) for pattern, _ in CLIENT_TOOLS):
        return ()
    name = next(
        (name for name, known in SERVER_TOOLS.items() if known.pattern.fullmatch(kind)), "server_tool"
    )
    known = SERVER_TOOLS[name]
    part = f"{param}.{kind}"
    found = ServerTool(
        part,
        known.allowance,
        name,
        uses=_count(tool, "max_uses", param),
        content_tokens=_count(tool, "max_content_tokens", param),
    )
    if name == "advisor":
        found = found._replace(advisor=_model(tool, param), advice_tokens=_count(tool, "max_tokens", param))
    match = _CODES_ITSELF.fullmatch(kind)
    if match is None or match[2] < _CODES_SINCE:
        return (found,)
    return (found, ServerTool(part, "code_execution", "filtering"))


def _count(tool: dict[str, Any], name: str, param: str) -> int | None:
    value = tool.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise RequestShapeError(f"{param}.{name} must be a whole number", f"{param}.{name}")
    if name == "max_uses" and value > _USES_MAX:
        raise RequestShapeError(f"{param}.{name} must be at most {_USES_MAX}", f"{param}.{name}")
    return value


def _model(tool: dict[str, Any], param: str) -> str:
    model = tool.get("model")
    if not isinstance(model, str) or not model:
        raise RequestShapeError(f"{param}.model must name the advisor's model", f"{param}.model")
    return model
