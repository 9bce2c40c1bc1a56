"""What audio is to the agent: blocks of samples from a source."""

from __future__ import annotations

import threading
from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["SILENT_S", "TICK_S", "Block", "Source", "nothing"]

#: Seconds after which a source that is open and gives no audio is silent.
SILENT_S = 5.0
#: Seconds that a source may be quiet before it gives a block of no samples.
TICK_S = 0.2


@dataclass(frozen=True)
class Block:
    """A piece of audio.

    Attributes:
        samples: int16 PCM [samples]; of none, time passed without audio.
        arrived: when the last of them was there; of ``time.monotonic``.
        lost: samples that were lost before them.
        fresh: nothing before them belongs to them: the microphone was opened anew, or somebody
            else writes into the FIFO.
    """

    samples: NDArray[np.int16]
    arrived: float
    lost: int = 0
    fresh: bool = False


def nothing(moment: float) -> Block:
    """Time that passed without audio."""
    return Block(np.empty(0, np.int16), moment)


class Source(Protocol):
    """Audio, at the sample rate that it was opened for.

    Attributes:
        name: in reports, such as ``arecord plughw:CARD=Mic,DEV=0``.
        live: whether it comes by itself, so that silence of the source is a fault.
        overruns: how often audio had to wait for room, or was lost for want of it.
        missing: why there is no microphone now, and what to try; None while one is open, and for
            what is no microphone.
    """

    @property
    def name(self) -> str: ...

    @property
    def live(self) -> bool: ...

    @property
    def overruns(self) -> int: ...

    @property
    def missing(self) -> str | None: ...

    def blocks(self, stop: threading.Event) -> Generator[Block, None, None]:
        """Blocks to the end of the audio, or until stopped; at least five a second.

        Close the generator when done: it gives back what it opened. A microphone must be read by
        the thread that lives as long as the program.

        Raises:
            AudioError: the audio breaks off, or is of another kind than asked for.
        """

    def cpu_s(self) -> float:
        """Seconds of CPU time that other processes spent to get the audio."""
