"""A program that must end in time, and ends with whoever asked for it."""

from __future__ import annotations

import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from .layout import DeviceError

__all__ = ["Ended", "run"]

_TICK_S = 1.0
#: What is kept of a program's output: its end.
_KEPT_BYTES = 1 << 16
_PR_SET_PDEATHSIG = 1
_LOST = select.POLLERR | select.POLLHUP


# Every request imports this module, and dataclasses would be a fifth of its time.
class Ended(NamedTuple):
    """A program that has ended.

    Attributes:
        code: its exit code; negative for a signal; None where it was killed for taking too long.
        output: the end of what it printed.
    """

    code: int | None
    output: str

    @property
    def why(self) -> str:
        """Why it failed, in a few words."""
        if self.code is None:
            return "it did not end in time"
        if self.code < 0:
            return f"it crashes with {signal.Signals(-self.code).name}"
        lines = [line for line in self.output.splitlines() if line.strip()]
        return lines[-1].strip() if lines else f"it ends with exit code {self.code}"


def run(
    command: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    limit_s: float,
    alive: Callable[[], None],
) -> Ended:
    """Run a program, in a session of its own, to its end.

    It is killed, with all that it started, when its time is over, when nobody reads this program's
    standard output any more, and, by the kernel, when this program dies.

    Args:
        command: the program and its arguments.
        cwd: where it runs.
        env: its variables.
        limit_s: how long it may take.
        alive: called about every second.

    Raises:
        DeviceError: whoever asked is gone.
    """
    deadline = time.monotonic() + limit_s
    library, us = ctypes.CDLL(None), os.getpid()

    def end_with_us() -> None:
        library.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != us:
            os._exit(1)

    reading, writing = os.pipe()
    try:
        with open(writing, "wb") as output:  # noqa: PTH123 - a file descriptor
            child = subprocess.Popen(
                command,
                cwd=cwd,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=end_with_us,  # noqa: PLW1509 - there is one thread
            )
        try:
            told = _output(reading, deadline, alive)
            in_time = _ends(child, deadline)
        finally:
            _kill(child)
    finally:
        os.close(reading)
    return Ended(child.returncode if in_time else None, told)


def _output(source: int, deadline: float, alive: Callable[[], None]) -> str:
    """The end of what a program prints until it closes its output, or its time is over."""
    asker = sys.stdout.fileno()
    poll = select.poll()
    poll.register(source, select.POLLIN)
    poll.register(asker, 0)
    kept = b""
    told = time.monotonic()
    while (left := deadline - time.monotonic()) > 0:
        events = dict(poll.poll(1000 * min(left, _TICK_S)))
        if events.get(asker, 0) & _LOST:
            raise DeviceError("whoever asked for it is gone")
        if source in events:
            piece = os.read(source, _KEPT_BYTES)
            if not piece:
                break
            kept = (kept + piece)[-_KEPT_BYTES:]
        if time.monotonic() - told >= _TICK_S:
            alive()
            told = time.monotonic()
    return kept.decode("utf-8", errors="replace")


def _ends(child: subprocess.Popen[bytes], deadline: float) -> bool:
    """Wait for a program that closed its output."""
    try:
        child.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        return False
    return True


def _kill(child: subprocess.Popen[bytes]) -> None:
    """End a program that did not end by itself, with all that it started."""
    if child.returncode is None:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
