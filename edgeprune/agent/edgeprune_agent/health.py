"""The health of a release: proved once, or told again and again by the service that runs."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from .machine import now
from .output import emit, write_atomically

__all__ = ["HealthFile", "health"]


def health(release: str | None, *, healthy: bool, detail: str, started: Any) -> dict[str, Any]:
    """What a deployer waits for: which release, whether it is well, and since when that is known.

    Args:
        release: its id; none where the bundle could not be opened.
        healthy: whether it does what it is for.
        detail: in words.
        started: when the process began, as :func:`edgeprune_agent.machine.now` gives it.
    """
    return {
        "kind": "health",
        "release": release,
        "pid": os.getpid(),
        "started": started,
        "at": now(),
        "healthy": healthy,
        "detail": detail,
    }


class HealthFile:
    """A service's health in a file, written at every change and at least every interval.

    A file that can't be written must not stop what the service is for: a line of output says so,
    and the file grows old, which a deployer takes for ill.
    """

    def __init__(self, path: Path | None, release: str, interval_s: float = 2.0) -> None:
        """Begin.

        Args:
            path: of the file; none for nothing.
            release: that runs.
            interval_s: seconds between two writings of the same.
        """
        self._path, self._release, self._interval_s = path, release, interval_s
        self._started = now()
        self._last: tuple[object, ...] | None = None
        self._due = 0.0
        self._failed = False

    def tell(self, healthy: bool, detail: str, audio: str | None = None) -> None:
        """What is so now.

        Args:
            healthy: whether the service does what it is for.
            detail: in words.
            audio: how it stands with it, of :mod:`edgeprune_agent.hearing`; None for not known.
        """
        moment = time.monotonic()
        told = (healthy, detail, audio)
        if self._path is None or (told == self._last and moment < self._due):
            return
        self._last, self._due = told, moment + self._interval_s
        line = health(self._release, healthy=healthy, detail=detail, started=self._started)
        line["audio"] = audio
        try:
            write_atomically(self._path, (json.dumps(line) + "\n").encode())
        except OSError as error:
            if not self._failed:
                self._failed = True
                message = f"{self._path}: can't be written: {error.strerror}"
                emit({"kind": "warning", "message": message})
