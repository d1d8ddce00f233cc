"""How long a recording lasts, read from its own bytes: what sound costs goes by its seconds."""

from __future__ import annotations

import binascii
from base64 import b64decode

# Beyond this, reading a recording would hold up everybody else's request.
AUDIO_CHARS_MAX = 12_000_000  # of base64
# MPEG audio has no lower bit rate than 8 kbit/s (layers II and III of MPEG-2), which is 1,000 bytes a second.
_MPEG_BYTES_PER_SECOND_MIN = 1_000
_MS = 1_000
# Kilobits per second by (is MPEG-1, layer), as ISO/IEC 11172-3 and 13818-3 number them from 1 on.
_RATES_KBPS = {
    (True, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_SAMPLES_PER_SECOND = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}


def seconds_max(content: str) -> int | None:
    """Bound the length of a base64 WAV or MP3 in whole seconds; None for what is neither, or is too long to read."""
    if len(content) > AUDIO_CHARS_MAX:
        return None
    try:
        data = b64decode(content[: len(content) // 4 * 4], validate=True)
    except (binascii.Error, ValueError):
        return None
    if data.startswith(b"RIFF") and data[8:12] == b"WAVE":
        bytes_per_second = _wav_bytes_per_second(data)
        return -(-len(data) // bytes_per_second) if bytes_per_second else None
    if data.startswith(b"ID3") or _frame(data, 0):
        return -(-_mpeg_ms(data) // _MS)
    return None


def _wav_bytes_per_second(data: bytes) -> int | None:
    """Of plain samples, worked out from what a player goes by; None for a WAV that holds anything else."""
    place = 12
    while place + 24 <= len(data):
        name, length = data[place : place + 4], int.from_bytes(data[place + 4 : place + 8], "little")
        if name == b"fmt ":
            coding, channels = (int.from_bytes(data[at : at + 2], "little") for at in (place + 8, place + 10))
            samples_per_second = int.from_bytes(data[place + 12 : place + 16], "little")
            bits = int.from_bytes(data[place + 22 : place + 24], "little")
            return samples_per_second * channels * bits // 8 if coding == 1 else None
        place += 8 + length + length % 2
    return None


def _mpeg_ms(data: bytes) -> int:
    """Walk the frames of an MP3; what is between them counts as the slowest sound there is."""
    place = skipped_bytes = 0
    thousandth_ms = 0
    while place < len(data):
        found = _frame(data, place)
        if found is None:
            after = data.find(b"\xff", place + 1)
            after = len(data) if after < 0 else after
            skipped_bytes += after - place
            place = after
        else:
            frame_bytes, frame_us = found
            thousandth_ms += frame_us
            place += frame_bytes
    return -(-thousandth_ms // _MS) + skipped_bytes * _MS // _MPEG_BYTES_PER_SECOND_MIN


def _frame(data: bytes, place: int) -> tuple[int, int] | None:
    """A frame's length in bytes and in microseconds; None where none begins."""
    if place + 4 > len(data) or data[place] != 0xFF or data[place + 1] & 0xE0 != 0xE0:
        return None
    version, layer = data[place + 1] >> 3 & 3, 4 - (data[place + 1] >> 1 & 3)
    rate, speed = data[place + 2] >> 4, data[place + 2] >> 2 & 3
    if version == 1 or layer == 4 or rate in (0, 15) or speed == 3:
        return None
    padding, is_first = data[place + 2] >> 1 & 1, version == 3
    samples_per_second = _SAMPLES_PER_SECOND[version][speed]
    bits_per_second = _RATES_KBPS[is_first, layer][rate - 1] * 1_000
    samples = 384 if layer == 1 else 576 if layer == 3 and not is_first else 1152
    slot_bytes = 4 if layer == 1 else 1
    frame_bytes = (samples // 8 // slot_bytes * bits_per_second // samples_per_second + padding) * slot_bytes
    return frame_bytes, -(-samples * 1_000_000 // samples_per_second)
