"""Folders and archives: what is seen in them, and archives that are damaged or hostile."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path
from typing import Any

import pytest

from edgeprune.datasets.sources import FolderSource, TarSource, existing, open_source
from edgeprune.errors import DatasetError
from edgeprune.progress import SilentProgress

QUIET = SilentProgress()
CONTENT = {"yes/a.wav": b"1" * 5000, "yes/b.wav": b"22", "no/a.wav": b"", "list.txt": b"x"}


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_an_archive_reads_like_the_folder(tmp_path: Path, files: Any, mode: str) -> None:
    folder = open_source(files.write(tmp_path / "folder", CONTENT), QUIET)
    archive = open_source(files.pack(tmp_path / "archive.tgz", CONTENT, mode), QUIET)
    assert isinstance(folder, FolderSource)
    assert isinstance(archive, TarSource)
    assert folder.names() == archive.names() == sorted(CONTENT)
    wanted = ["yes/b.wav", "no/a.wav"]
    for source in (folder, archive):
        assert dict(source.read(wanted)) == {name: CONTENT[name] for name in wanted}
    assert folder.where("yes/b.wav") == str(tmp_path / "folder" / "yes" / "b.wav")
    assert archive.where("yes/b.wav") == f"{tmp_path / 'archive.tgz'}: yes/b.wav"


@pytest.mark.parametrize("prefix", ["./", "speech_commands_v0.02/", "./data/"])
def test_a_shared_top_folder_is_left_out(tmp_path: Path, files: Any, prefix: str) -> None:
    content = {f"{prefix}{name}": data for name, data in CONTENT.items()}
    archive = TarSource(files.pack(tmp_path / "a.tar.gz", content), QUIET)
    assert archive.names() == sorted(CONTENT)
    assert dict(archive.read(["yes/b.wav"])) == {"yes/b.wav": b"22"}


def test_an_archive_of_one_word_keeps_its_folder(tmp_path: Path, files: Any) -> None:
    archive = TarSource(
        files.pack(tmp_path / "a.tar.gz", {"yes/a.wav": b"", "yes/b.wav": b""}), QUIET
    )
    assert archive.names() == ["yes/a.wav", "yes/b.wav"]


def test_hidden_and_deeper_files_are_not_seen(tmp_path: Path, files: Any) -> None:
    hidden = {".DS_Store": b"", "yes/._a.wav": b"", ".git/x.wav": b"", "yes/deep/c.wav": b""}
    assert FolderSource(files.write(tmp_path, CONTENT | hidden)).names() == sorted(CONTENT)


@pytest.mark.parametrize("name", ["../evil.wav", "/etc/passwd", "yes/../../evil.wav"])
def test_a_path_that_leads_out_is_refused(tmp_path: Path, files: Any, name: str) -> None:
    archive = TarSource(files.pack(tmp_path / "a.tar.gz", CONTENT | {name: b"x"}), QUIET)
    with pytest.raises(DatasetError, match="leads out of it") as caught:
        archive.names()
    assert name in caught.value.message


def test_links_and_devices_are_not_followed(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as tar:
        for name, kind in (("link", tarfile.SYMTYPE), ("device", tarfile.CHRTYPE)):
            member = tarfile.TarInfo(f"yes/{name}.wav")
            member.type, member.linkname = kind, "/etc/passwd"
            tar.addfile(member)
        member = tarfile.TarInfo("yes/a.wav")
        member.size = 3
        tar.addfile(member, io.BytesIO(b"abc"))
    assert TarSource(path, QUIET).names() == ["yes/a.wav"]


def _damaged(content: bytes) -> dict[str, bytes]:
    flipped = bytearray(content)
    flipped[-6] ^= 0xFF
    return {
        "empty": b"",
        "truncated": content[: len(content) // 2],
        "tail cut": content[:-4],
        "checksum": bytes(flipped),
        "not gzip": b"\x1f\x8b" + b"nonsense" * 100,
        "not tar": gzip.compress(b"hello" * 1000),
        "text": b"<html>404</html>" * 100,
    }


@pytest.mark.parametrize(
    "damage", ["empty", "truncated", "tail cut", "checksum", "not gzip", "not tar", "text"]
)
def test_a_damaged_archive_is_named(tmp_path: Path, files: Any, damage: str) -> None:
    path = files.pack(tmp_path / "a.tar.gz", CONTENT)
    path.write_bytes(_damaged(path.read_bytes())[damage])
    with pytest.raises(DatasetError, match="damaged or not a") as caught:
        TarSource(path, QUIET).names()
    assert caught.value.where == str(path)


def test_a_file_that_stands_twice_is_refused(tmp_path: Path, files: Any) -> None:
    path = files.pack(tmp_path / "a.tar", {"yes/a.wav": b"1", "./yes/a.wav": b"2"}, "w")
    with pytest.raises(DatasetError, match="a file twice"):
        TarSource(path, QUIET).names()


def test_a_giant_member_is_not_read_into_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    member = tarfile.TarInfo("yes/a.wav")
    member.size = 300 * 2**20
    path.write_bytes(member.tobuf() + bytes(1024))
    source = TarSource(path, QUIET)
    source._names = {"yes/a.wav": "yes/a.wav"}
    with pytest.raises(DatasetError, match="300 MiB"):
        list(source.read(["yes/a.wav"]))


def test_an_archive_that_lost_a_file_is_noticed(tmp_path: Path, files: Any) -> None:
    source = TarSource(files.pack(tmp_path / "a.tar.gz", CONTENT), QUIET)
    source.names()
    files.pack(tmp_path / "a.tar.gz", {"no/a.wav": b""})
    with pytest.raises(DatasetError, match="changed while it was read"):
        list(source.read(["yes/b.wav"]))


def test_a_file_that_went_away_is_named(tmp_path: Path, files: Any) -> None:
    source = FolderSource(files.write(tmp_path, CONTENT))
    (tmp_path / "yes" / "b.wav").unlink()
    with pytest.raises(DatasetError, match="No such file") as caught:
        list(source.read(["yes/b.wav"]))
    assert str(caught.value.where).endswith("b.wav")


def test_a_missing_source_names_the_key(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="does not exist") as caught:
        existing(str(tmp_path / "nowhere"), "data.source")
    assert caught.value.where == f"data.source: {tmp_path / 'nowhere'}"
    assert "--set data.source=" in str(caught.value.hint)


def test_a_tilde_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "speech").mkdir()
    assert existing("~/speech", "data.source") == tmp_path / "speech"
