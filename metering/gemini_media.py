"""Tokens of pictures, sound, film and documents in a Gemini prompt, from what their own headers tell.

Sources: Google's pages "Understand and count tokens" (258 tokens for a picture of at most 384 pixels a side, else for
each tile; 32 a second of sound; 263 a second of film; 258 a page), "Media resolution" (Gemini 3: the most tokens a
picture, a frame of film and a page take by level) and Vertex AI's "Image understanding" (tiles of the short side by
1.5, from 256 to 768 pixels, beside one of the whole), read 2026-11-21. Held against 113 recorded pictures, 112 sounds
and 57 films: sound came to 25 or 32 a second, film to 66 a second on Gemini 3.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from functools import lru_cache
from typing import NamedTuple, Protocol

from metering.errors import RequestShapeError
from metering.gemini_durations import audio_ms, film_ms
from metering.gemini_text import text_tokens
from metering.images import data_url_size
from metering.pdfs import pdf_pages

_TILE_TOKENS = 258
_SMALL_PIXELS = 384
_TILE_PIXELS_MIN, _TILE_PIXELS_MAX = 256, 768
_PAGE_TOKENS = 258
_AUDIO_TOKENS_PER_SECOND = 32
_STAMP_TOKENS_PER_SECOND = (
    10  # times are written between the frames: 258, 32 and these make the documented 300
)
_FRAMES_PER_SECOND_MAX = 24
_SIZE_CHARS = 262_144  # of base64: a picture's size stands at its beginning
_URL_SAFE = str.maketrans("-_", "+/")
_TEXTUAL = re.compile(
    r"application/(json|xml|x-javascript|javascript|x-python|x-sh|yaml|x-yaml|rtf|x-ndjson|sql)"
)
_OLDER = re.compile(r"(tunedmodels/)?(gemini-(1|2)|gemini-exp|gemini-embedding|learnlm|gemma)")


class Levels(NamedTuple):
    """The most tokens of a picture, a page and a frame at one resolution."""

    picture: int
    page: int
    frame: int


_LEVELS = {
    "": Levels(1120, 560, 70),
    "LOW": Levels(280, 280, 70),
    "MEDIUM": Levels(560, 560, 70),
    "HIGH": Levels(1120, 1120, 280),
    "ULTRA_HIGH": Levels(2240, 2240, 280),
}
_DEAREST = Levels(2240, 2240, 280)


class MediaTokens(NamedTuple):
    """What one piece of media adds to the prompt, by how it is billed."""

    text: int = 0
    audio: int = 0
    picture: int = 0  # film and pages included


class Allowing(Protocol):
    """Whoever knows what stands for a part that has no bound."""

    def tokens_for(self, kind: str, *, part: str, why: str) -> int:
        """Return the tokens that stand for a part of this kind. Raises: Uncountable."""


@lru_cache(maxsize=4096)
def counts_tiles(model: str) -> bool:
    """Whether a picture is cut into tiles, so that it costs by its size; later models scale it to a level."""
    return _OLDER.match(model.lower()) is not None


def bare_level(level: str) -> str:
    """A resolution's name without what all of them begin with; empty for the one that a model chooses."""
    return level.upper().removeprefix("MEDIA_RESOLUTION_").removeprefix("UNSPECIFIED")


class MediaCounter:
    """Counts media for one model; what tells no size stands at the tenant's allowance, or is refused."""

    def __init__(self, model: str, allowances: Allowing) -> None:
        """Count for a model under a tenant's allowances."""
        self._tiles = counts_tiles(model)
        self._allowances = allowances

    def count(
        self, kind: str, content: str, param: str, *, level: str = "", frames: float = 1.0
    ) -> MediaTokens:
        """Count base64 content of a media type; ``frames`` a second of film. Raises: Uncountable; RequestShapeError."""
        family = kind.lower().partition("/")[0]
        # Some clients write the alphabet that is safe in addresses.
        content = content.translate(_URL_SAFE) if "-" in content or "_" in content else content
        levels = _LEVELS.get(bare_level(level), _DEAREST)
        if family == "image":
            return MediaTokens(picture=self._picture(content, param, levels))
        if kind.lower().partition(";")[0] == "application/pdf":
            return MediaTokens(picture=self._pages(content, param, levels))
        if family == "audio":
            return self._sound(_decoded(content, param), param)
        if family == "video":
            return self._film(_decoded(content, param), param, levels, frames=frames)
        if family != "text" and not _TEXTUAL.match(kind.lower()):
            why = "documents of this type are turned into text or pictures, of which nobody knows how much"
            return MediaTokens(picture=self._allowances.tokens_for("document", part=param, why=why))
        return MediaTokens(text=text_tokens(_decoded(content, param).decode("utf-8", "replace")))

    def _picture(self, content: str, param: str, levels: Levels) -> int:
        if not self._tiles:
            return levels.picture
        size = picture_size(content)
        if size is None:
            return self._allowances.tokens_for(
                "image_url", part=param, why="the size of this picture cannot be read"
            )
        return tile_tokens(size)

    def _pages(self, content: str, param: str, levels: Levels) -> int:
        pages = pdf_pages(content)
        if pages is None:
            why = "the pages of this document cannot be counted"
            return self._allowances.tokens_for("document", part=param, why=why)
        return pages * (_PAGE_TOKENS if self._tiles else levels.page)

    def _sound(self, data: bytes, param: str) -> MediaTokens:
        length_ms = audio_ms(data)
        if length_ms is None:
            why = "the length of this recording cannot be read"
            return MediaTokens(audio=self._allowances.tokens_for("audio", part=param, why=why))
        return MediaTokens(audio=_seconds(length_ms) * _AUDIO_TOKENS_PER_SECOND)

    def _film(self, data: bytes, param: str, levels: Levels, *, frames: float) -> MediaTokens:
        length_ms = film_ms(data)
        if length_ms is None:
            why = "the length of this film cannot be read"
            return MediaTokens(picture=self._allowances.tokens_for("video", part=param, why=why))
        if not 0 < frames <= _FRAMES_PER_SECOND_MAX:
            raise RequestShapeError(
                f"{param}.videoMetadata.fps must be above 0, up to {_FRAMES_PER_SECOND_MAX}", param
            )
        seconds = _seconds(length_ms)
        shown = max(seconds, int(-(-seconds * frames // 1)))
        frame_tokens = _TILE_TOKENS if self._tiles else levels.frame
        return MediaTokens(
            audio=seconds * _AUDIO_TOKENS_PER_SECOND,
            picture=shown * (frame_tokens + _STAMP_TOKENS_PER_SECOND),
        )


def tile_tokens(size: tuple[int, int]) -> int:
    """Tokens of a picture that is cut into tiles, one of the whole included."""
    width, height = size
    if max(width, height) <= _SMALL_PIXELS:
        return _TILE_TOKENS
    tile = min(_TILE_PIXELS_MAX, max(_TILE_PIXELS_MIN, min(width, height) * 2 // 3))
    return _TILE_TOKENS * (1 + -(-width // tile) * -(-height // tile))


def picture_size(content: str) -> tuple[int, int] | None:
    """Read width and height out of base64: PNG, JPEG, WebP, GIF or HEIC; None where there are none to read."""
    content = content[:_SIZE_CHARS]
    size = data_url_size(f"data:image;base64,{content}")
    if size is not None:
        return size
    try:
        data = b64decode(content[: len(content) - len(content) % 4], validate=True)
    except (binascii.Error, ValueError):
        return None
    return _largest_extent(data) if data[4:8] == b"ftyp" else None


def _largest_extent(data: bytes) -> tuple[int, int] | None:
    """The largest picture that an HEIC or AVIF file declares."""
    found = [
        (int.from_bytes(data[place : place + 4], "big"), int.from_bytes(data[place + 4 : place + 8], "big"))
        for place in (match.end() + 4 for match in re.finditer(rb"ispe", data))
    ]
    return max(found, key=lambda size: size[0] * size[1], default=None)


def _seconds(length_ms: int) -> int:
    # One more: frames at both ends of the last second.
    return -(-length_ms // 1000) + 1


def _decoded(content: str, param: str) -> bytes:
    try:
        return b64decode(content + "=" * (-len(content) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise RequestShapeError(f"{param}.data must be base64", f"{param}.data") from error
