"""Speech from eSpeak NG: the same list of utterances gives the same samples, every time."""

from __future__ import annotations

import importlib.metadata
import json
import sys
import tempfile
from collections.abc import Generator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType

import numpy as np

from edgeprune.datasets import espeak_worker
from edgeprune.datasets.dataset import Pcm
from edgeprune.errors import MissingExtraError
from edgeprune.process import run
from edgeprune.progress import Progress

__all__ = ["RATE_HZ", "SERIES", "Utterance", "speak", "version"]

#: The versions that pyproject.toml allows: they hold one eSpeak NG, so their speech is the same.
SERIES = "espeakng-loader 0.2"

#: The sample rate of eSpeak NG's voices.
RATE_HZ = 22_050

#: Utterances that one process speaks. Part of what is heard: state runs from one to the next.
_SHARD = 512


@dataclass(frozen=True)
class Utterance:
    """Something to be said.

    Attributes:
        text: SSML.
        speaker: accent and variant: ``en-us+f3``.
        rate: words a minute, 80 to 260; raised when the result is longer than ``longest``.
        pitch: 0 to 99; 50 is the voice's own.
        range: how far the pitch moves, 0 to 99; 50 is the voice's own.
        volume: 0 to 200; 100 is the voice's own.
        longest: samples at :data:`RATE_HZ` that it should not exceed.
    """

    text: str
    speaker: str
    rate: int
    pitch: int
    range: int
    volume: int
    longest: int


def version() -> str:
    """The version of the package that holds the synthesizer.

    Raises:
        MissingExtraError: without it.
    """
    try:
        return importlib.metadata.version("espeakng-loader")
    except importlib.metadata.PackageNotFoundError as error:
        raise _missing() from error


def speak(utterances: Sequence[Utterance], progress: Progress) -> Generator[Pcm]:
    """Speak a list, in fresh processes, in order.

    Args:
        utterances: what to say.
        progress: is told of every utterance.

    Yields:
        int16 [samples] at :data:`RATE_HZ`, without silence at the ends. Longer than ``longest``
        only where even the fastest rate did not help.

    Raises:
        MissingExtraError: without ``espeakng-loader``.
        ProcessError: when the synthesizer fails.
    """
    loader = _loader()
    with (
        progress.task("synthesize speech", len(utterances), "utterances") as task,
        tempfile.TemporaryDirectory(prefix="edgeprune-speech-") as folder,
    ):
        for start in range(0, len(utterances), _SHARD):
            for pcm in _speak_shard(loader, utterances[start : start + _SHARD], Path(folder)):
                yield pcm
                task.advance()


def _speak_shard(loader: ModuleType, utterances: Sequence[Utterance], folder: Path) -> list[Pcm]:
    job, samples = folder / "job.json", folder / "samples.s16"
    job.write_text(
        json.dumps(
            {
                "library": loader.get_library_path(),
                "data": loader.get_data_path(),
                "utterances": [asdict(utterance) for utterance in utterances],
            }
        ),
        encoding="utf-8",
    )
    run([sys.executable, "-I", espeak_worker.__file__, job, samples])
    done = json.loads(Path(f"{samples}.json").read_text(encoding="utf-8"))
    if done["rate_hz"] != RATE_HZ:
        raise RuntimeError(f"eSpeak NG speaks at {done['rate_hz']} Hz, not at {RATE_HZ} Hz")
    return np.split(np.fromfile(samples, np.int16), np.cumsum(done["lengths"])[:-1])


def _loader() -> ModuleType:
    try:
        import espeakng_loader
    except ImportError as error:
        raise _missing() from error
    return espeakng_loader  # type: ignore[no-any-return]


def _missing() -> MissingExtraError:
    return MissingExtraError("espeakng-loader", extra="train", purpose="synthesizing speech")
