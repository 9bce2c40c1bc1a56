"""The same work on many hosts, some at a time: in threads, in time, and ended by Ctrl-C."""

from __future__ import annotations

import queue
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Generic, TypeVar

from edgeprune.errors import EdgepruneError, RemoteTimeout

__all__ = ["Crew", "Done", "Interrupts"]

_T = TypeVar("_T")

#: How often interrupts and limits are looked at, in seconds.
_TICK_S = 0.2


class Interrupts:
    """Ctrl-C, counted: after the first nothing new begins, after the second nobody is waited for.

    Attributes:
        ended: set by the first.
        left: set by the second.
    """

    def __init__(self, say: Callable[[str], None] = lambda line: None) -> None:
        self.ended = threading.Event()
        self.left = threading.Event()
        self._say = say
        self._told = False

    def interrupt(self) -> None:
        """Count one more."""
        if self.ended.is_set():
            self.left.set()
        self.ended.set()

    def tell(self) -> None:
        """Say what the first one does; not where it comes, which may be in the middle of a line."""
        if self.ended.is_set() and not self._told:
            self._told = True
            self._say("interrupted: what is under way ends first; once more leaves it to the hosts")

    @contextmanager
    def caught(self) -> Iterator[None]:
        """Count those of the terminal instead of raising KeyboardInterrupt."""
        here = threading.current_thread() is threading.main_thread()
        before = signal.getsignal(signal.SIGINT)
        if not here or before is not signal.default_int_handler:
            yield
            return

        def count(number: int, frame: FrameType | None) -> None:
            self.interrupt()

        signal.signal(signal.SIGINT, count)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)


class Done(Generic[_T]):
    """What came of the work on one host.

    Attributes:
        host: its name.
        value: what the work gave; None where it failed.
        error: why it failed.
        seconds: how long it took.
    """

    def __init__(
        self, host: str, value: _T | None, error: EdgepruneError | None, seconds: float
    ) -> None:
        self.host, self.value, self.error, self.seconds = host, value, error, seconds


class Crew:
    """Works on many hosts, ``parallel`` at a time.

    Args:
        parallel: how many at a time.
        limit_s: seconds after which work that holds to no limit of its own is left to itself.
        interrupts: what ends it early.
    """

    def __init__(self, parallel: int, limit_s: float, interrupts: Interrupts) -> None:
        self._parallel = parallel
        self._limit_s = limit_s
        self._interrupts = interrupts

    def each(
        self,
        hosts: Iterable[str],
        work: Callable[[str], _T],
        *,
        goes_on: Callable[[], bool] = lambda: True,
    ) -> Iterator[Done[_T]]:
        """Work on hosts; gives each as it ends.

        Args:
            hosts: their names, in the order in which they begin.
            work: what is done with one, in a thread of its own.
            goes_on: asked before each; a host that does not begin is not given.

        Raises:
            Exception: what ``work`` raised that is no EdgepruneError.
        """
        waiting = iter(tuple(hosts))
        ended: queue.SimpleQueue[tuple[Done[_T], BaseException | None]] = queue.SimpleQueue()
        begun: dict[str, float] = {}

        def run(host: str) -> None:
            try:
                ended.put((self.alone(host, work), None))
            except BaseException as bug:
                ended.put((Done(host, None, None, 0.0), bug))

        def begin() -> None:
            while len(begun) < self._parallel:
                if self._interrupts.ended.is_set() or not goes_on():
                    return
                host = next(waiting, None)
                if host is None:
                    return
                begun[host] = time.monotonic()
                threading.Thread(
                    target=run, args=(host,), name=f"fleet {host}", daemon=True
                ).start()

        begin()
        while begun:
            try:
                done, bug = ended.get(timeout=_TICK_S)
            except queue.Empty:
                pass
            else:
                if bug is not None:
                    raise bug
                if begun.pop(done.host, None) is not None:
                    yield done
            self._interrupts.tell()
            yield from self._left(begun)
            begin()

    @staticmethod
    def alone(host: str, work: Callable[[str], _T]) -> Done[_T]:
        """Work on one host, in the calling thread."""
        started = time.monotonic()
        value, error = None, None
        try:
            value = work(host)
        except EdgepruneError as caught:
            error = caught
        return Done(host, value, error, time.monotonic() - started)

    def _left(self, begun: dict[str, float]) -> Iterator[Done[_T]]:
        """Give up on those that hold to no limit, or on all that the user left."""
        now = time.monotonic()
        for host, since in list(begun.items()):
            if self._interrupts.left.is_set():
                error: EdgepruneError = EdgepruneError("left by the user", where=host)
            elif now - since > self._limit_s:
                error = RemoteTimeout(f"did not end within {self._limit_s:g} s", where=host)
            else:
                continue
            del begun[host]
            yield Done(host, None, error, now - since)
