"""Where PCM comes from: a microphone, a WAV file, a pipe; each gives blocks of samples."""

from __future__ import annotations

import importlib
import os
import queue
import stat
import threading
import time
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from .errors import AudioError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Block", "Microphone", "Pipe", "Source", "WavFile", "open_source"]

#: Seconds of audio that wait at most while inference is behind.
_BACKLOG_S = 2.0
_TICK_S = 0.2
_STDIN = 0


@dataclass(frozen=True)
class Block:
    """A piece of audio.

    Attributes:
        samples: int16 PCM [samples]; of none, time passed without audio.
        arrived: when the last of them was there; of ``time.monotonic``.
        lost: samples that were lost before them.
    """

    samples: NDArray[np.int16]
    arrived: float
    lost: int = 0


class Source(Protocol):
    """Audio, at the sample rate that it was opened for.

    Attributes:
        live: whether it comes by itself, so that silence of the source is a fault.
        overruns: how often audio had to wait for room, or was lost for want of it.
    """

    live: bool
    overruns: int

    def blocks(self, stop: threading.Event) -> Iterator[Block]:
        """Blocks to the end of the audio, or until stopped; at least five a second.

        Raises:
            AudioError: the audio breaks off.
        """


def open_source(
    name: str, rate_hz: int, block: int, *, realtime: bool, device: str | None
) -> Source:
    """Open audio.

    Args:
        name: ``alsa``, a WAV file, ``-`` for standard input, or a FIFO or file of int16 PCM.
        rate_hz: the sample rate that is needed.
        block: samples of a block.
        realtime: give a WAV file as fast as it would be spoken.
        device: of ALSA; the default one where left out.

    Raises:
        AudioError: it can't be opened, or is of another kind.
    """
    if name == "alsa":
        return Microphone(device, rate_hz, block)
    if name == "-":
        return Pipe(None, rate_hz, block)
    path = Path(name)
    try:
        kind = path.stat().st_mode
    except OSError as error:
        raise AudioError(
            f"{path}: {error.strerror}", hint="give alsa, a WAV file, a FIFO or -"
        ) from error
    if stat.S_ISREG(kind) and path.suffix.lower() == ".wav":
        return WavFile(path, rate_hz, block, realtime=realtime)
    return Pipe(path, rate_hz, block)


class WavFile:
    """A WAV file, at once or paced; see :class:`Source`."""

    def __init__(self, path: Path, rate_hz: int, block: int, *, realtime: bool) -> None:
        self.live, self.overruns = False, 0
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

    def blocks(self, stop: threading.Event) -> Iterator[Block]:
        begin = time.monotonic()
        for first in range(0, len(self._samples), self._block):
            samples = self._samples[first : first + self._block]
            arrived = time.monotonic()
            if self._realtime:
                due = begin + (first + len(samples)) / self._rate_hz
                if due > arrived:
                    stop.wait(due - arrived)
                elif arrived - due > _BACKLOG_S:
                    self.overruns += 1
                arrived = due
            if stop.is_set():
                return
            yield Block(samples, arrived)


class _Live:
    """A queue between a thread that gets audio and the one that uses it."""

    def __init__(self, rate_hz: int, block: int) -> None:
        self.overruns = 0
        self._queue: queue.Queue[Block | None] = queue.Queue(
            max(2, int(_BACKLOG_S * rate_hz / block))
        )
        self._failure: AudioError | None = None

    def _fail(self, error: AudioError) -> None:
        self._failure = error
        self._end()

    def _end(self) -> None:
        self._queue.put(None)

    def _taken(self, stop: threading.Event) -> Iterator[Block]:
        while not stop.is_set():
            try:
                block = self._queue.get(timeout=_TICK_S)
            except queue.Empty:
                yield Block(np.empty(0, np.int16), time.monotonic())
                continue
            if block is None:
                if self._failure is not None:
                    raise self._failure
                return
            yield block


class Pipe(_Live):
    """Raw int16 PCM from standard input, a FIFO or a file; see :class:`Source`.

    Its writer waits while inference is behind.
    """

    def __init__(self, path: Path | None, rate_hz: int, block: int) -> None:
        super().__init__(rate_hz, block)
        self.live = False
        self._path, self._block = path, block

    def blocks(self, stop: threading.Event) -> Iterator[Block]:
        # The thread may wait in read() for ever; as a daemon it does not keep the process.
        threading.Thread(target=self._read, name="audio", daemon=True).start()
        return self._taken(stop)

    def _read(self) -> None:
        try:
            if self._path is None:
                self._copy(_STDIN)
            else:
                with self._path.open("rb", buffering=0) as file:
                    self._copy(file.fileno())
        except OSError as error:
            self._fail(AudioError(f"{self._path or 'standard input'}: {error.strerror}"))
            return
        self._end()

    def _copy(self, file: int) -> None:
        rest = b""
        for piece in iter(lambda: os.read(file, 2 * self._block), b""):
            content = rest + piece
            whole = len(content) - len(content) % 2
            rest = content[whole:]
            samples = np.frombuffer(content[:whole], dtype="<i2").astype(np.int16)
            self._put(Block(samples, time.monotonic()))

    def _put(self, block: Block) -> None:
        if self._queue.full():
            self.overruns += 1
        self._queue.put(block)


class Microphone(_Live):
    """ALSA by ``sounddevice``; see :class:`Source`. What finds no room is lost, and counted."""

    def __init__(self, device: str | None, rate_hz: int, block: int) -> None:
        super().__init__(rate_hz, block)
        self.live = True
        self._lost = 0
        try:
            sounddevice = importlib.import_module("sounddevice")
        except (ImportError, OSError) as error:
            raise AudioError(
                f"sounddevice can't be imported: {error}",
                hint="sudo apt-get install libportaudio2, and deploy with sounddevice; "
                "or pipe: arecord -q -t raw -f S16_LE -c 1 -r "
                f"{rate_hz} | … listen --input -",
            ) from error
        selected: Any = int(device) if device is not None and device.isdigit() else device
        try:
            self._stream = sounddevice.RawInputStream(
                samplerate=rate_hz,
                blocksize=block,
                device=selected,
                channels=1,
                dtype="int16",
                callback=self._arrived,
            )
        except (ValueError, sounddevice.PortAudioError) as error:
            raise AudioError(
                f"the microphone {device or 'of the system'} can't be opened: {error}",
                hint="arecord -L lists what there is; --device takes a number or a part of a name",
            ) from error

    def blocks(self, stop: threading.Event) -> Iterator[Block]:
        with self._stream:
            yield from self._taken(stop)

    def _arrived(self, data: Any, count: int, timing: Any, status: Any) -> None:
        """On PortAudio's thread."""
        if status:
            self.overruns += 1
        samples = np.frombuffer(bytes(data), dtype=np.int16)
        try:
            self._queue.put_nowait(Block(samples, time.monotonic(), self._lost))
            self._lost = 0
        except queue.Full:
            self.overruns += 1
            self._lost += count
