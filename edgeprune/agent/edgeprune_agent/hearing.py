"""What is told of the audio: to the health file, and in lines of output."""

from __future__ import annotations

from typing import NamedTuple

from .audio import SILENT_S, Source

__all__ = ["HEARD", "IDLE", "SILENT", "WAITING", "Hearing"]

HEARD = "heard"
#: For a microphone that may come: the service is well, and does nothing.
WAITING = "waiting"
#: From a microphone that is open: a fault.
SILENT = "silent"
#: From a file or a pipe: others may write whenever they like.
IDLE = "idle"


class Hearing(NamedTuple):
    """How it stands with the audio.

    Attributes:
        healthy: whether the service does what it can.
        detail: in words.
        audio: ``heard``, ``waiting``, ``silent`` or ``idle``; None where that is not known yet.
    """

    healthy: bool
    detail: str
    audio: str | None

    @classmethod
    def of(cls, source: Source, *, quiet_s: float, open_s: float) -> Hearing:
        """By time.

        Args:
            source: of the audio.
            quiet_s: seconds since the last of it; infinite for none yet.
            open_s: seconds since the source was opened.
        """
        if source.missing is not None:
            return cls(True, f"waiting for a microphone: {source.missing}", WAITING)
        if quiet_s < SILENT_S:
            return cls(True, f"listening: {source.name}", HEARD)
        if not source.live:
            return cls(True, "waiting for audio", IDLE)
        if open_s < SILENT_S:
            return cls(False, "opening the microphone", None)
        return cls(False, f"the microphone gives no audio: {source.name}", SILENT)
