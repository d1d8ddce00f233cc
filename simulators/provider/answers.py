"""What the simulated model says: pieces of one word each, so that their number is the token count."""

from __future__ import annotations

import json
import re
import zlib
from dataclasses import dataclass, replace
from typing import Final

from simulators.provider.calls import Call
from simulators.provider.schemas import fill

_LENGTH_MIN: Final = 20
_LENGTH_SPREAD: Final = 41
_PIECE = re.compile(r"\S+\s*")
# Grows to the longest answer given; slices of it cost a copy of pointers.
_words: list[bytes] = []


@dataclass(frozen=True, slots=True)
class Answer:
    """One choice of an answer; its pieces are escaped for a JSON string already."""

    pieces: list[bytes]
    finish_reason: str
    tool: str | None = None
    reasoning_tokens: int = 0

    @property
    def spoken_tokens(self) -> int:
        """Count what the caller can see: the pieces, and the name of a tool that is called."""
        return len(self.pieces) + (self.tool is not None)

    @property
    def tokens(self) -> int:
        """Count all that is generated for this choice."""
        return self.reasoning_tokens + self.spoken_tokens


def compose(call: Call) -> Answer:
    """Decide what the model says; all choices of a call say the same."""
    script = call.script
    room = call.cap
    reasoning = script.reasoning
    if room is not None:
        reasoning = min(reasoning, room)
        room -= reasoning
    tool = _chosen_tool(call) if script.content == "tools" else None
    if tool is not None:
        # The name is a token; with no room for it there is only reasoning.
        if room == 0:
            return Answer([], "length", reasoning_tokens=reasoning)
        pieces = _pieces(json.dumps(fill(tool[1]), ensure_ascii=False))
        return _fit(Answer(pieces, "tool_calls", tool[0], reasoning), None if room is None else room - 1)
    if script.content == "json":
        return _compose_json(call, room, reasoning=reasoning)
    length = _length(call, room)
    cut_short = room is not None and (length > room or script.length == "cap")
    length = length if room is None else min(length, room)
    return Answer(_take_words(length), "length" if cut_short else "stop", reasoning_tokens=reasoning)


def _compose_json(call: Call, room: int | None, *, reasoning: int) -> Answer:
    wanted = call.response_format
    schema = wanted.get("json_schema") if isinstance(wanted, dict) else None
    if isinstance(schema, dict) and isinstance(schema.get("schema"), dict):
        pieces = _pieces(json.dumps(fill(schema["schema"]), ensure_ascii=False))
        return _fit(Answer(pieces, "stop", reasoning_tokens=reasoning), room)
    length = _length(call, room)
    length = length if room is None else min(length, room)
    words = b"".join(_take_words(length - 1)).decode().rstrip() if length > 1 else None
    pieces = _pieces(json.dumps({} if words is None else {"answer": words}))
    return _fit(Answer(pieces, "stop", reasoning_tokens=reasoning), room)


def _fit(answer: Answer, room: int | None) -> Answer:
    if room is None or len(answer.pieces) <= room:
        return answer
    return replace(answer, pieces=answer.pieces[:room], finish_reason="length")


def _length(call: Call, room: int | None) -> int:
    script = call.script
    if room is not None and (script.length == "cap" or script.over_percent is not None):
        return room
    if script.length == "words":
        return script.words
    # The same conversation gets an answer of the same length.
    seed = zlib.crc32(repr(call.messages).encode("utf-8", "surrogatepass"))
    return _LENGTH_MIN + seed % _LENGTH_SPREAD


def _chosen_tool(call: Call) -> tuple[str, object] | None:
    if not isinstance(call.tools, list) or call.tool_choice == "none":
        return None
    functions = [tool.get("function") for tool in call.tools if isinstance(tool, dict)]
    named = {
        function["name"]: function.get("parameters")
        for function in functions
        if isinstance(function, dict) and isinstance(function.get("name"), str)
    }
    forced = call.tool_choice.get("function") if isinstance(call.tool_choice, dict) else None
    if isinstance(forced, dict) and forced.get("name") in named:
        return str(forced["name"]), named[forced["name"]]
    return next(iter(named.items()), None)


def _take_words(count: int) -> list[bytes]:
    _words.extend(b"tok%d " % number for number in range(len(_words) + 1, count + 1))
    return _words[:count]


def _pieces(text: str) -> list[bytes]:
    return [json.dumps(piece)[1:-1].encode() for piece in _PIECE.findall(text)]
