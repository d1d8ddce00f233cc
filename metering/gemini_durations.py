"""How long a recording is, told from its own frames and headers without playing it; None where it cannot be told.

What is counted in seconds (sound, film) is bounded by this. Figures are milliseconds, rounded up.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

_SECOND_MS = 1000
_TAG_BYTES_MAX = 4096
_BOXES_MAX = 10_000
_HEADER_BYTES = 4096
_FRAMES_MAX = 400_000  # some three hours; more of them would hold up everybody else's request
_FRAGMENT = -1  # a piece of a film whose length no header sums up
# MPEG audio: bit rates in kbit/s by version and layer, sample rates by version. Source: ISO/IEC 11172-3 and 13818-3.
_RATES_V1 = {
    3: (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    2: (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    1: (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
}
_LOW = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_RATES_V2 = {3: (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256), 2: _LOW, 1: _LOW}
_ADTS_HERTZ = (
    96_000,
    88_200,
    64_000,
    48_000,
    44_100,
    32_000,
    24_000,
    22_050,
    16_000,
    12_000,
    11_025,
    8_000,
    7_350,
)
_HERTZ = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}


def audio_ms(data: bytes) -> int | None:
    """Tell the length of WAV, FLAC, Ogg, MP3 or MPEG-4 sound; None for anything else."""
    for read in (_wav_ms, _flac_ms, _ogg_ms, film_ms, _mpeg_ms):
        found = read(data)
        if found is not None:
            return found
    return None


def film_ms(data: bytes) -> int | None:
    """Tell the length of an MPEG-4 or QuickTime film, the longest of all that its headers say."""
    if data[4:8] not in (b"ftyp", b"moov", b"mdat", b"wide", b"free"):
        return None
    times = list(_movie_times(data, 0, len(data), depth=0))
    longest = max(times, default=0)
    return longest if longest > 0 and _FRAGMENT not in times else None


def _movie_times(data: bytes, start: int, end: int, *, depth: int) -> Iterator[int]:
    """Durations of the movie, its tracks' media and its fragments, wherever they are told."""
    for kind, inner, after in _boxes(data, start, end):
        if kind in (b"moov", b"trak", b"mdia", b"mvex") and depth < 4:
            yield from _movie_times(data, inner, after, depth=depth + 1)
        elif kind in (b"mvhd", b"mdhd"):
            yield _header_ms(data[inner:after])
        elif kind == b"moof":
            yield _FRAGMENT


def _boxes(data: bytes, place: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    for _ in range(_BOXES_MAX):
        if place + 8 > end:
            return
        size = int.from_bytes(data[place : place + 4], "big")
        head = 8
        if size == 1:
            size, head = int.from_bytes(data[place + 8 : place + 16], "big"), 16
        after = end if size == 0 else place + size
        if (size and size < head) or after > end:
            after = end
        yield data[place + 4 : place + 8], place + head, after
        place = after


def _header_ms(header: bytes) -> int:
    wide = header[:1] == b"\x01"
    place, size = (20, 8) if wide else (12, 4)
    scale = int.from_bytes(header[place : place + 4], "big")
    length = int.from_bytes(header[place + 4 : place + 4 + size], "big")
    unknown = length in (0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF)
    return 0 if unknown or not scale else -(-length * _SECOND_MS // scale)


def _wav_ms(data: bytes) -> int | None:
    if data[:4] not in (b"RIFF", b"RF64") or data[8:12] != b"WAVE":
        return None
    # Any that may be meant: a piece that players pass over may hold another.
    found = [match.start() for match in re.finditer(b"fmt ", data[:_HEADER_BYTES])]
    bytes_per_second = min(filter(None, (_wav_bytes_per_second(data[place:]) for place in found)), default=0)
    # All of the file, whatever its header calls the length of its data.
    return -(-len(data) * _SECOND_MS // bytes_per_second) if bytes_per_second else None


def _wav_bytes_per_second(header: bytes) -> int:
    """As told, and of plain samples as a player works it out: the slower of both; 0 where nothing is told."""
    coding, channels, hertz, told, _, bits = struct.unpack("<HHIIHH", header[8:24].ljust(16, b"\0"))
    played = channels * hertz * bits // 8 if coding == 1 else 0
    return min(filter(None, (told, played)), default=0)


def _flac_ms(data: bytes) -> int | None:
    if data[:4] != b"fLaC" or len(data) < 26:
        return None
    packed = int.from_bytes(data[18:26], "big")
    hertz, samples = packed >> 44, packed & 0xFFFFFFFFF
    return -(-samples * _SECOND_MS // hertz) if hertz and samples else None


def _ogg_ms(data: bytes) -> int | None:
    if data[:4] != b"OggS":
        return None
    vorbis = data.find(b"\x01vorbis", 0, 512)
    hertz = 48_000 if b"OpusHead" in data[:512] else 0
    if vorbis >= 0:
        hertz = int.from_bytes(data[vorbis + 12 : vorbis + 16], "little")
    last = data.rfind(b"OggS")
    samples = int.from_bytes(data[last + 6 : last + 14], "little")
    return -(-samples * _SECOND_MS // hertz) if hertz and 0 < samples < 1 << 62 else None


def _mpeg_ms(data: bytes) -> int | None:
    """Add up the frames of MP3 or bare AAC one by one: a variable bit rate has no other length."""
    place = 0
    if data[:3] == b"ID3" and len(data) > 10:
        place = 10 + sum(
            (byte & 0x7F) << shift for byte, shift in zip(data[6:10], (21, 14, 7, 0), strict=True)
        )
    micros = frames = 0
    while place + 7 <= len(data) and frames < _FRAMES_MAX:
        head = data[place : place + 7]
        frame = _adts_frame(head) or _mpeg_frame(head[:4])
        if frame is None:
            break
        frames += 1
        place += frame[0]
        micros += frame[1]
    rest = len(data) - min(place, len(data))
    # What is left over may be a tag of at most some hundred bytes, or sound that was not understood.
    return -(-micros // _SECOND_MS) if frames and rest <= _TAG_BYTES_MAX else None


def _adts_frame(head: bytes) -> tuple[int, int] | None:
    """A frame of AAC: its bytes and its microseconds; None where there is none."""
    hertz = head[2] >> 2 & 15
    if head[0] != 0xFF or head[1] & 0xF6 != 0xF0 or hertz >= len(_ADTS_HERTZ):
        return None
    size = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
    samples = (1 + (head[6] & 3)) * 1024
    return (size, -(-samples * 1_000_000 // _ADTS_HERTZ[hertz])) if size > 6 else None


def _mpeg_frame(head: bytes) -> tuple[int, int] | None:
    """A frame's bytes and its microseconds; None where there is none."""
    (word,) = struct.unpack(">I", head)
    version, layer = word >> 19 & 3, word >> 17 & 3
    rate, hertz = word >> 12 & 15, word >> 10 & 3
    if word >> 21 != 0x7FF or version == 1 or layer == 0 or rate in (0, 15) or hertz == 3:
        return None
    kbits = (_RATES_V1 if version == 3 else _RATES_V2)[layer][rate - 1]
    samples = 384 if layer == 3 else 576 if layer == 1 and version != 3 else 1152
    slot = 4 if layer == 3 else 1
    samples_per_second = _HERTZ[version][hertz]
    size = (samples // 8 * kbits * 1000 // samples_per_second // slot + (word >> 9 & 1)) * slot
    return (size, -(-samples * 1_000_000 // samples_per_second)) if size > 4 else None
