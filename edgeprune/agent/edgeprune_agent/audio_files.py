"""Audio that was recorded, or that another program gives: a WAV file, a pipe."""

from __future__ import annotations

import os
import stat
import threading
import time
import wave
from collections.abc import Generator
from pathlib import Path

import numpy as np

from .audio import Block
from .errors import AudioError
from .queued import BACKLOG_S, Queued, pieces

__all__ = ["Pipe", "WavFile"]

_STDIN = 0
#: From look to look whether somebody writes into a FIFO again.
_NEXT_WRITER_S = 0.05


class _Given:
    """What is no microphone."""

    live = False
    missing: str | None = None

    def cpu_s(self) -> float:
        return 0.0


class WavFile(_Given):
    """A WAV file, at once or paced; see :class:`edgeprune_agent.audio.Source`."""

    def __init__(self, path: Path, rate_hz: int, block: int, *, realtime: bool) -> None:
        """Read it.

        Args:
            path: of the file.
            rate_hz: the sample rate that is needed.
            block: samples of a block.
            realtime: give it as fast as it would be spoken.

        Raises:
            AudioError: it can't be read, or is of another kind.
        """
        self.name, self.overruns = str(path), 0
        self._rate_hz, self._block, self._realtime = rate_hz, block, realtime
        try:
            with wave.open(str(path), "rb") as file:
                found = file.getnchannels(), 8 * file.getsampwidth(), file.getframerate()
                content = file.readframes(file.getnframes())
        except (OSError, EOFError, wave.Error) as error:
            raise AudioError(f"{path}: can't be read as WAV: {error}") from error
        if found != (1, 16, rate_hz):
            raise AudioError(
                f"{path}: has {found[0]} channels of {found[1]} bits at {found[2]} Hz; "
                f"1 of 16 bits at {rate_hz} Hz is needed",
                hint=f"sox IN.wav -r {rate_hz} -c 1 -b 16 OUT.wav",
            )
        self._samples = np.frombuffer(content, dtype="<i2").astype(np.int16)

    def blocks(self, stop: threading.Event) -> Generator[Block, None, None]:
        begin = time.monotonic()
        for first in range(0, len(self._samples), self._block):
            samples = self._samples[first : first + self._block]
            arrived = time.monotonic()
            if self._realtime:
                due = begin + (first + len(samples)) / self._rate_hz
                if due > arrived:
                    stop.wait(due - arrived)
                elif arrived - due > BACKLOG_S:
                    self.overruns += 1
                arrived = due
            if stop.is_set():
                return
            yield Block(samples, arrived)


class Pipe(_Given):
    """Raw int16 PCM from standard input, a FIFO or a file; see :class:`Source`.

    Its writer waits while inference is behind. Those of a FIFO may come and go: what each of them
    writes begins afresh, and only being stopped ends it.
    """

    def __init__(self, path: Path | None, rate_hz: int, block: int) -> None:
        """Begin.

        Args:
            path: of the FIFO or file; none for standard input.
            rate_hz: sample rate.
            block: samples of a block.
        """
        self.name = "standard input" if path is None else str(path)
        self._path, self._block = path, block
        self._queue = Queued(rate_hz, block)

    @property
    def overruns(self) -> int:
        return self._queue.overruns

    def blocks(self, stop: threading.Event) -> Generator[Block, None, None]:
        # The thread may wait in read() for ever; as a daemon it does not keep the process.
        threading.Thread(target=self._read, name="audio", daemon=True).start()
        yield from self._queue.taken(stop)

    def _read(self) -> None:
        try:
            if self._path is None:
                self._copy(_STDIN)
            else:
                with self._path.open("rb", buffering=0) as file:
                    self._copy(file.fileno())
                    while stat.S_ISFIFO(os.fstat(file.fileno()).st_mode):
                        # Kept open, so that nobody who begins to write now finds it closed.
                        time.sleep(_NEXT_WRITER_S)
                        self._copy(file.fileno(), fresh=True)
        except OSError as error:
            self._queue.end(AudioError(f"{self.name}: {error.strerror}"))
            return
        self._queue.end()

    def _copy(self, file: int, *, fresh: bool = False) -> None:
        for samples in pieces(file, self._block):
            self._queue.put(samples, fresh=fresh)
            fresh = False
