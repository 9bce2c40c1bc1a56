"""QEMU's command line, its monitor, and the keys."""

from __future__ import annotations

import itertools
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import paramiko
import pytest

from edgeprune.errors import DeviceError
from edgeprune.virtual_pi.emulator import Emulator
from edgeprune.virtual_pi.image import Image
from edgeprune.virtual_pi.keys import user_key
from edgeprune.virtual_pi.monitor import Monitor


def test_the_command_has_one_core_a_counted_clock_and_no_way_out(tmp_path: Path) -> None:
    arguments = Emulator(Image(tmp_path / "a,b"), 20022).arguments(None)
    values = dict(itertools.pairwise(arguments))
    assert values["-cpu"] == "cortex-a72"
    assert values["-smp"] == "1"
    assert values["-icount"] == "shift=0"
    assert values["-netdev"] == "user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:20022-:22"
    # A comma ends a value of QEMU's, unless it is written twice.
    assert values["-drive"].endswith("a,,b/disk.qcow2")
    assert "-daemonize" in arguments
    assert "-loadvm" not in arguments
    restored = Emulator(Image(tmp_path), 20022).arguments("clean")
    assert restored[restored.index("-loadvm") + 1] == "clean"


@pytest.fixture
def answers(tmp_path: Path) -> Iterator[list[bytes]]:
    """A monitor at ``tmp_path / "monitor"`` that gives these lines, one for each request."""
    lines: list[bytes] = []
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "monitor"))
        server.listen()

        def serve() -> None:
            connection, _ = server.accept()
            with connection, connection.makefile("rwb") as stream:
                stream.write(b'{"QMP": {}}\n')
                for line in (b'{"return": {}}\n', *lines):
                    stream.flush()
                    if not stream.readline():
                        return
                    stream.write(line)

        thread = threading.Thread(target=serve)
        thread.start()
        yield lines
        thread.join()


def test_events_before_an_answer_are_no_answer(tmp_path: Path, answers: list[bytes]) -> None:
    answers.append(b'{"event": "STOP"}\n{"return": {"status": "running"}}\n')
    with Monitor(tmp_path / "monitor") as monitor:
        assert monitor.execute("query-status") == {"status": "running"}


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b'{"error": {"class": "GenericError", "desc": "no medium"}}\n', "no medium"),
        (b'{"return": "Error: no space left\\r\\n"}\n', "savevm clean: Error: no space left"),
        (b"hello\n", "said b'hello"),
        (b"", "the connection ended"),
    ],
)
def test_what_qemu_refuses_is_told(
    tmp_path: Path, answers: list[bytes], answer: bytes, said: str
) -> None:
    answers.append(answer)
    with (
        Monitor(tmp_path / "monitor") as monitor,
        pytest.raises(DeviceError, match=said),
    ):
        monitor.command("savevm clean", limit_s=5)


def test_a_monitor_in_a_deep_folder_is_reached(tmp_path: Path) -> None:
    folder = tmp_path.joinpath(*["deep" * 10] * 5)
    folder.mkdir(parents=True)
    with pytest.raises(DeviceError, match="does not answer"):
        Monitor(folder / "monitor")


def test_the_key_is_one_that_ssh_reads_and_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "id_ed25519"
    public = user_key(path)
    key = paramiko.Ed25519Key.from_private_key_file(str(path))
    assert public == f"ssh-ed25519 {key.get_base64()}"
    assert path.stat().st_mode & 0o777 == 0o600
    assert user_key(path) == public
    assert sorted(each.name for each in path.parent.iterdir()) == ["id_ed25519", "id_ed25519.pub"]


@pytest.mark.parametrize("name", ["id", "id.pub"])
def test_half_of_a_pair_is_never_written_over(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(DeviceError, match=r"only one of id and id\.pub is there"):
        user_key(tmp_path / "id")
    assert (tmp_path / name).read_text() == "mine"
    assert len(list(tmp_path.iterdir())) == 1
