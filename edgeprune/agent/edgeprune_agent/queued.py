"""A queue between a thread that gets audio and the one that uses it."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING

import numpy as np

from .audio import TICK_S, Block, nothing
from .errors import AudioError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["BACKLOG_S", "Queued", "pieces"]

#: Seconds of audio that wait at most while inference is behind.
BACKLOG_S = 2.0


class Queued:
    """What a thread puts in, another one takes out.

    Attributes:
        overruns: how often there was no room, or audio was lost before it came here.
    """

    def __init__(self, rate_hz: int, block: int) -> None:
        """Begin.

        Args:
            rate_hz: sample rate.
            block: samples of a block.
        """
        self.overruns = 0
        self._queue: queue.Queue[Block | None] = queue.Queue(
            max(2, int(BACKLOG_S * rate_hz / block))
        )
        self._lock = threading.Lock()
        self._lost = 0
        self._over = threading.Event()
        self._failure: AudioError | None = None

    def offer(self, samples: NDArray[np.int16]) -> None:
        """Put samples in that arrived now; without room they are lost, and counted."""
        with self._lock:
            try:
                self._queue.put_nowait(Block(samples, time.monotonic(), self._lost))
                self._lost = 0
            except queue.Full:
                self.overruns += 1
                self._lost += len(samples)

    def lose(self, count: int) -> None:
        """Note samples that were lost before they came here."""
        with self._lock:
            self.overruns += 1
            self._lost += count

    def put(self, samples: NDArray[np.int16], *, fresh: bool = False) -> None:
        """Put samples in, and wait for room."""
        if self._queue.full():
            self.overruns += 1
        self._queue.put(Block(samples, time.monotonic(), fresh=fresh))

    def end(self, failure: AudioError | None = None) -> None:
        """No more comes, in consequence of a failure or not."""
        self._failure = failure
        self._over.set()
        try:
            self._queue.put_nowait(None)
        except queue.Full:
            # Who takes blocks out finds the end behind the last one.
            return

    def taken(self, stop: threading.Event) -> Generator[Block, None, None]:
        """What was put in, to its end or until stopped; see :meth:`Source.blocks`."""
        while not stop.is_set():
            over = self._over.is_set()
            try:
                block = self._queue.get(timeout=TICK_S)
            except queue.Empty:
                block = None if over else nothing(time.monotonic())
            if block is None:
                if self._failure is not None:
                    raise self._failure
                return
            yield block


def pieces(file: int, block: int) -> Iterator[NDArray[np.int16]]:
    """Samples as they come from a file descriptor, to its end.

    Args:
        file: that int16 PCM, little-endian, is read from.
        block: samples of a piece at most.

    Raises:
        OSError: it can't be read.
    """
    rest = b""
    for piece in iter(lambda: os.read(file, 2 * block), b""):
        content = rest + piece
        whole = len(content) - len(content) % 2
        rest = content[whole:]
        yield np.frombuffer(content[:whole], dtype="<i2").astype(np.int16)
