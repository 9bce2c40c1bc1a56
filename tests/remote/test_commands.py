"""Commands on a real sshd: streams, limits, hostile output, broken connections."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path

import pytest

from edgeprune.errors import ConnectionLost, RemoteProcessError, RemoteTimeout
from edgeprune.remote import quoting
from edgeprune.remote.base import KEPT_BYTES, LINE_BYTES
from edgeprune.remote.connection import SshRemote
from tests.remote.sshd import Sshd


def _sh(script: str, *arguments: str) -> list[str]:
    return ["sh", "-c", script, "sh", *arguments]


def _runs(sshd: Sshd, marker: str) -> bool:
    """Whether a process with ``marker`` in its arguments lives there."""
    for pid in sshd.sessions():
        try:
            if marker.encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                return True
        except (FileNotFoundError, ProcessLookupError):
            continue
    return False


def _ends(sshd: Sshd, marker: str, within_s: float) -> bool:
    deadline = time.monotonic() + within_s
    while _runs(sshd, marker):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_streams_exit_code_and_home(remote: SshRemote) -> None:
    done = remote.run(_sh("pwd; echo wrong >&2; exit 3"), timeout_s=10, check=False)
    assert (done.returncode, done.text, done.stderr) == (3, "/home/pi\n", b"wrong\n")


def test_a_failure_carries_what_was_printed(remote: SshRemote, sshd: Sshd) -> None:
    with pytest.raises(RemoteProcessError, match="exit code 3") as caught:
        remote.run(_sh("echo out; echo 'no space' >&2; exit 3"), timeout_s=10)
    assert caught.value.completed.stdout == b"out\n"
    assert "| no space" in str(caught.value)
    assert caught.value.where == f"pi@127.0.0.1:{sshd.port}"


@pytest.mark.parametrize(
    ("command", "code", "says"),
    [
        (["no-such-program"], 127, "not found"),
        (["/etc/passwd"], 126, "can't be run"),
        (_sh("kill -ILL $$"), 132, "illegal instruction"),
        (_sh("kill -KILL $$"), 137, "killed"),
    ],
)
def test_an_exit_code_with_a_meaning_is_explained(
    remote: SshRemote, command: list[str], code: int, says: str
) -> None:
    with pytest.raises(RemoteProcessError, match=says) as caught:
        remote.run(command, timeout_s=10)
    assert caught.value.completed.returncode == code


def test_input_larger_than_every_buffer_goes_through_while_both_streams_come_back(
    remote: SshRemote,
) -> None:
    data = bytes(range(256)) * 16_384
    done = remote.run(_sh("tee /dev/stderr"), timeout_s=30, stdin=data)
    assert done.stdout == data
    assert done.stderr == data


def test_a_program_may_leave_its_input_unread(remote: SshRemote) -> None:
    assert remote.run(["true"], timeout_s=10, stdin=bytes(8 << 20)).returncode == 0
    assert remote.run(["cat"], timeout_s=10).stdout == b""


def test_a_late_command_is_stopped_on_both_ends(remote: SshRemote, sshd: Sshd) -> None:
    started = time.monotonic()
    with pytest.raises(RemoteTimeout, match=r"did not end within 0\.3 s"):
        remote.run(["sleep", "98.5"], timeout_s=0.3)
    assert time.monotonic() - started < 1.5
    assert _ends(sshd, "98.5", within_s=1)
    assert remote.run(["echo", "still here"], timeout_s=10).text == "still here\n"


def test_a_program_that_ignores_sigterm_is_killed(
    remote: SshRemote, sshd: Sshd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quoting, "KILL_AFTER_S", 1.5)
    with pytest.raises(RemoteTimeout):
        remote.run(_sh("trap '' TERM; while :; do sleep 0.1; done", "stubborn"), timeout_s=0.3)
    time.sleep(0.7)
    assert _runs(sshd, "stubborn")
    assert _ends(sshd, "stubborn", within_s=4)
    assert remote.run(["true"], timeout_s=5).returncode == 0


def test_a_program_that_cleans_up_has_time_for_it(remote: SshRemote, sshd: Sshd) -> None:
    with pytest.raises(RemoteTimeout):
        # Its output is closed by then, and a word would be its last.
        script = "exec 2>&-; trap 'sleep 0.7; touch clean; exit' TERM; sleep 94.5"
        remote.run(_sh(script), timeout_s=0.3)
    assert _ends(sshd, "clean", within_s=5)
    assert (sshd.home / "clean").exists()


def test_the_limit_holds_on_the_host_when_nobody_is_left_here(
    remote: SshRemote, sshd: Sshd
) -> None:
    """Without the connection only timeout(1) is left to stop it."""
    lines = remote.lines(_sh("echo up; exec sleep 97.5"), timeout_s=1.5)
    assert next(lines) == "up"
    sleeper = [pid for pid in sshd.sessions() if _argument(pid, "97.5")]
    remote._link._cut()
    with pytest.raises(ConnectionLost):
        next(lines)
    assert any(map(_lives, sleeper))
    deadline = time.monotonic() + 5
    while any(map(_lives, sleeper)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(map(_lives, sleeper))


def _argument(pid: int, text: str) -> bool:
    try:
        return text.encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:
        return False


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text("ascii").rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_the_limit_is_total_and_not_per_line(remote: SshRemote) -> None:
    started = time.monotonic()
    with pytest.raises(RemoteTimeout):
        remote.run(_sh("while :; do echo tick; sleep 0.05; done"), timeout_s=0.5)
    assert time.monotonic() - started < 2


def test_a_daemon_that_keeps_the_output_open_is_told(remote: SshRemote) -> None:
    with pytest.raises(RemoteTimeout, match="may still hold it"):
        remote.run(_sh("setsid sleep 2 & exit 0"), timeout_s=0.5)


def test_a_frozen_server_hits_the_deadline(remote: SshRemote, sshd: Sshd) -> None:
    started = time.monotonic()
    with sshd.frozen():
        with pytest.raises(RemoteTimeout):
            remote.run(["true"], timeout_s=0.5)
        with pytest.raises(ConnectionLost, match="closed before"):
            remote.run(["true"], timeout_s=0.5)
        remote.close()
    assert time.monotonic() - started < 5


def test_a_server_that_freezes_before_it_starts_the_command_hits_the_deadline(
    remote: SshRemote, sshd: Sshd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here paramiko waits without a limit of its own."""
    opened = remote._link.open_channel

    def freezing(seconds: float) -> object:
        channel = opened(seconds)
        sshd.signal_sessions(signal.SIGSTOP)
        return channel

    monkeypatch.setattr(remote._link, "open_channel", freezing)
    started = time.monotonic()
    with pytest.raises(RemoteTimeout):
        remote.run(["true"], timeout_s=0.5)
    assert time.monotonic() - started < 3


def test_a_server_that_freezes_meanwhile_hits_the_deadline(remote: SshRemote, sshd: Sshd) -> None:
    lines = remote.lines(_sh("while :; do echo tick; sleep 0.02; done"), timeout_s=1)
    assert next(lines) == "tick"
    started = time.monotonic()
    with sshd.frozen(), pytest.raises(RemoteTimeout):
        for _ in lines:
            pass
    assert time.monotonic() - started < 4


def test_a_frozen_server_that_takes_no_more_input_hits_the_deadline(
    remote: SshRemote, sshd: Sshd
) -> None:
    started = time.monotonic()
    timer = threading.Timer(0.3, lambda: sshd.signal_sessions(signal.SIGSTOP))
    timer.start()
    with pytest.raises(RemoteTimeout):
        remote.run(_sh("while :; do dd bs=1k count=1; done"), timeout_s=1.5, stdin=bytes(64 << 20))
    timer.join()
    assert time.monotonic() - started < 6


def test_a_cut_connection_is_told_and_stays_broken(remote: SshRemote, sshd: Sshd) -> None:
    timer = threading.Timer(0.2, sshd.cut)
    timer.start()
    with pytest.raises(ConnectionLost, match="running sleep") as caught:
        remote.run(["sleep", "96.5"], timeout_s=20)
    timer.join()
    assert caught.value.where == remote.name
    with pytest.raises(ConnectionLost, match="closed before"):
        remote.run(["true"], timeout_s=5)


def test_lines_come_as_they_are_printed(remote: SshRemote) -> None:
    lines = remote.lines(_sh("echo one; read go; printf 'two\\r\\nthrée'"), timeout_s=10, stdin=b"")
    assert list(lines) == ["one", "two", "thrée"]


def test_a_silent_program_is_stopped_when_nobody_waits_for_it(
    remote: SshRemote, sshd: Sshd
) -> None:
    lines = remote.lines(_sh("echo first; exec sleep 95.5"), timeout_s=60)
    started = time.monotonic()
    assert next(lines) == "first"
    assert time.monotonic() - started < 5
    lines.close()  # type: ignore[attr-defined]
    assert _ends(sshd, "95.5", within_s=3)


def test_lines_that_nobody_reads_on_stop_the_program(remote: SshRemote, sshd: Sshd) -> None:
    lines = remote.lines(_sh("while :; do echo endless; done"), timeout_s=60)
    assert next(lines) == "endless"
    lines.close()  # type: ignore[attr-defined]
    assert _ends(sshd, "endless", within_s=2)
    assert remote.run(["true"], timeout_s=5).returncode == 0


def test_a_failure_after_the_last_line_carries_standard_error(remote: SshRemote) -> None:
    lines = remote.lines(_sh("echo one; echo broken >&2; exit 5"), timeout_s=10)
    assert next(lines) == "one"
    with pytest.raises(RemoteProcessError) as caught:
        next(lines)
    assert (caught.value.completed.returncode, caught.value.completed.stderr) == (5, b"broken\n")


def test_endless_output_is_stopped_at_its_bound(remote: SshRemote) -> None:
    for script in ("cat /dev/zero", "cat /dev/zero >&2"):
        with pytest.raises(RemoteProcessError, match="more than 16 MiB") as caught:
            remote.run(_sh(script), timeout_s=60)
        kept = caught.value.completed
        assert len(kept.stdout) + len(kept.stderr) == KEPT_BYTES
        assert len(str(caught.value)) < 10_000
    assert remote.run(["true"], timeout_s=5).returncode == 0


def test_an_endless_line_is_stopped_at_its_bound(remote: SshRemote) -> None:
    lines = remote.lines(_sh("echo fine; tr '\\0' x < /dev/zero"), timeout_s=60)
    assert next(lines) == "fine"
    with pytest.raises(RemoteProcessError, match=f"more than {LINE_BYTES >> 20} MiB"):
        next(lines)


def test_endless_complaints_do_not_stop_the_lines(remote: SshRemote) -> None:
    script = "head -c 3000000 /dev/zero >&2; echo done"
    assert list(remote.lines(_sh(script), timeout_s=30)) == ["done"]


def test_binary_output_survives(remote: SshRemote) -> None:
    everything = bytes(range(256)) * 2
    done = remote.run(["cat"], timeout_s=10, stdin=everything)
    assert done.stdout == everything
    lines = list(remote.lines(["cat"], timeout_s=10, stdin=everything))
    assert "\ufffd" in lines[1]
