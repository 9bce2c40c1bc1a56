"""The fake device behaves as the real one where tests of others rely on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

from edgeprune.errors import ConnectionLost, RemoteFileError, RemoteProcessError, RemoteTimeout
from edgeprune.remote import Completed, Remote, connect
from edgeprune.remote.fake import Call, FakeRemote
from tests.remote.sshd import start_sshd

CONTENT = bytes(range(256)) * 1000
THERE = PurePosixPath("a folder/there")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def fake(tmp_path: Path) -> FakeRemote:
    (tmp_path / "home").mkdir()
    return FakeRemote(tmp_path / "home")


@pytest.fixture(params=["fake", "sshd"])
def either(request: pytest.FixtureRequest, tmp_path: Path, fake: FakeRemote) -> Iterator[Remote]:
    if request.param == "fake":
        yield fake
        return
    server = start_sshd(tmp_path / "sshd")
    with connect(server.table(), target="pi") as remote:
        yield remote
    server.stop()


def test_the_real_host_and_the_fake_agree(either: Remote, source: Path) -> None:
    assert either.run(["mkdir", "a folder"], timeout_s=10) == Completed(
        ("mkdir", "a folder"), 0, b"", b""
    )
    steps: list[int] = []
    either.put(source, THERE, advance=steps.append, mode=0o600)
    assert (sum(steps), steps[0]) == (len(CONTENT), 0)
    assert either.run(["cat", "a folder/there"], timeout_s=10).stdout == CONTENT
    assert either.run(["stat", "-c", "%a", "a folder/there"], timeout_s=10).text == "600\n"
    either.write(THERE, b"one\ntwo")
    assert list(either.lines(["cat", str(THERE)], timeout_s=10)) == ["one", "two"]
    assert either.read(THERE) == b"one\ntwo"
    with pytest.raises(RemoteFileError) as longer:
        either.read(THERE, limit=3)
    assert not longer.value.missing
    with pytest.raises(RemoteFileError) as absent:
        either.read(PurePosixPath("absent"))
    assert absent.value.missing
    done = either.run(
        ["sh", "-c", "cat; cat $HOME/x; kill -SEGV $$"], timeout_s=10, stdin=b"in", check=False
    )
    assert (done.returncode, done.stdout) == (139, b"in")
    assert done.stderr
    with pytest.raises(RemoteProcessError) as failed:
        list(either.lines(["no-such-program"], timeout_s=10))
    assert failed.value.completed.returncode == 127
    with pytest.raises(RemoteTimeout, match=r"within 0\.2 s"):
        either.run(["sleep", "20"], timeout_s=0.2)
    either.close()
    either.close()
    with pytest.raises(ConnectionLost):
        either.run(["true"], timeout_s=10)


def test_the_longest_registered_answer_is_given_and_calls_are_recorded(fake: FakeRemote) -> None:
    fake.answer("systemctl", returncode=1)
    fake.answer("systemctl", "--user", stdout=b"active\n")
    fake.answer_with("uname", function=lambda command, stdin: Completed(command, 0, stdin, b""))
    assert fake.run(["systemctl", "--user", "is-active"], timeout_s=1).text == "active\n"
    assert fake.run(["systemctl"], timeout_s=1, check=False).returncode == 1
    assert fake.run(["uname", "-m"], timeout_s=1, stdin=b"armv7l").text == "armv7l"
    assert fake.calls[0] == Call("run", ("systemctl", "--user", "is-active"))
    assert fake.calls[2].stdin == b"armv7l"


def test_a_hanging_command_ends_at_once_in_its_limit(fake: FakeRemote) -> None:
    fake.hang("python3")
    with pytest.raises(RemoteTimeout, match="within 600 s"):
        fake.run(["python3", "run.py"], timeout_s=600)


def test_the_connection_breaks_at_a_call_and_can_be_made_again(fake: FakeRemote) -> None:
    fake.cut_at_call = 1
    fake.write(PurePosixPath("one"), b"1")
    for _ in range(2):
        with pytest.raises(ConnectionLost):
            fake.write(PurePosixPath("two"), b"2")
    fake.reconnect()
    assert fake.read(PurePosixPath("one")) == b"1"
    assert not (fake.home / "two").exists()


def test_an_upload_that_was_cut_goes_on(fake: FakeRemote, source: Path) -> None:
    fake.cut_after_bytes = 100_000
    with pytest.raises(ConnectionLost):
        fake.put(source, PurePosixPath("there"))
    assert (fake.home / "there.part").read_bytes() == CONTENT[:100_000]
    assert not (fake.home / "there").exists()
    fake.reconnect()
    steps: list[int] = []
    fake.put(source, PurePosixPath("there"), advance=steps.append)
    assert steps[0] == 100_000
    assert (fake.home / "there").read_bytes() == CONTENT
    assert not (fake.home / "there.part").exists()


def test_a_full_disk_keeps_the_old_file(fake: FakeRemote, source: Path) -> None:
    fake.write(PurePosixPath("there"), b"old")
    fake.disk_bytes = 1000
    with pytest.raises(RemoteFileError, match="disk is full"):
        fake.put(source, PurePosixPath("there"))
    with pytest.raises(RemoteFileError, match="disk is full"):
        fake.write(PurePosixPath("there"), CONTENT)
    assert [path.name for path in fake.home.iterdir()] == ["there"]
    assert fake.read(PurePosixPath("there")) == b"old"
