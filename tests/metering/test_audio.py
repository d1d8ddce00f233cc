from __future__ import annotations

import io
import wave
from base64 import b64encode

import pytest

from metering import audio
from metering.audio import seconds_max


def encoded(data: bytes) -> str:
    return b64encode(data).decode()


def wav(seconds: int, *, samples_per_second: int = 16_000, channels: int = 1) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(samples_per_second)
        file.writeframes(bytes(2 * channels * samples_per_second * seconds))
    return out.getvalue()


def frames(head: bytes, frame_bytes: int, number: int) -> bytes:
    return (head + bytes(frame_bytes - 4)) * number


@pytest.mark.parametrize(("samples_per_second", "channels"), [(16_000, 1), (44_100, 2)])
def test_a_wav_lasts_as_long_as_its_samples(samples_per_second: int, channels: int) -> None:
    data = wav(3, samples_per_second=samples_per_second, channels=channels)
    assert seconds_max(encoded(data)) == 4  # its header counts as sound, and seconds are begun


def test_a_wav_that_claims_more_bytes_a_second_than_its_samples_have_is_not_believed() -> None:
    data = bytearray(wav(3))
    data[28:32] = (10**9).to_bytes(4, "little")
    assert seconds_max(encoded(bytes(data))) == 4


def test_a_format_behind_another_chunk_is_found() -> None:
    data = wav(3)
    moved = data[:12] + b"LIST" + (3).to_bytes(4, "little") + b"abc\0" + data[12:]
    assert seconds_max(encoded(moved)) == 4


@pytest.mark.parametrize(
    ("head", "frame_bytes", "expected"),
    [
        (b"\xff\xfb\x90\x00", 417, 3),  # MPEG-1 layer III, 128 kbit/s at 44.1 kHz: 26 ms a frame
        (b"\xff\xf3\x10\x00", 26, 3),  # MPEG-2 layer III, 8 kbit/s at 22.05 kHz
        (b"\xff\xff\x10\x00", 32, 1),  # MPEG-1 layer I, 32 kbit/s at 44.1 kHz: 8.7 ms a frame
        (b"\xff\xfd\x10\x00", 104, 3),  # MPEG-1 layer II, 32 kbit/s
    ],
)
def test_an_mp3_lasts_as_long_as_its_frames(head: bytes, frame_bytes: int, expected: int) -> None:
    assert seconds_max(encoded(frames(head, frame_bytes, 100))) == expected


def test_what_is_between_frames_counts_as_the_slowest_sound() -> None:
    data = frames(b"\xff\xfb\x90\x00", 417, 1)
    assert seconds_max(encoded(data + bytes(5_000))) == 6
    assert seconds_max(encoded(b"ID3" + bytes(4_000) + b"\xff" * 1_000 + data)) == 6


@pytest.mark.parametrize(
    "head",
    [
        b"\xff\xeb\x90\x00",  # a version that is none
        b"\xff\xf9\x90\x00",  # a layer that is none: the frames of AAC
        b"\xff\xfb\x00\x00",  # a free rate
        b"\xff\xfb\xf0\x00",
        b"\xff\xfb\x9c\x00",
        b"\xff\xfb",
        b"OggS" + bytes(100),
        b"RIFF\0\0\0\0WAVEdata" + bytes(100),
        b"RIFF\0\0\0\0AVI fmt " + bytes(100),
        b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x55\0" + bytes(40),  # an MP3 in a WAV
        b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0" + bytes(40),  # no channels
        b"",
    ],
)
def test_the_length_of_anything_else_is_not_told(head: bytes) -> None:
    assert seconds_max(encoded(head)) is None


def test_what_is_no_base64_or_too_long_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    assert seconds_max("????") is None
    monkeypatch.setattr(audio, "AUDIO_CHARS_MAX", 10)
    assert seconds_max(encoded(wav(1))) is None
