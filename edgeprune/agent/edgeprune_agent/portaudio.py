"""ALSA by PortAudio, with the package ``sounddevice``."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np

from .audio import Block
from .errors import AudioError, NoMicrophone
from .microphone import Capture, Way
from .queued import Queued

__all__ = ["PortAudio", "Recorder"]

_INSTALL = "sudo apt-get install libportaudio2, and ssh.listen = ['--input', 'sounddevice']"


class Recorder:
    """The way to record by PortAudio."""

    def __init__(self, device: str | None, rate_hz: int, block: int) -> None:
        """Begin.

        Args:
            device: a number, or a part of a name; the default one where left out.
            rate_hz: sample rate.
            block: samples of a block.
        """
        self._device, self._rate_hz, self._block = device, rate_hz, block
        self._tried = False

    def installed(self) -> bool:
        try:
            self.require()
        except AudioError:
            return False
        return True

    def require(self) -> None:
        """Raise AudioError where the package or its library is not installed."""
        try:
            importlib.import_module("sounddevice")
        except (ImportError, OSError) as error:
            raise AudioError(f"sounddevice can't be imported: {error}", hint=_INSTALL) from error

    def ways(self) -> Iterator[Way]:
        """The one way there is."""
        yield self._open

    def _open(self) -> Capture:
        sounddevice = importlib.import_module("sounddevice")
        if self._tried:
            # PortAudio looks for devices once; what was plugged in since is found only so.
            sounddevice._terminate()
            sounddevice._initialize()
        self._tried = True
        return PortAudio(sounddevice, self._device, self._rate_hz, self._block)


class PortAudio:
    """One device; see :class:`edgeprune_agent.microphone.Capture`."""

    def __init__(self, sounddevice: Any, device: str | None, rate_hz: int, block: int) -> None:
        """Open and start it.

        Args:
            sounddevice: the module.
            device: a number, or a part of a name; the default one where left out.
            rate_hz: sample rate.
            block: samples of a block.

        Raises:
            NoMicrophone: it can't be opened.
        """
        self.name = f"sounddevice {device or 'default'}"
        self._queue = Queued(rate_hz, block)
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
            self._stream.start()
        except (ValueError, sounddevice.PortAudioError) as error:
            raise NoMicrophone(
                f"{self.name}: {error}",
                hint="connect one; --device takes a number, or a part of a name",
            ) from error

    @property
    def overruns(self) -> int:
        return self._queue.overruns

    def blocks(self, stop: threading.Event) -> Iterator[Block]:
        yield from self._queue.taken(stop)

    def cpu_s(self) -> float:
        return 0.0

    def close(self) -> None:
        self._stream.close()

    def _arrived(self, data: Any, count: int, timing: Any, status: Any) -> None:
        """On PortAudio's thread."""
        if status:
            self._queue.lose(0)
        self._queue.offer(np.frombuffer(bytes(data), dtype=np.int16))
