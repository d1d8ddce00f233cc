"""What one piece of an Anthropic prompt (a message, the system prompt, a tool) adds to the bound."""

from __future__ import annotations

import json
from typing import Any, NamedTuple, NoReturn

from metering.anthropic_models import PAGE_TEXT_TOKENS, SIGNATURE_CHARS_PER_TOKEN, image_tokens
from metering.errors import RequestShapeError, Uncountable
from metering.images import data_url_size
from metering.pdfs import pdf_pages
from metering.tokens import byte_bound, count

_ID_CHARS_MAX = 64
_DEPTH_MAX = 4  # of blocks within blocks: a picture in a document's content in a tool's result is three deep
_SIZE_CHARS = 262_144  # of base64: a picture's size stands at its beginning
# Parts of a block that are not shown to the model as text.
_IDS = ("id", "tool_use_id")
_PLAIN = frozenset({"text", "tool_use", "search_result", "tool_reference", "tool_addition", "tool_removal"})
_NO_MEDIA = "what pictures and documents cost on this model is not known"


class Piece(NamedTuple):
    """What one piece adds: its JSON by OpenAI's tokens and by bytes, and tokens of what is no text."""

    tokens: int = 0
    byte_thirds: int = 0  # thirds of a token: one for each byte, two where a character takes several
    fixed_tokens: int = 0
    cache_lifetimes: int = 0  # 0 nothing is cached, 1 for 5 minutes, 2 for an hour
    citations: bool = False

    def plus(self, other: Piece) -> Piece:
        """Add another piece."""
        return Piece(
            self.tokens + other.tokens,
            self.byte_thirds + other.byte_thirds,
            self.fixed_tokens + other.fixed_tokens,
            max(self.cache_lifetimes, other.cache_lifetimes),
            self.citations or other.citations,
        )


class Counter:
    """Counts one piece; blocks of a type it does not know are refused."""

    def __init__(self, image_tokens_max: int) -> None:
        """Bound pictures by their most; 0 refuses them."""
        self._image_tokens_max = image_tokens_max
        self._fixed_tokens = 0
        self._cache_lifetimes = 0
        self._citations = False
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
            case _ if kind not in _PLAIN:
                _refuse(f"{param}.{kind}", "blocks of this type have no known bound")

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
        if kind not in ("base64", "url"):
            _refuse(f"{param}.source.{kind}", "a file that was sent elsewhere may hold anything")
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
                _refuse(f"{param}.source", "the pages of this document cannot be counted")
            self._fixed_tokens += pages * (PAGE_TEXT_TOKENS + self._image_tokens_max)
        elif kind != "text":
            _refuse(f"{param}.source.{kind}", "the pages of a document that is elsewhere are not known")

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
