"""What one turn of a Gemini conversation adds to the bound: its text, its calls, its media and its sealed thoughts."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from metering.allowances import Allowances
from metering.errors import RequestShapeError, Uncountable
from metering.gemini_media import MediaCounter, MediaTokens
from metering.gemini_models import PART_TOKENS, SIGNATURE_TOKENS_PER_KCHAR
from metering.gemini_request import listed, named
from metering.gemini_text import text_tokens

_DEPTH_MAX = 2  # a call's answer may hold media
# Parts that are shown to the model as the JSON they are.
_SHOWN = frozenset(
    {"functionCall", "functionResponse", "executableCode", "codeExecutionResult", "toolCall", "toolResponse"}
)
# What goes with a part and adds nothing of its own.
_BESIDE = frozenset({"thought", "videoMetadata", "mediaResolution", "partMetadata"})
_VIDEO_HOSTS = (
    "https://www.youtube.com/",
    "https://youtube.com/",
    "https://youtu.be/",
    "https://m.youtube.com/",
)


class Piece(NamedTuple):
    """Tokens that one piece adds, by how they are billed; ``allowed`` of them rest on the tenant's allowances."""

    text: int = 0
    audio: int = 0
    picture: int = 0
    allowed: bool = False

    def plus(self, other: Piece) -> Piece:
        """Add another piece."""
        return Piece(
            self.text + other.text,
            self.audio + other.audio,
            self.picture + other.picture,
            self.allowed or other.allowed,
        )


class Counting:
    """The tenant's allowances, and whether any was used."""

    def __init__(self, allowances: Allowances) -> None:
        """Ask these allowances."""
        self._allowances = allowances
        self.used = False

    def tokens_for(self, kind: str, *, part: str, why: str) -> int:
        """Return the tokens that stand for a part of this kind. Raises: Uncountable where the tenant set none."""
        tokens = self._allowances.tokens_for(kind, part=part, why=why)
        self.used = True
        return tokens


class ContentCounter:
    """Counts turns for one model; parts of a type it does not know are refused."""

    def __init__(self, model: str, allowances: Allowances, *, level: str = "") -> None:
        """Count under a tenant's allowances; ``level`` is the resolution of media that name none."""
        self._counting = Counting(allowances)
        self._media = MediaCounter(model, self._counting)
        self._level = level
        self._texts = 0
        self._tokens = MediaTokens()

    def count(self, content: Any, param: str) -> Piece:
        """Count a turn: an object with parts, or its text alone. Raises: Uncountable; RequestShapeError."""
        self._counting.used = False
        self._texts, self._tokens = 0, MediaTokens()
        if isinstance(content, str):
            self._texts += text_tokens(content) + PART_TOKENS
        else:
            for place, part in enumerate(listed(named(content, param).get("parts"))):
                self._part(part, f"{param}.parts[{place}]", depth=0)
        text, audio, picture = self._tokens
        return Piece(self._texts + text, audio, picture, self._counting.used)

    def _part(self, part: Any, param: str, *, depth: int) -> None:
        self._texts += PART_TOKENS
        if isinstance(part, str):
            self._texts += text_tokens(part)
            return
        fields = named(part, param)
        for name, value in fields.items():
            if value is not None and name not in _BESIDE:
                self._field(name, fields, f"{param}.{name}", depth=depth)

    def _field(self, name: str, fields: dict[str, Any], param: str, *, depth: int) -> None:
        value = fields[name]
        if name == "text":
            self._texts += text_tokens(_string(value, param))
        elif name == "thoughtSignature":
            self._texts += -(-len(_string(value, param)) * SIGNATURE_TOKENS_PER_KCHAR // 1000)
        elif name in _SHOWN:
            self._shown(value, param, depth=depth)
        elif name == "inlineData":
            self._inline(named(value, param), fields, param)
        elif name == "fileData":
            self._file(named(value, param), param)
        else:
            raise Uncountable(param, "parts of this type have no known bound")

    def _shown(self, value: Any, param: str, *, depth: int) -> None:
        shown = named(value, param)
        media = listed(shown.pop("parts", None))
        if media and depth == _DEPTH_MAX:
            raise RequestShapeError(f"{param} is nested too deeply", param)
        for place, part in enumerate(media):
            self._part(part, f"{param}.parts[{place}]", depth=depth + 1)
        self._texts += text_tokens(compact(shown))

    def _inline(self, data: dict[str, Any], fields: dict[str, Any], param: str) -> None:
        kind, content = _string(data.get("mimeType"), f"{param}.mimeType"), data.get("data")
        level = self._level_of(fields.get("mediaResolution"), param)
        frames = named(fields.get("videoMetadata"), f"{param}.videoMetadata").get("fps") or 1.0
        if not isinstance(frames, int | float) or isinstance(frames, bool):
            raise RequestShapeError(f"{param}.videoMetadata.fps must be a number", param)
        found = self._media.count(
            kind, _string(content, f"{param}.data"), param, level=level, frames=float(frames)
        )
        self._tokens = MediaTokens(
            self._tokens.text + found.text,
            self._tokens.audio + found.audio,
            self._tokens.picture + found.picture,
        )

    def _level_of(self, asked: Any, param: str) -> str:
        """The level that a part asks for, else the request's."""
        if isinstance(asked, str):
            return asked
        wanted = named(asked, f"{param}.mediaResolution")
        if wanted.get("numTokens"):
            part = f"{param}.mediaResolution.numTokens"
            raise Uncountable(part, "for what so many are billed (a film, a frame, a page) is not documented")
        return str(wanted.get("level") or self._level)

    def _file(self, file: dict[str, Any], param: str) -> None:
        address = _string(file.get("fileUri"), f"{param}.fileUri")
        if address.startswith(_VIDEO_HOSTS):
            tokens = self._counting.tokens_for(
                "video", part=param, why="a film that is elsewhere may be of any length"
            )
        else:
            why = "a file that was sent elsewhere may hold anything"
            tokens = self._counting.tokens_for("file_id", part=param, why=why)
        kind = str(file.get("mimeType") or "").partition("/")[0]
        # One whose kind is not named may be sound, which is dearest; in a film it comes beside the frames.
        sound = tokens if kind in ("audio", "video", "") else 0
        text, audio, picture = self._tokens
        self._tokens = MediaTokens(text, audio + sound, picture + tokens - sound)


def compact(value: Any) -> str:
    """Write JSON in as few characters as it takes."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _string(value: Any, param: str) -> str:
    if not isinstance(value, str):
        raise RequestShapeError(f"{param} must be text", param)
    return value
