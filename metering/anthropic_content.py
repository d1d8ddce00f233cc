"""What one piece of an Anthropic prompt (a message, the system prompt, a tool) adds to the bound."""

from __future__ import annotations

import json
from typing import Any, NamedTuple, NoReturn

from metering.anthropic_models import (
    ENCRYPTED_CHARS_PER_TOKEN,
    PAGE_TEXT_TOKENS,
    SIGNATURE_CHARS_PER_TOKEN,
    image_tokens,
)
from metering.errors import RequestShapeError, Uncountable
from metering.images import data_url_size
from metering.pdfs import pdf_pages
from metering.tokens import byte_bound, count

_ID_CHARS_MAX = 64
_DEPTH_MAX = 4  # of blocks within blocks: a picture in a document's content in a tool's result is three deep
_RESULT_DEPTH_MAX = 16
_SIZE_CHARS = 262_144  # of base64: a picture's size stands at its beginning
# Parts of a block that are not shown to the model as text.
_IDS = ("id", "tool_use_id")
_PLAIN = frozenset(
    {
        *("text", "tool_use", "search_result", "tool_reference", "tool_addition", "tool_removal"),
        *("server_tool_use", "mcp_tool_use", "compaction"),
    }
)
# What tools that ran at Anthropic left in an earlier answer: text, documents, and text that only Anthropic can read.
_RESULTS = "_tool_result"
_ENCRYPTED = "encrypted_"
# A file for the container: the model is told its name, which has at most 255 characters. Source: "Files API", 2026-11.
_UPLOAD_TOKENS = 300
_FILE = "a file that was sent elsewhere may hold anything"
_AWAY = "the pages of a document that is elsewhere are not known"
_UNREADABLE = "the pages of this document cannot be counted"
_NO_MEDIA = "what pictures and documents cost on this model is not known"


class Open(NamedTuple):
    """A part that its request does not hold: it needs an allowance, or what the model takes at most."""

    kind: str  # of metering.allowances
    part: str
    why: str


class Piece(NamedTuple):
    """What one piece adds: its JSON by OpenAI's tokens and by bytes, and tokens of what is no text."""

    tokens: int = 0
    byte_thirds: int = 0  # thirds of a token: one for each byte, two where a character takes several
    fixed_tokens: int = 0
    cache_lifetimes: int = 0  # 0 nothing is cached, 1 for 5 minutes, 2 for an hour
    citations: bool = False
    open_parts: tuple[Open, ...] = ()

    def plus(self, other: Piece) -> Piece:
        """Add another piece."""
        return Piece(
            self.tokens + other.tokens,
            self.byte_thirds + other.byte_thirds,
            self.fixed_tokens + other.fixed_tokens,
            max(self.cache_lifetimes, other.cache_lifetimes),
            self.citations or other.citations,
            self.open_parts + other.open_parts,
        )


class Counter:
    """Counts one piece; blocks of a type it does not know are refused."""

    def __init__(self, image_tokens_max: int) -> None:
        """Bound pictures by their most; 0 refuses them."""
        self._image_tokens_max = image_tokens_max
        self._fixed_tokens = 0
        self._cache_lifetimes = 0
        self._citations = False
        self._open: list[Open] = []
        self._depth = 0

    def count(self, value: dict[str, Any], param: str) -> Piece:
        """Count a message or a tool, whose ``content`` holds blocks. Raises: Uncountable; RequestShapeError."""
        shown = self._marked(value)
        if "content" in shown:
            shown["content"] = self._content(shown["content"], f"{param}.content")
        return self._piece(shown)

    def count_content(self, value: Any, param: str) -> Piece:
        """Count a string, or a list of blocks. Raises: Uncountable; RequestShapeError."""
        return self._piece(self._content(value, param))

    def _piece(self, shown: Any) -> Piece:
        try:
            text = json.dumps(shown, ensure_ascii=False, separators=(",", ":"))
        except RecursionError as error:
            raise RequestShapeError("the request is nested too deeply") from error
        text_bytes = byte_bound(text)
        # What OpenAI's tokenizer merges well in another script, Claude's may not.
        wide_bytes = 0 if text_bytes == len(text) else text_bytes - sum(map(str.isascii, text))
        return Piece(
            count(text, "o200k_base"),
            text_bytes + wide_bytes,
            self._fixed_tokens,
            self._cache_lifetimes,
            self._citations,
            tuple(self._open),
        )

    def _content(self, value: Any, param: str) -> Any:
        if value is None or isinstance(value, str):
            return value
        if not isinstance(value, list) or self._depth == _DEPTH_MAX:
            raise RequestShapeError(f"{param} must be a string or a list of blocks", param)
        self._depth += 1
        shown = [self._block(block, f"{param}[{place}]") for place, block in enumerate(value)]
        self._depth -= 1
        return shown

    def _block(self, block: Any, param: str) -> dict[str, Any]:
        """Return what of a block is text, and count what is not."""
        kind = block.get("type") if isinstance(block, dict) else None
        if not isinstance(kind, str):
            raise RequestShapeError(f"{param} must be an object with a type", param)
        shown = self._marked(block)
        for name in _IDS:
            if isinstance(shown.get(name), str) and len(shown[name]) <= _ID_CHARS_MAX:
                del shown[name]
        self._count_kind(kind, shown, param)
        return shown

    def _count_kind(self, kind: str, shown: dict[str, Any], param: str) -> None:
        match kind:
            case "image":
                self._image(shown, param)
            case "document":
                self._document(shown, param)
            case "thinking" | "redacted_thinking":
                for name in ("signature", "data"):
                    self._fixed_tokens += -(-len(str(shown.pop(name, ""))) // SIGNATURE_CHARS_PER_TOKEN)
            case "tool_result":
                shown["content"] = self._content(shown.get("content"), f"{param}.content")
            case "container_upload":
                self._fixed_tokens += _UPLOAD_TOKENS
            case _:
                self._count_result(kind, shown, param)

    def _count_result(self, kind: str, shown: dict[str, Any], param: str) -> None:
        if kind.endswith(_RESULTS):
            shown["content"] = self._result(shown.get("content"), f"{param}.content")
        elif kind not in _PLAIN:
            _refuse(f"{param}.{kind}", "blocks of this type have no known bound")
        self._drop_encrypted(shown)

    def _result(self, value: Any, param: str) -> Any:
        """Return what of a server tool's result is text, and count what is not."""
        if not isinstance(value, dict | list):
            return value
        if self._depth >= _RESULT_DEPTH_MAX:
            raise RequestShapeError(f"{param} is nested too deeply", param)
        if isinstance(value, dict) and value.get("type") in ("image", "document"):
            return self._block(value, param)
        self._depth += 1
        shown: Any = None
        if isinstance(value, list):
            shown = [self._result(one, f"{param}[{place}]") for place, one in enumerate(value)]
        else:
            shown = {name: self._result(one, f"{param}.{name}") for name, one in value.items()}
            self._drop_encrypted(shown)
        self._depth -= 1
        return shown

    def _drop_encrypted(self, shown: dict[str, Any]) -> None:
        """Count what only Anthropic can read by its length, and leave it out of the text."""
        for name in [name for name in shown if name.startswith(_ENCRYPTED)]:
            self._fixed_tokens += -(-len(str(shown.pop(name))) // ENCRYPTED_CHARS_PER_TOKEN)

    def _marked(self, value: dict[str, Any]) -> dict[str, Any]:
        """Take note of what is cached and cited, and leave the marks out."""
        shown = dict(value)
        self._cache_lifetimes = max(self._cache_lifetimes, lifetimes_of(shown.pop("cache_control", None)))
        citations = shown.get("citations")
        self._citations |= isinstance(citations, dict) and citations.get("enabled") is not False
        return shown

    def _image(self, shown: dict[str, Any], param: str) -> None:
        if not self._image_tokens_max:
            _refuse(param, _NO_MEDIA)
        source = self._source(shown, param)
        kind, data = source.get("type"), source.pop("data", "")
        if kind == "file":
            self._open.append(Open("file_id", f"{param}.source.file", _FILE))
            return
        if kind not in ("base64", "url"):
            _refuse(f"{param}.source.{kind}", "what a source of this type holds is not known")
        if not isinstance(data, str):
            raise RequestShapeError(f"{param}.source.data must be base64", f"{param}.source.data")
        size = data_url_size(f"data:image;base64,{data[:_SIZE_CHARS]}") if kind == "base64" else None
        self._fixed_tokens += image_tokens(size, self._image_tokens_max)

    def _document(self, shown: dict[str, Any], param: str) -> None:
        if not self._image_tokens_max:
            _refuse(param, _NO_MEDIA)
        source = self._source(shown, param)
        kind = source.get("type")
        if kind == "content":
            source["content"] = self._content(source.get("content"), f"{param}.source.content")
        elif kind == "base64":
            data = source.pop("data", None)
            pages = pdf_pages(data) if isinstance(data, str) else None
            if pages is None:
                self._open.append(Open("document", f"{param}.source", _UNREADABLE))
            else:
                self._fixed_tokens += pages * (PAGE_TEXT_TOKENS + self._image_tokens_max)
        elif kind == "file":
            self._open.append(Open("file_id", f"{param}.source.file", _FILE))
        elif kind == "url":
            self._open.append(Open("document", f"{param}.source.url", _AWAY))
        elif kind != "text":
            _refuse(f"{param}.source.{kind}", "what a source of this type holds is not known")

    @staticmethod
    def _source(shown: dict[str, Any], param: str) -> dict[str, Any]:
        source = shown.get("source")
        if not isinstance(source, dict):
            raise RequestShapeError(f"{param}.source must be an object", f"{param}.source")
        shown["source"] = source = dict(source)
        return source


def lifetimes_of(cache_control: Any) -> int:
    """How long a mark keeps what is before it: 0 there is none, 1 for 5 minutes, 2 for an hour."""
    if cache_control is None:
        return 0
    return 2 if not isinstance(cache_control, dict) or cache_control.get("ttl", "5m") != "5m" else 1


def _refuse(part: str, why: str) -> NoReturn:
    raise Uncountable(part, why)
