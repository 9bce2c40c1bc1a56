"""Processes of the device: run to their end, left behind, recognized, stopped."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

__all__ = [
    "Child",
    "detached",
    "identity",
    "is_alive",
    "output",
    "runtime_folder",
    "started",
    "stop",
]

#: A program that was started.
Child = subprocess.Popen[bytes]

_POLL_S = 0.02
_DEAD = ("Z", "X")


def output(command: Sequence[str], timeout_s: float = 30.0) -> tuple[int, str]:
    """Run a program: its exit code and what it printed; 127 where it is absent."""
    program = shutil.which(command[0])
    if program is None:
        return 127, f"{command[0]} is not installed"
    # A login without PAM does not get the variable that systemctl --user needs.
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(runtime_folder())}
    try:
        done = subprocess.run(
            [program, *command[1:]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return 124, f"{command[0]} did not end within {timeout_s:g} s"
    except OSError as error:
        return 126, f"{command[0]}: {error.strerror}"
    return done.returncode, done.stdout.decode("utf-8", errors="replace").strip()


def runtime_folder() -> Path:
    """The user's folder for what is gone with the boot."""
    return Path(os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}")


def started(command: Sequence[str]) -> Child:
    """Start a program whose output is read from a pipe."""
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def detached(work: Callable[[], None], keep: Sequence[int] = ()) -> int:
    """Let a child do something in a session of its own, which a lost connection does not end.

    Args:
        work: what it does.
        keep: file descriptors that stay open in it.

    Returns:
        Its process id.
    """
    child = os.fork()
    if child:
        return child
    try:
        os.setsid()
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nothing, stream)
        for handle in _open_files():
            if handle > 2 and handle not in keep:
                _close(handle)
        work()
        os._exit(0)
    finally:
        os._exit(1)


def identity(pid: int) -> dict[str, Any] | None:
    """A process so that another one of the same id is not taken for it; none for a dead one."""
    try:
        # Not /proc/<pid>/stat: qemu-user shows a forked process its parent's start time there.
        text = Path(f"/proc/{pid}/task/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # proc(5): the name, in parentheses, may hold anything; the start time is the 22nd field.
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in _DEAD else {"pid": pid, "start": int(fields[19])}


def is_alive(process: dict[str, Any]) -> bool:
    """Whether the process of an identity lives."""
    return bool(process) and identity(int(process["pid"])) == {
        "pid": process["pid"],
        "start": process["start"],
    }


def stop(process: dict[str, Any], patience_s: float) -> None:
    """End a process that leads a group: SIGTERM, and SIGKILL for all when that is not enough."""
    group = int(process["pid"])
    for number, wait_s in ((signal.SIGTERM, patience_s), (signal.SIGKILL, patience_s)):
        if not is_alive(process):
            return
        try:
            os.killpg(group, number)
        except ProcessLookupError:
            return
        deadline = time.monotonic() + wait_s
        while is_alive(process) and time.monotonic() < deadline:
            time.sleep(_POLL_S)


def _open_files() -> list[int]:
    try:
        return [int(name) for name in os.listdir("/proc/self/fd")]  # noqa: PTH208 - names only
    except OSError:
        return list(range(3, 256))


def _close(handle: int) -> None:
    try:
        os.close(handle)
    except OSError:
        return
