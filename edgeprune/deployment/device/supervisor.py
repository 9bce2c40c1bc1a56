"""Keeps the service running where no systemd does, and its log from filling the disk."""

from __future__ import annotations

import os
import signal
import time
from collections import deque
from pathlib import Path
from typing import IO

from .layout import utc
from .process import Child, started

__all__ = ["BEGINNING", "Supervisor"]

#: What the log says, with the release's name, when a service begins.
BEGINNING = "release"

#: As the systemd unit has it: at most so many starts in so many seconds, with a pause between.
_STARTS, _INTERVAL_S, _PAUSE_S = 5, 120.0, 2.0
#: From this size on a log is put aside, as ``service.log.1``.
_LOG_BYTES = 1 << 20
_CHUNK = 1 << 16


class Supervisor:
    """Runs a command again whenever it fails."""

    def __init__(self, command: list[str], log: Path, release: str) -> None:
        """Name the command, the file for what it prints, and whose command it is."""
        self._command, self._path, self._release = command, log, release
        self._log: IO[bytes] | None = None
        self._child: Child | None = None
        self._stopping = False

    def run(self) -> None:
        """Until the command ends well, SIGTERM comes, or it failed too often."""
        signal.signal(signal.SIGTERM, self._stop)
        starts: deque[float] = deque(maxlen=_STARTS)
        self._say(f"{BEGINNING} {self._release}")
        while not self._stopping:
            starts.append(time.monotonic())
            code = self._run_once()
            if self._stopping or code == 0:
                self._say(f"ended with exit code {code}")
                return
            if len(starts) == _STARTS and time.monotonic() - starts[0] < _INTERVAL_S:
                self._say(f"ended with exit code {code}, as {_STARTS} times in a row: given up")
                return
            self._say(f"ended with exit code {code}: again in {_PAUSE_S:g} s")
            time.sleep(_PAUSE_S)

    def _run_once(self) -> int:
        try:
            self._child = started(self._command)
        except OSError as error:
            self._say(f"{self._command[0]} can't be run: {error.strerror}")
            return 127
        if self._stopping:
            self._child.terminate()
        output = self._child.stdout
        if output is not None:
            for piece in iter(lambda: os.read(output.fileno(), _CHUNK), b""):
                self._keep(piece)
            output.close()
        return self._child.wait()

    def _stop(self, number: int, frame: object) -> None:
        self._stopping = True
        if self._child is not None:
            self._child.terminate()

    def _say(self, text: str) -> None:
        self._keep(f"{utc()} service: {text}\n".encode())

    def _keep(self, content: bytes) -> None:
        """Write to the log; a full disk does not end the service."""
        try:
            if self._log is not None and self._log.tell() > _LOG_BYTES:
                self._log.close()
                self._log = None
                self._path.replace(self._path.with_name(self._path.name + ".1"))
            if self._log is None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._log = self._path.open("ab", buffering=0)
            self._log.write(content)
        except OSError:
            return
