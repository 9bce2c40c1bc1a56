"""Signals that end a program, so that what it began is ended with it."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

__all__ = ["ended_by_signals"]

_ENDING = (signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def ended_by_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP unwind the stack as Ctrl-C does, where they would end the process.

    A signal that is ignored, as under ``nohup``, stays so. In another thread than the main one
    nothing is done, for Python takes signals in that one only.

    Raises:
        SystemExit: a signal came; 128 and its number, as shells have it.
    """
    with contextlib.ExitStack() as stack:
        if threading.current_thread() is threading.main_thread():
            for number in _ENDING:
                if signal.getsignal(number) is signal.SIG_DFL:
                    stack.callback(signal.signal, number, signal.signal(number, _unwind))
        yield


def _unwind(number: int, _: FrameType | None) -> None:
    raise SystemExit(128 + number)
