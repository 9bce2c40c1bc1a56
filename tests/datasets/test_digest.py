"""Digests that are remembered, and forgotten when they should be."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path
from typing import Any

import pytest

from edgeprune.datasets.digest import Memo, file_digest, files_digest
from edgeprune.errors import DatasetError
from edgeprune.progress import SilentProgress

QUIET = SilentProgress()


def _age(path: Path, seconds: float = 60.0) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then))


@pytest.fixture
def memo(tmp_path: Path) -> Memo:
    return Memo(tmp_path / "state" / "digests.json")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "archive.tar.gz"
    path.write_bytes(b"abc")
    _age(path)
    return path


def test_it_is_the_sha256(file: Path) -> None:
    assert file_digest(file, None, QUIET) == hashlib.sha256(b"abc").hexdigest()


def test_an_unchanged_file_is_not_read_again(
    file: Path, memo: Memo, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = file_digest(file, memo, QUIET)
    real = Path.open

    def guarded(path: Path, *args: Any, **options: Any) -> Any:
        assert path != file, "the file was read"
        return real(path, *args, **options)

    monkeypatch.setattr(Path, "open", guarded)
    assert file_digest(file, memo, QUIET) == first


def test_a_changed_file_is_read_again(file: Path, memo: Memo) -> None:
    file_digest(file, memo, QUIET)
    file.write_bytes(b"abd")
    _age(file, 30)
    assert file_digest(file, memo, QUIET) == hashlib.sha256(b"abd").hexdigest()


def test_a_file_changed_just_now_is_not_remembered(file: Path, memo: Memo) -> None:
    file.write_bytes(b"new")
    file_digest(file, memo, QUIET)
    assert not memo.path.exists()


@pytest.mark.parametrize("content", ["", "not json", "[]", '{"key": 1}'])
def test_a_damaged_memo_does_no_harm(file: Path, memo: Memo, content: str) -> None:
    memo.path.parent.mkdir()
    memo.path.write_text(content)
    assert file_digest(file, memo, QUIET) == hashlib.sha256(b"abc").hexdigest()
    assert hashlib.sha256(b"abc").hexdigest() in memo.path.read_text()


def test_a_memo_that_can_not_be_written_does_no_harm(file: Path, tmp_path: Path) -> None:
    (tmp_path / "blocked").write_text("a file, not a folder")
    memo = Memo(tmp_path / "blocked" / "digests.json")
    assert file_digest(file, memo, QUIET) == hashlib.sha256(b"abc").hexdigest()


def test_the_oldest_are_forgotten(memo: Memo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Memo, "_MOST", 3)
    for key in "abcd":
        memo.keep(key, key * 2)
    assert [memo.find(key) for key in "abcd"] == [None, "bb", "cc", "dd"]


def test_a_missing_file_is_an_error(tmp_path: Path, memo: Memo) -> None:
    with pytest.raises(DatasetError, match="No such file"):
        file_digest(tmp_path / "none", memo, QUIET)


def _folder(root: Path, content: dict[str, bytes]) -> Path:
    for name, data in content.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        _age(path)
    _age(root)
    return root


def test_a_folder_is_its_names_and_contents(tmp_path: Path, memo: Memo) -> None:
    content = {"yes/a.wav": b"1", "no/b.wav": b"2"}
    names = list(content)
    first = files_digest(_folder(tmp_path / "a", content), names, memo, QUIET)
    moved = files_digest(_folder(tmp_path / "b", content), names[::-1], memo, QUIET)
    assert first == moved

    others = [
        {"yes/a.wav": b"1", "no/b.wav": b"3"},
        {"yes/a.wav": b"1", "no/c.wav": b"2"},
        {"yes/a.wav": b"2", "no/b.wav": b"1"},
        {"yes/a.wav": b"1"},
    ]
    digests = {
        files_digest(_folder(tmp_path / f"c{index}", other), list(other), memo, QUIET)
        for index, other in enumerate(others)
    }
    assert len(digests | {first}) == 5


def test_an_unchanged_folder_is_not_read_again(
    tmp_path: Path, memo: Memo, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = _folder(tmp_path / "a", {"yes/a.wav": b"1", "no/b.wav": b"2"})
    first = files_digest(root, ["yes/a.wav", "no/b.wav"], memo, QUIET)
    monkeypatch.setattr(Path, "read_bytes", lambda _: pytest.fail("a file was read"))
    assert files_digest(root, ["yes/a.wav", "no/b.wav"], memo, QUIET) == first
    (root / "yes" / "a.wav").write_bytes(b"3")
    with pytest.raises(pytest.fail.Exception, match="was read"):
        files_digest(root, ["yes/a.wav", "no/b.wav"], memo, QUIET)
