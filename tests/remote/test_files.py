"""Files on a real sshd: uploads that are whole or absent, whatever happens."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from pathlib import Path, PurePosixPath

import pytest

from edgeprune.errors import (
    ConnectionLost,
    EdgepruneError,
    RemoteError,
    RemoteFileError,
    RemoteTimeout,
)
from edgeprune.remote import connect
from edgeprune.remote.connection import SshRemote
from tests.remote.sshd import FULL_DISK, FULL_DISK_KIB, USER_ID, Sshd

CONTENT = bytes(range(251)) * 4_000
NAMES = ["plain", "two words", "it's", "a\nb", "-rf", "küche 🎤", "back\\slash", "$(id)", '"', "~"]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def large(tmp_path: Path) -> Path:
    path = tmp_path / "large"
    path.write_bytes(CONTENT * 30)
    return path


def _mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


@pytest.mark.parametrize("name", NAMES)
def test_any_name_is_uploaded_written_and_read(
    remote: SshRemote, sshd: Sshd, source: Path, name: str
) -> None:
    folder = PurePosixPath(f"folder {name}")
    (sshd.home / folder).mkdir(mode=0o777)
    (sshd.home / folder).chmod(0o777)
    remote.put(source, folder / name)
    assert (sshd.home / folder / name).read_bytes() == CONTENT
    remote.write(folder / f"{name}2", b"small")
    assert remote.read(folder / f"{name}2") == b"small"
    assert {each.name for each in (sshd.home / folder).iterdir()} == {name, f"{name}2"}


def test_an_upload_has_its_mode_and_tells_its_progress(
    remote: SshRemote, sshd: Sshd, source: Path
) -> None:
    steps: list[int] = []
    remote.put(source, PurePosixPath("there"), advance=steps.append, mode=0o755)
    assert _mode(sshd.home / "there") == 0o755
    assert sum(steps) == len(CONTENT)
    assert len(steps) > 10


def test_an_upload_replaces_what_was_there(remote: SshRemote, sshd: Sshd, source: Path) -> None:
    for path in (sshd.home / "there", sshd.home / "small"):
        path.write_bytes(b"old")
    remote.put(source, PurePosixPath("there"))
    remote.write(PurePosixPath("small"), b"new", mode=0o600)
    assert (sshd.home / "there").read_bytes() == CONTENT
    assert (sshd.home / "small").read_bytes() == b"new"
    assert _mode(sshd.home / "small") == 0o600


def test_an_empty_file_is_a_file(remote: SshRemote, sshd: Sshd, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    remote.put(tmp_path / "empty", PurePosixPath("empty"))
    remote.write(PurePosixPath("empty2"), b"")
    assert remote.read(PurePosixPath("empty")) == remote.read(PurePosixPath("empty2")) == b""


def test_an_upload_goes_on_where_a_cut_left_it(sshd: Sshd, large: Path) -> None:
    sent: list[int] = []

    def cut_halfway(count: int) -> None:
        sent.append(count)
        if sum(sent) > large.stat().st_size // 2 and sshd.sessions():
            sshd.cut()

    with connect(sshd.table(), target="pi") as remote, pytest.raises(ConnectionLost):
        remote.put(large, PurePosixPath("there"), advance=cut_halfway)
    part = sshd.home / "there.part"
    kept = part.stat().st_size
    assert 0 < kept < large.stat().st_size
    assert not (sshd.home / "there").exists()
    steps: list[int] = []
    with connect(sshd.table(), target="pi") as remote:
        remote.put(large, PurePosixPath("there"), advance=steps.append)
    assert steps[0] == kept
    assert sum(steps) == large.stat().st_size
    assert (sshd.home / "there").read_bytes() == large.read_bytes()
    assert not part.exists()


@pytest.mark.parametrize(
    ("left", "first_step"),
    [
        (CONTENT[:100_000], 100_000),
        (CONTENT, len(CONTENT)),
        (CONTENT[:99_999] + b"?", 0),
        (CONTENT + b"more", 0),
        (b"", 0),
    ],
)
def test_only_a_part_that_begins_the_file_is_continued(
    remote: SshRemote, sshd: Sshd, source: Path, left: bytes, first_step: int
) -> None:
    part = sshd.home / "there.part"
    part.write_bytes(left)
    os.chown(part, USER_ID, USER_ID)
    steps: list[int] = []
    remote.put(source, PurePosixPath("there"), advance=steps.append)
    assert steps[0] == first_step
    assert (sshd.home / "there").read_bytes() == CONTENT


def test_bytes_that_change_on_the_way_to_the_disk_are_found(
    remote: SshRemote, sshd: Sshd, source: Path
) -> None:
    """As a worn SD card does it."""
    sent: list[int] = []

    def spoil(count: int) -> None:
        sent.append(count)
        if sum(sent) == len(CONTENT):
            deadline = time.monotonic() + 5
            part = sshd.home / "there.part"
            while part.stat().st_size < len(CONTENT) and time.monotonic() < deadline:
                time.sleep(0.01)
            with part.open("r+b") as file:
                file.seek(500_000)
                file.write(b"\xff\x00\xff")

    with pytest.raises(RemoteFileError, match="kept other bytes"):
        remote.put(source, PurePosixPath("there"), advance=spoil)
    assert not (sshd.home / "there").exists()
    assert not (sshd.home / "there.part").exists()


def test_a_full_disk_leaves_the_old_file_and_no_part(remote: SshRemote, source: Path) -> None:
    old = PurePosixPath(FULL_DISK, "there")
    remote.write(old, b"old")
    with pytest.raises(RemoteFileError, match="disk is full") as caught:
        remote.put(source, old)
    assert caught.value.where == remote.name
    assert remote.read(old) == b"old"
    with pytest.raises(RemoteFileError, match="disk is full"):
        remote.write(old, bytes(2 * 1024 * FULL_DISK_KIB))
    assert remote.read(old) == b"old"
    assert remote.run(["ls", FULL_DISK], timeout_s=5).text == "there\n"


def test_a_frozen_server_hits_the_limit_of_silence(sshd: Sshd, large: Path) -> None:
    sent: list[int] = []
    with connect(sshd.table(stall_timeout_s=0.5), target="pi") as remote:

        def freeze(count: int) -> None:
            sent.append(count)
            if sum(sent) > 1_000_000 and len(sent) < 1000:
                sent.extend([0] * 1000)
                sshd.signal_sessions(signal.SIGSTOP)

        started = time.monotonic()
        with pytest.raises(RemoteTimeout):
            remote.put(large, PurePosixPath("there"), advance=freeze)
        assert time.monotonic() - started < 6
    assert not (sshd.home / "there").exists()


def test_an_upload_has_a_limit_in_all(sshd: Sshd, source: Path) -> None:
    with (
        connect(sshd.table(upload_timeout_s=0.2), target="pi") as remote,
        pytest.raises(RemoteTimeout, match="goes on from here"),
    ):
        remote.put(source, PurePosixPath("there"), advance=lambda count: time.sleep(0.05))
    assert not (sshd.home / "there").exists()


def test_a_server_that_is_killed_meanwhile_is_a_lost_connection(
    sshd: Sshd, remote: SshRemote
) -> None:
    remote.write(PurePosixPath("there"), b"1")
    sshd.cut()
    with pytest.raises(ConnectionLost):
        remote.read(PurePosixPath("there"))
    with pytest.raises(ConnectionLost):
        remote.write(PurePosixPath("there"), b"2")
    assert (sshd.home / "there").read_bytes() == b"1"


def test_absent_files_and_folders_are_told_apart_from_others(
    remote: SshRemote, source: Path
) -> None:
    for call in (
        lambda: remote.read(PurePosixPath("absent")),
        lambda: remote.write(PurePosixPath("absent/there"), b""),
        lambda: remote.put(source, PurePosixPath("absent/there")),
    ):
        with pytest.raises(RemoteFileError) as caught:
            call()
        assert caught.value.missing
    for call in (
        lambda: remote.read(PurePosixPath("/etc/shadow")),
        lambda: remote.write(PurePosixPath("/etc/there"), b""),
        lambda: remote.put(source, PurePosixPath("/etc/there")),
        lambda: remote.read(PurePosixPath("/etc")),
    ):
        with pytest.raises(RemoteFileError) as caught:
            call()
        assert not caught.value.missing
    assert remote.run(["true"], timeout_s=5).returncode == 0


def test_reading_is_bounded(remote: SshRemote, sshd: Sshd) -> None:
    (sshd.home / "file").write_bytes(b"12345")
    assert remote.read(PurePosixPath("file"), limit=5) == b"12345"
    with pytest.raises(RemoteFileError, match="longer than 4 bytes"):
        remote.read(PurePosixPath("file"), limit=4)
    with pytest.raises(RemoteFileError, match="longer than 1048576 bytes"):
        remote.read(PurePosixPath("/dev/zero"))
    assert b"Name:" in remote.read(PurePosixPath("/proc/self/status"))


def test_a_source_that_is_absent_is_no_fault_of_the_host(remote: SshRemote, tmp_path: Path) -> None:
    with pytest.raises(EdgepruneError, match="can't be read") as caught:
        remote.put(tmp_path / "absent", PurePosixPath("there"))
    assert not isinstance(caught.value, RemoteError)


def test_a_host_without_sftp_is_told(tmp_path: Path, sshd: Sshd, source: Path) -> None:
    configuration = sshd.folder / "sshd_config"
    text = configuration.read_text("utf-8")
    configuration.write_text(text.replace("Subsystem sftp", "#Subsystem sftp"), "utf-8")
    sshd.restart()
    with (
        connect(sshd.table(), target="pi") as remote,
        pytest.raises(RemoteError, match="SFTP"),
    ):
        remote.put(source, PurePosixPath("there"))


def test_a_kill_in_every_phase_leaves_the_old_file_or_the_new(sshd: Sshd, source: Path) -> None:
    """The connection is cut at 12 moments between the first packet and the last."""
    there = sshd.home / "there"
    there.write_bytes(b"old")
    there.chmod(0o666)
    for moment in range(12):
        with connect(sshd.table(), target="pi") as remote:
            timer = threading.Timer(0.004 * moment, sshd.cut)
            timer.start()
            with contextlib.suppress(ConnectionLost):
                remote.put(source, PurePosixPath("there"))
            timer.join()
        assert there.read_bytes() in (b"old", CONTENT)
