"""Tokens of a picture in a prompt, from its size where that can be read and from the maximum where it cannot."""

from __future__ import annotations

import binascii
from base64 import b64decode
from math import isqrt
from typing import Annotated

import msgspec

from metering.model_families import ImageRule

TILES_MAX = 8  # 2048 x 768 after scaling: four by two
_PIXELS_MAX = 2048
_SHORT_SIDE = 768
_TILE = 512
_PATCH = 32
_HEAD_CHARS = 262_144  # of base64: a JPEG's size may stand behind a large profile
_PNG = b"\x89PNG\r\n\x1a\n"
# Start-of-frame markers; between them lie tables (C4, C8, CC) that carry no size.
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


class Pictures(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a picture costs where it goes by cells (tiles or patches) of ``side_pixels``, or by its area."""

    side_pixels: Annotated[int, msgspec.Meta(ge=0)] = 0
    each_tokens: Annotated[int, msgspec.Meta(ge=1)] = 1
    most: Annotated[int, msgspec.Meta(ge=0)] = 0  # cells; 0 = no largest is known
    row_tokens: Annotated[int, msgspec.Meta(ge=0)] = 0
    base_tokens: Annotated[int, msgspec.Meta(ge=0)] = 0
    area_pixels: Annotated[int, msgspec.Meta(ge=0)] = 0

    def tokens(self, size: tuple[int, int] | None) -> int | None:
        """Bound a picture by its size in pixels; the most there is where that is unknown, or None without a most."""
        if self.area_pixels:
            return None if size is None else -(-size[0] * size[1] // self.area_pixels) + self.base_tokens
        cells, rows = self.most, isqrt(self.most)
        if size is not None:
            rows = -(-size[1] // self.side_pixels)
            cells = min(self.most, rows * -(-size[0] // self.side_pixels))
            rows = min(rows, isqrt(self.most))
        return self.base_tokens + cells * self.each_tokens + rows * self.row_tokens


def image_tokens(rule: ImageRule, url: str, detail: str) -> int:
    """Bound the tokens of a picture given by URL; a data URL tells its size."""
    size = data_url_size(url)
    by_tiles = by_patches = 0
    if rule.tile_tokens:
        count = 0 if detail == "low" else tile_count(size)
        by_tiles = rule.base_tokens + count * rule.tile_tokens
    if rule.patches_max:
        by_patches = -(-patch_count(size, rule.patches_max) * rule.factor_percent // 100)
    return max(by_tiles, by_patches)


def tile_count(size: tuple[int, int] | None) -> int:
    """Tiles of 512 pixels after scaling into 2048 x 2048 and down to a short side of 768; the most if unknown."""
    if size is None:
        return TILES_MAX
    width, height = size
    long_side = max(width, height)
    if long_side > _PIXELS_MAX:
        width, height = -(-width * _PIXELS_MAX // long_side), -(-height * _PIXELS_MAX // long_side)
    short_side = min(width, height)
    if short_side > _SHORT_SIDE:
        width, height = -(-width * _SHORT_SIDE // short_side), -(-height * _SHORT_SIDE // short_side)
    return min(TILES_MAX, -(-width // _TILE) * -(-height // _TILE))


def patch_count(size: tuple[int, int] | None, patches_max: int) -> int:
    """Patches of 32 pixels, never more than the budget a picture is scaled down to; the budget if unknown."""
    if size is None:
        return patches_max
    return min(patches_max, -(-size[0] // _PATCH) * -(-size[1] // _PATCH))


def data_url_size(url: str) -> tuple[int, int] | None:
    """Read width and height out of a data URL's PNG, JPEG, WebP, GIF or BMP header; None where none can be read."""
    head, mark, content = url[: _HEAD_CHARS + 64].partition(";base64,")
    if not mark or not head.startswith("data:"):
        return None
    content = content[:_HEAD_CHARS]
    try:
        data = b64decode(content[: len(content) - len(content) % 4], validate=True)
    except (binascii.Error, ValueError):
        return None
    size = _png_size(data) or _jpeg_size(data) or _webp_size(data) or _plain_size(data)
    return size if size and min(size) > 0 else None


def _png_size(data: bytes) -> tuple[int, int] | None:
    if not data.startswith(_PNG) or data[12:16] != b"IHDR" or len(data) < 24:
        return None
    return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")


def _plain_size(data: bytes) -> tuple[int, int] | None:
    """Of GIF and BMP, whose sizes stand in a fixed place; a BMP's height is negative where its rows go down."""
    if data[:6] in (b"GIF87a", b"GIF89a") and len(data) >= 10:
        return int.from_bytes(data[6:8], "little"), int.from_bytes(data[8:10], "little")
    if data.startswith(b"BM") and len(data) >= 26:
        width, height = (int.from_bytes(data[at : at + 4], "little", signed=True) for at in (18, 22))
        return abs(width), abs(height)
    return None


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    if not data.startswith(b"\xff\xd8"):
        return None
    place = 2
    while place + 9 <= len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        if marker == 0xFF:  # filling, of which there may be any amount
            place += 1
            continue
        if marker in _JPEG_FRAMES:
            return int.from_bytes(data[place + 7 : place + 9], "big"), int.from_bytes(
                data[place + 5 : place + 7], "big"
            )
        place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    return None


def _webp_size(data: bytes) -> tuple[int, int] | None:
    if not data.startswith(b"RIFF") or data[8:12] != b"WEBP" or len(data) < 30:
        return None
    match data[12:16]:
        case b"VP8X":  # extended: both less one, in three bytes each
            return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
        case b"VP8L":  # lossless: both less one, in 14 bits each
            packed = int.from_bytes(data[21:25], "little")
            return 1 + (packed & 0x3FFF), 1 + (packed >> 14 & 0x3FFF)
        case b"VP8 ":  # lossy: 14 bits each, above which stands a scale for showing
            return int.from_bytes(data[26:28], "little") & 0x3FFF, int.from_bytes(
                data[28:30], "little"
            ) & 0x3FFF
    return None
