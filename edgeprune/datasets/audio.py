"""One recording: its bytes decoded and checked, and fitted to a clip."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeprune.datasets.dataset import Pcm
from edgeprune.errors import DatasetError, MissingExtraError

__all__ = [
    "LONGEST_S",
    "SHORTEST_S",
    "SUFFIXES",
    "Recording",
    "decode",
    "fit",
    "is_audio_name",
    "level_db",
    "resample",
    "scale_to_level",
    "to_pcm",
]

#: File names that are read as audio, in lower case.
SUFFIXES = (".wav", ".flac")
#: A clip shorter than this can't hold a word.
SHORTEST_S = 0.1
#: A file longer than this is a recording to be cut up, not a clip of a word.
LONGEST_S = 30.0

_FULL_SCALE = 32768.0
_MAGIC = (b"RIFF", b"RIFX", b"RF64", b"fLaC")
#: Written by programs that stream a WAV and can't go back to fill in its length.
_UNKNOWN_LENGTH = (0xFFFFFFFF, 0x7FFFFFFF)


@dataclass(frozen=True)
class Recording:
    """Decoded audio.

    Attributes:
        samples: int16 or float32 [samples, channels]; floats are at full scale 1.0.
        rate_hz: the sample rate.
    """

    samples: NDArray[Any]
    rate_hz: int

    @property
    def seconds(self) -> float:
        """How long it is."""
        return len(self.samples) / self.rate_hz

    @property
    def channels(self) -> int:
        """How many channels it has."""
        return int(self.samples.shape[1])


def is_audio_name(name: str) -> bool:
    """Whether a file of this name is read as audio."""
    return name.lower().endswith(SUFFIXES)


def decode(data: bytes, where: str) -> Recording:
    """Decode a WAV or FLAC file.

    Args:
        data: the whole file.
        where: the file, for errors.

    Raises:
        DatasetError: for a file that is empty, truncated, not WAV or FLAC, without samples, or
            with samples that are not finite numbers.
        MissingExtraError: without ``soundfile``.
    """
    try:
        import soundfile
    except ImportError as error:
        raise MissingExtraError("soundfile", extra="train", purpose="reading clips") from error
    if not data:
        raise DatasetError("is empty: 0 bytes", where=where)
    if not data.startswith(_MAGIC):
        raise DatasetError(f"is neither WAV nor FLAC: it begins with {data[:4]!r}", where=where)
    _refuse_truncated_wav(data, where)
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            promised = file.frames
            kind = "int16" if file.subtype == "PCM_16" else "float32"
            samples = file.read(dtype=kind, always_2d=True)
            rate = file.samplerate
    except soundfile.LibsndfileError as error:
        reason = str(error.error_string).strip().rstrip(".")
        raise DatasetError(f"can't be read as audio: {reason}", where=where) from error
    if len(samples) == 0:
        raise DatasetError("holds no samples", where=where)
    if len(samples) < promised:
        raise DatasetError(
            f"is truncated: its header promises {promised} samples, it holds {len(samples)}",
            where=where,
        )
    if not np.isfinite(samples).all():
        raise DatasetError("holds samples that are not finite numbers (NaN or inf)", where=where)
    return Recording(samples, rate)


def _refuse_truncated_wav(data: bytes, where: str) -> None:
    """Compare the promise of a RIFF file's ``data`` chunk with what follows it.

    libsndfile quietly shortens such a file. The chunk layout is that of Microsoft's and IBM's
    "Multimedia Programming Interface and Data Specifications 1.0" (1991), chapter 2.
    """
    order = {b"RIFF": "<", b"RIFX": ">"}.get(data[:4])
    if order is None:
        return
    position = 12
    while position + 8 <= len(data):
        name, size = (
            data[position : position + 4],
            struct.unpack_from(order + "I", data, position + 4)[0],
        )
        held = len(data) - position - 8
        if name == b"data":
            if size > held and size not in _UNKNOWN_LENGTH:
                raise DatasetError(
                    f"is truncated: its header promises {size} bytes of samples, it holds {held}",
                    where=where,
                )
            return
        position += 8 + size + size % 2


def resample(samples: NDArray[np.float32], rate_hz: int, target_hz: int) -> NDArray[np.float32]:
    """Change the sample rate of float32 [samples] (soxr, high quality).

    Raises:
        MissingExtraError: without ``soxr``.
    """
    if rate_hz == target_hz:
        return samples
    try:
        import soxr
    except ImportError as error:
        raise MissingExtraError("soxr", extra="train", purpose="resampling clips") from error
    resampled: NDArray[np.float32] = soxr.resample(samples, rate_hz, target_hz, quality="HQ")
    return resampled


def to_pcm(samples: NDArray[Any]) -> Pcm:
    """Round floats at full scale 1.0 to int16; what is beyond full scale is clipped."""
    if samples.dtype == np.int16:
        return samples
    return np.clip(np.rint(samples * _FULL_SCALE), -32768, 32767).astype(np.int16)


def level_db(samples: NDArray[Any]) -> float:
    """Root mean square of floats at full scale 1.0, in dB below full scale; -inf for silence."""
    power = float(np.mean(np.square(samples, dtype=np.float64)))
    return 10.0 * float(np.log10(power)) if power > 0 else -np.inf


def scale_to_level(samples: NDArray[np.float32], target_db: float) -> NDArray[np.float32]:
    """Bring the root mean square to ``target_db``, or as near as it gets without clipping."""
    peak = float(np.abs(samples).max(initial=0.0))
    if peak == 0.0:
        return samples
    gain = min(10.0 ** ((target_db - level_db(samples)) / 20.0), 0.99 / peak)
    return samples * np.float32(gain)


def fit(samples: Pcm, length: int) -> Pcm:
    """Bring a clip to ``length`` samples.

    A shorter clip is put in the middle of zeros. Of a longer one the loudest window (the most
    energy; the first of several) is kept.

    Args:
        samples: int16 [samples].
        length: samples of the result.
    """
    missing = length - len(samples)
    if missing >= 0:
        return np.pad(samples, (missing // 2, missing - missing // 2))
    energy = np.cumsum(np.concatenate([[0], np.square(samples, dtype=np.int64)]))
    start = int(np.argmax(energy[length:] - energy[:-length]))
    return samples[start : start + length]
