from __future__ import annotations

import gzip
import hashlib
import stat
from pathlib import Path

import pytest

from metering import vocabularies
from metering.errors import TokenizerError
from metering.vocabularies import place_vocabularies


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


EXPECTED = {one.file_name: one.sha256 for one in vocabularies._VOCABULARIES.values()}


def test_vocabularies_are_written_once_and_closed_for_writing(tmp_path: Path) -> None:
    folder = place_vocabularies(str(tmp_path))
    assert digests(folder) == EXPECTED
    assert stat.S_IMODE(folder.stat().st_mode) == 0o555
    written = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert place_vocabularies(str(tmp_path)) == folder
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == written


def test_a_vocabulary_that_was_tampered_with_is_replaced(tmp_path: Path) -> None:
    folder = place_vocabularies(str(tmp_path))
    folder.chmod(0o755)
    victim = next(folder.iterdir())
    victim.chmod(0o644)
    victim.write_bytes(b"AA== 0\n")
    assert digests(place_vocabularies(str(tmp_path))) == EXPECTED


def test_the_place_is_given_or_from_the_environment_or_temporary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAREBOX_HOME", str(tmp_path / "home"))
    assert place_vocabularies() == tmp_path / "home" / "tiktoken"
    monkeypatch.delenv("FAREBOX_HOME")
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    assert place_vocabularies().parent.parent == tmp_path


@pytest.mark.parametrize(
    "packed",
    [None, b"no gzip", gzip.compress(b"AA== 0\n", mtime=0)],
    ids=["missing", "no gzip", "another file"],
)
def test_a_wrong_package_is_refused_and_nothing_written(
    packed: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "package"
    (package / "data").mkdir(parents=True)
    if packed is not None:
        (package / "data" / "cl100k_base.tiktoken.gz").write_bytes(packed)
    monkeypatch.setattr("importlib.resources.files", lambda _name: package)
    with pytest.raises(TokenizerError, match="cl100k_base"):
        place_vocabularies(str(tmp_path / "home"))
    assert not (tmp_path / "home").exists()
