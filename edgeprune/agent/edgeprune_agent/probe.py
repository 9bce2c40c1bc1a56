"""Trying something that may crash or hang the process, in another one."""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from collections.abc import Callable

from .errors import AgentError

__all__ = ["survives"]

#: Seconds that a runtime may take to load and to infer once; a Raspberry Pi Zero 2 needs about 10.
_LIMIT_S = 120.0


def survives(attempt: Callable[[], object], limit_s: float = _LIMIT_S) -> str | None:
    """Run something in a forked process; returns why it failed, or none.

    Args:
        attempt: what to run; an :class:`AgentError` is a failure, and so is a crash.
        limit_s: after it the process is killed.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _report(attempt, writing)
    os.close(writing)
    try:
        reason, in_time = _read(reading, time.monotonic() + limit_s)
    finally:
        os.close(reading)
    if not in_time:
        os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    if not in_time:
        return f"did not answer within {limit_s:g} s"
    if os.WIFSIGNALED(status):
        return f"crashes with {signal.Signals(os.WTERMSIG(status)).name}"
    if os.WEXITSTATUS(status) == 0:
        return None
    return reason or f"ends the process with the exit code {os.WEXITSTATUS(status)}"


def _report(attempt: Callable[[], object], writing: int) -> None:
    """In the child: never returns."""
    code = 1
    try:
        attempt()
        code = 0
    except AgentError as error:
        os.write(writing, error.message.encode()[:4096])
    except BaseException as error:
        os.write(writing, f"{type(error).__name__}: {error}".encode()[:4096])
    finally:
        os._exit(code)


def _read(reading: int, deadline: float) -> tuple[str, bool]:
    """What comes before the other end closes; and whether it closed in time."""
    content = b""
    while True:
        ready, _, _ = select.select([reading], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            return content.decode(errors="replace"), False
        piece = os.read(reading, 4096)
        if not piece:
            return content.decode(errors="replace"), True
        content += piece
