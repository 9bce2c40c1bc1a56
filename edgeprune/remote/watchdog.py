"""An end to every wait: paramiko has several that no time limit reaches."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["Watchdog"]


class Watchdog:
    """Calls ``expire`` when a piece of work outlasts its limit; one thread, from first use on.

    Attributes:
        expired: whether it ever did.
    """

    def __init__(self, expire: Callable[[], None]) -> None:
        self.expired = False
        self._expire = expire
        self._changed = threading.Condition()
        self._deadline: float | None = None
        self._closed = False
        self._thread: threading.Thread | None = None

    @contextmanager
    def limit(self, seconds: float) -> Iterator[None]:
        """Watch what is done inside; limits don't nest."""
        with self._changed:
            self._deadline = time.monotonic() + seconds
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._watch, name="ssh-watchdog")
                self._thread.daemon = True
                self._thread.start()
            self._changed.notify()
        try:
            yield
        finally:
            with self._changed:
                self._deadline = None

    def close(self) -> None:
        """Stop watching and end the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def _watch(self) -> None:
        with self._changed:
            while not self._closed:
                if self._deadline is None:
                    self._changed.wait()
                    continue
                left = self._deadline - time.monotonic()
                if left > 0:
                    self._changed.wait(left)
                    continue
                self.expired = True
                break
            else:
                return
        self._expire()
