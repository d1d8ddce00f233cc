"""How long a recording is, told from its own frames: files are made here, byte by byte."""

from __future__ import annotations

import struct

import pytest

from metering.gemini_durations import audio_ms, film_ms


def wav(seconds: float, *, rate: int = 8_000) -> bytes:
    data = bytes(int(seconds * rate) * 2)
    form = struct.pack("<HHIIHH", 1, 1, rate, rate * 2, 2, 16)
    head = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(data))
    return b"RIFF" + struct.pack("<I", len(head) + len(data)) + head + data


def flac(samples: int, *, hertz: int = 44_100) -> bytes:
    return b"fLaC" + bytes(14) + (hertz << 44 | samples).to_bytes(8, "big") + bytes(18)


def ogg(samples: int, head: bytes) -> bytes:
    first = b"OggS" + bytes(24) + head
    return first + b"OggS\x00\x04" + samples.to_bytes(8, "little", signed=False) + bytes(20)


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content) + 8) + kind + content


def movie(*headers: bytes, more: bytes = b"") -> bytes:
    media = b"".join(box(b"trak", box(b"mdia", box(b"mdhd", header))) for header in headers[1:])
    return box(b"ftyp", b"isom" * 2) + box(b"moov", box(b"mvhd", headers[0]) + media) + more + b"\x00\x00"


def header(length: int, scale: int = 1000, *, wide: bool = False) -> bytes:
    if wide:
        return b"\x01\x00\x00\x00" + bytes(16) + struct.pack(">IQ", scale, length)
    return bytes(12) + struct.pack(">II", scale, length)


MP3 = b"\xff\xfb\x90\x00" + bytes(413)  # MPEG-1 layer 3, 128 kbit/s, 44.1 kHz: 417 bytes, 1,152 samples


def adts(size: int = 100, *, blocks: int = 1) -> bytes:
    head = bytearray(b"\xff\xf1\x50\x80\x00\x1f\xfc")
    head[3] |= size >> 11
    head[4] = size >> 3 & 0xFF
    head[5] = (size & 7) << 5 | 0x1F
    head[6] = 0xFC | (blocks - 1)
    return bytes(head) + bytes(size - 7)


@pytest.mark.parametrize(
    ("data", "least_ms", "most_ms"),
    [
        (wav(2), 2000, 2005),
        (flac(44_100 * 3), 3000, 3000),
        (ogg(48_000 * 2, b"OpusHead"), 2000, 2000),
        (ogg(44_100, b"\x01vorbis" + bytes(5) + struct.pack("<I", 44_100)), 1000, 1000),
        (MP3 * 100, 2612, 2613),
        (b"ID3\x04\x00\x00\x00\x00\x01\x00" + bytes(128) + MP3 * 100 + b"TAG" + bytes(125), 2612, 2613),
        (adts() * 100, 2321, 2323),
        (adts(blocks=4) * 100, 9287, 9290),
        (movie(header(5000)), 5000, 5000),
        (movie(header(5000), header(48_000 * 6, 48_000)), 6000, 6000),
        (movie(header(5000, wide=True)), 5000, 5000),
    ],
)
def test_the_length_of_what_is_whole(data: bytes, least_ms: int, most_ms: int) -> None:
    found = audio_ms(data)
    assert found is not None
    assert least_ms <= found <= most_ms


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"nothing known at all",
        b"RIFF\x00\x00\x00\x00WAVE",
        b"RIFF\x00\x00\x00\x00WAVEfmt " + bytes(20),
        b"fLaC",
        flac(0),
        ogg(48_000, b"neither"),
        ogg(0, b"OpusHead"),
        ogg(2**64 - 1, b"OpusHead"),
        MP3 + bytes(5000),
        adts(8) * 401_000,
        MP3[:4],
        b"\xff\xfb\xf0\x00" + bytes(400),
        b"\xff\xe9\x90\x00" + bytes(400),
        b"\xff\xf9\x90\x00" + bytes(400),
        b"\xff\xf1\x3c\x80\x00\x1f\xfc" + bytes(100),
        b"\xff\xf1\x50\x80\x00\x00\xfc" + bytes(100),
        movie(header(0)),
        movie(header(0xFFFFFFFF)),
        movie(header(1, 0)),
        movie(header(5000), more=box(b"moof", b"")),
        box(b"ftyp", b"isom"),
        box(b"ftyp", b"isom") + box(b"free", b"") * 10_001,
        box(b"ftyp", b"isom") + box(b"moov", box(b"moov", box(b"moov", box(b"moov", box(b"moov", b""))))),
    ],
)
def test_a_length_that_cannot_be_told_is_none(data: bytes) -> None:
    assert audio_ms(data) is None


def test_boxes_may_be_large_or_reach_to_the_end() -> None:
    large = struct.pack(">I", 1) + b"free" + struct.pack(">Q", 16)
    assert film_ms(box(b"ftyp", b"") + large + box(b"moov", box(b"mvhd", header(7000)))) == 7000
    open_end = struct.pack(">I", 0) + b"moov" + box(b"mvhd", header(8000))
    assert film_ms(box(b"ftyp", b"") + open_end) == 8000
    odd = struct.pack(">I", 4) + b"moov" + box(b"mvhd", header(9000))
    assert film_ms(box(b"ftyp", b"") + odd) == 9000


def test_frames_of_other_versions_and_layers() -> None:
    layer_one = b"\xff\xff\x10\x00" + bytes(28)  # MPEG-1 layer 1, 32 kbit/s, 44.1 kHz: 32 bytes, 384 samples
    assert audio_ms(layer_one * 10) == 88
    low = b"\xff\xf3\x40\x00" + bytes(100)  # MPEG-2 layer 3: 576 samples a frame
    assert audio_ms(low * 10) == 262
