"""A microphone that may come and go while the service runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import replace
from typing import Protocol

from .audio import SILENT_S, TICK_S, Block, nothing
from .errors import NoMicrophone

__all__ = ["Capture", "Microphone", "Way"]

_RETRY_S = 3.0


class Capture(Protocol):
    """A microphone that is open.

    Attributes:
        name: of program and device, in reports.
        overruns: how often audio was lost.
    """

    @property
    def name(self) -> str: ...

    @property
    def overruns(self) -> int: ...

    def blocks(self, stop: threading.Event) -> Iterator[Block]:
        """See :meth:`edgeprune_agent.audio.Source.blocks`.

        Raises:
            NoMicrophone: it could not be opened, or is gone.
            AudioError: it gives audio of another kind than asked for.
        """

    def cpu_s(self) -> float:
        """Seconds of CPU time that another process spent for it."""

    def close(self) -> None:
        """Give the device back."""


#: Opens one device, or raises what :meth:`Capture.blocks` does.
Way = Callable[[], Capture]


class Microphone:
    """The first way that gives audio, tried again as long as there is none; see :class:`Source`."""

    live = True

    def __init__(
        self,
        ways: Callable[[], Iterator[Way]],
        *,
        retry_s: float = _RETRY_S,
        silent_s: float = SILENT_S,
    ) -> None:
        """Begin.

        Args:
            ways: asked at every try for what may be opened, the best first. It may raise
                NoMicrophone.
            retry_s: seconds from try to try.
            silent_s: seconds without audio after which a device is closed and opened anew.
        """
        self.missing: str | None = None
        self.name = "the microphone"
        self._ways, self._retry_s, self._silent_s = ways, retry_s, silent_s
        self._capture: Capture | None = None
        self._overruns, self._cpu_s = 0, 0.0
        self._heard_before = False

    @property
    def overruns(self) -> int:
        return self._overruns + (self._capture.overruns if self._capture else 0)

    def cpu_s(self) -> float:
        return self._cpu_s + (self._capture.cpu_s() if self._capture else 0.0)

    def blocks(self, stop: threading.Event) -> Generator[Block, None, None]:
        while not stop.is_set():
            try:
                yield from self._try(stop)
            except NoMicrophone as error:
                # A service manager that stops the service may stop arecord first.
                if stop.wait(TICK_S):
                    return
                self.missing = f"{error.message} ({error.hint})" if error.hint else error.message
            retry_at = time.monotonic() + self._retry_s
            while not stop.is_set() and time.monotonic() < retry_at:
                yield nothing(time.monotonic())
                stop.wait(TICK_S)

    def _try(self, stop: threading.Event) -> Generator[Block, None, None]:
        """One way after the other; of the first that gives audio, all that it gives.

        Raises:
            NoMicrophone: none can be opened, in the words of the last; or it is gone.
        """
        refusal: NoMicrophone | None = None
        silent = False
        for way in self._ways():
            heard = False
            try:
                with closing(way()) as capture:
                    for block in self._until_silent(capture, stop):
                        heard = heard or len(block.samples) > 0
                        yield block
            except NoMicrophone as error:
                if heard:
                    raise
                refusal = error
            else:
                silent = True
            if heard or stop.is_set():
                return
        if refusal is not None and not silent:
            raise refusal
        self.missing = None

    def _until_silent(
        self, capture: Capture, stop: threading.Event
    ) -> Generator[Block, None, None]:
        self._capture, self.name = capture, capture.name
        last, fresh = time.monotonic(), self._heard_before
        try:
            for block in capture.blocks(stop):
                if len(block.samples):
                    last, self.missing, self._heard_before = block.arrived, None, True
                    yield replace(block, fresh=fresh)
                    fresh = False
                elif block.arrived - last >= self._silent_s:
                    return
                else:
                    yield block
        finally:
            self._capture = None
            self._overruns += capture.overruns
            self._cpu_s += capture.cpu_s()
