from __future__ import annotations

import struct
from base64 import b64encode

import pytest

from metering.images import Pictures, data_url_size, image_tokens, patch_count, tile_count
from metering.model_families import ImageRule, patches, tiles


def url(content: bytes, mime: str = "image/png") -> str:
    return f"data:{mime};base64,{b64encode(content).decode()}"


def png(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", width, height) + b"\x08\x02\0\0\0rest"


def webp(kind: bytes, fields: bytes) -> bytes:
    return b"RIFF\0\0\0\0WEBP" + kind + b"\0\0\0\0" + fields.ljust(14, b"\0")


def jpeg(width: int, height: int, *, frame: int = 0xC2, before: int = 300) -> bytes:
    profile = b"\xff\xe1" + struct.pack(">H", before + 2) + b"\xff\xc0" * (before // 2)
    table = b"\xff\xc4" + struct.pack(">H", 4) + b"\0\0"
    start = b"\xff" + bytes([frame]) + struct.pack(">HBHHB", 17, 8, height, width, 3) + bytes(9)
    return b"\xff\xd8" + profile + table + start


@pytest.mark.parametrize(
    ("content", "size"),
    [
        (png(640, 480), (640, 480)),
        (jpeg(1024, 768), (1024, 768)),
        (jpeg(1024, 768, frame=0xC0, before=60_000), (1024, 768)),
        (webp(b"VP8 ", b"\0\0\0\x9d\x01\x2a" + struct.pack("<HH", 640 | 1 << 14, 480)), (640, 480)),
        (webp(b"VP8L", b"\x2f" + (639 | 479 << 14).to_bytes(4, "little")), (640, 480)),
        (webp(b"VP8X", b"\0\0\0\0" + (639).to_bytes(3, "little") + (479).to_bytes(3, "little")), (640, 480)),
        (webp(b"ALPH", b""), None),
        (webp(b"VP8 ", b"")[:20], None),
        (png(0, 480), None),
        (png(640, 480)[:20], None),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rXXXX" + bytes(20), None),
        (b"\xff\xd8\xff\xd9", None),
        (b"\xff\xd8" + bytes(20), None),
        (b"GIF89a" + bytes(20), None),
        (b"", None),
    ],
)
def test_a_size_is_read_from_the_header(content: bytes, size: tuple[int, int] | None) -> None:
    assert data_url_size(url(content)) == size


@pytest.mark.parametrize(
    "text",
    ["https://example.com/a.png", "data:image/png,abc", "data:image/png;base64,!!!!", "file;base64,AAAA"],
)
def test_what_is_no_data_url_has_no_size(text: str) -> None:
    assert data_url_size(text) is None


@pytest.mark.parametrize(
    ("size", "count"),
    [
        ((128, 64), 1),
        ((512, 512), 1),
        ((513, 512), 2),
        ((1024, 1024), 4),
        ((2048, 4096), 6),
        ((4096, 4096), 4),
        ((6000, 600), 4),
        ((100_000, 10), 4),
        (None, 8),
    ],
)
def test_tiles_are_counted_after_scaling(size: tuple[int, int] | None, count: int) -> None:
    assert tile_count(size) == count


@pytest.mark.parametrize(
    ("size", "count"), [((32, 33), 2), ((1024, 1024), 1024), ((4000, 4000), 1536), (None, 1536)]
)
def test_patches_are_counted_up_to_their_budget(size: tuple[int, int] | None, count: int) -> None:
    assert patch_count(size, 1536) == count


def test_a_picture_costs_by_its_rule_and_detail() -> None:
    by_tiles = tiles(85, 170)
    assert image_tokens(by_tiles, url(png(1024, 1024)), "high") == 765
    assert image_tokens(by_tiles, "https://example.com/a.png", "auto") == 1445
    assert image_tokens(by_tiles, "https://example.com/a.png", "low") == 85
    # Patches take no notice of the detail, and a part of a token is one.
    assert image_tokens(patches(162), url(png(32, 32)), "low") == 2
    assert image_tokens(patches(162), "https://example.com/a.png", "auto") == 2489
    assert image_tokens(ImageRule(70, 140, 10_000, 120), "https://example.com/a.png", "auto") == 12_000
    assert image_tokens(ImageRule(70, 140, 10_000, 120), url(png(32, 32)), "auto") == 210


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (b"GIF89a\x4a\x01\x23\x01" + bytes(20), (330, 291)),
        (b"GIF87a\x4a", None),
        (b"BM" + bytes(16) + (330).to_bytes(4, "little") + (291).to_bytes(4, "little"), (330, 291)),
        (
            b"BM" + bytes(16) + (330).to_bytes(4, "little") + (-291).to_bytes(4, "little", signed=True),
            (330, 291),
        ),
        (b"BM" + bytes(10), None),
    ],
)
def test_sizes_in_a_fixed_place_are_read(data: bytes, size: tuple[int, int] | None) -> None:
    assert data_url_size(url(data)) == size


def test_a_picture_by_its_area_needs_a_size() -> None:
    by_area = Pictures(area_pixels=750)
    assert by_area.tokens((330, 291)) == 129
    assert by_area.tokens(None) is None
    assert Pictures(side_pixels=28, most=3025, row_tokens=1).tokens(None) == 3025 + 55
