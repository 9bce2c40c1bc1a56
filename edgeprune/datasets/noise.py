"""Background noise: synthesized, or cut from recordings so that no split hears another's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from edgeprune.datasets.audio import scale_to_level, to_pcm
from edgeprune.datasets.dataset import SPLITS, Pcm
from edgeprune.errors import DatasetError

__all__ = ["KINDS", "babble", "divide", "silence_clip", "synthesize"]

_Floats = NDArray[np.float32]

#: Silence is drawn between these levels, in dB below full scale: a quiet room to a loud street.
_QUIETEST_DB, _LOUDEST_DB = -80.0, -10.0
#: The level that synthesized noise recordings have, in dB below full scale.
_RECORDING_DB = -30.0
#: Where each split's part of a recording ends, as a share of the recording.
_ENDS = {"train": 0.8, "validation": 0.9, "test": 1.0}


def synthesize(kind: str, samples: int, rate_hz: int, rng: np.random.Generator) -> _Floats:
    """Make one stretch of noise at -30 dB below full scale.

    Args:
        kind: one of :data:`KINDS`.
        samples: how long it is.
        rate_hz: the sample rate.
        rng: draws the noise and its character.

    Returns:
        float32 [samples], full scale 1.0.
    """
    return scale_to_level(_KINDS[kind](samples, rate_hz, rng), _RECORDING_DB)


def _coloured(exponent: float) -> Callable[[int, int, np.random.Generator], _Floats]:
    """Noise whose power falls with frequency to the power of ``exponent``."""

    def make(samples: int, rate_hz: int, rng: np.random.Generator) -> _Floats:
        frequencies = np.fft.rfftfreq(samples, 1.0 / rate_hz)
        return _shaped(np.maximum(frequencies, 20.0) ** (-exponent / 2.0), samples, rng)

    return make


def _shaped(gains: NDArray[np.float64], samples: int, rng: np.random.Generator) -> _Floats:
    spectrum = np.fft.rfft(rng.standard_normal(samples)) * gains
    return np.fft.irfft(spectrum, samples).astype(np.float32)


def _hum(samples: int, rate_hz: int, rng: np.random.Generator) -> _Floats:
    """Mains hum: harmonics of 50 or 60 Hz, a little off, over faint noise."""
    time = np.arange(samples) / rate_hz
    base = rng.choice([50.0, 60.0]) * rng.uniform(0.99, 1.01)
    tones = np.zeros(samples)
    for harmonic in range(1, 13):
        amplitude = rng.uniform(0.2, 1.0) / harmonic
        tones += amplitude * np.sin(2 * np.pi * (base * harmonic * time + rng.random()))
    return (tones + 0.05 * rng.standard_normal(samples)).astype(np.float32)


def _fan(samples: int, rate_hz: int, rng: np.random.Generator) -> _Floats:
    """Air: noise around a broad peak, slowly swelling."""
    frequencies = np.fft.rfftfreq(samples, 1.0 / rate_hz)
    centre, octaves = rng.uniform(150.0, 1500.0), rng.uniform(0.7, 2.0)
    distance = np.log2(np.maximum(frequencies, 20.0) / centre) / octaves
    air = _shaped(np.exp(-0.5 * distance**2) + 0.01, samples, rng)
    time = np.arange(samples) / rate_hz
    swell = 1.0 + 0.4 * np.sin(2 * np.pi * (rng.uniform(0.2, 3.0) * time + rng.random()))
    return (air * swell).astype(np.float32)


def _clicks(samples: int, rate_hz: int, rng: np.random.Generator) -> _Floats:
    """Keys, dishes: short decaying bursts at random times, over faint noise."""
    length = rate_hz // 20
    result = 0.02 * rng.standard_normal(samples + length)
    for start in rng.integers(0, samples, rng.poisson(rng.uniform(2, 10) * samples / rate_hz) + 1):
        decay = np.exp(-np.arange(length) / (rate_hz * rng.uniform(0.001, 0.01)))
        ring = np.sin(2 * np.pi * rng.uniform(500.0, 3500.0) * np.arange(length) / rate_hz)
        burst = (ring + rng.standard_normal(length)) * decay
        result[start : start + length] += rng.uniform(0.2, 1.0) * burst
    return result[:samples].astype(np.float32)


_KINDS: Mapping[str, Callable[[int, int, np.random.Generator], _Floats]] = {
    "white": _coloured(0.0),
    "pink": _coloured(1.0),
    "brown": _coloured(2.0),
    "hum": _hum,
    "fan": _fan,
    "clicks": _clicks,
}

#: The kinds of noise that :func:`synthesize` makes.
KINDS = tuple(_KINDS)


def babble(voices: Sequence[_Floats], samples: int, rng: np.random.Generator) -> _Floats:
    """Overlay many utterances until no word stands out; -30 dB below full scale.

    Args:
        voices: float32 [samples] each, of any length.
        samples: how long the result is.
        rng: draws which utterance begins when, and how loud it is.
    """
    result = np.zeros(samples, np.float32)
    spoken = 0
    while spoken < 6 * samples:
        voice = scale_to_level(voices[int(rng.integers(len(voices)))], rng.uniform(-36.0, -30.0))
        where = (rng.integers(samples) + np.arange(len(voice))) % samples
        np.add.at(result, where, voice)
        spoken += max(len(voice), 1)
    return scale_to_level(result, _RECORDING_DB)


def divide(recordings: Mapping[str, Pcm], clip_samples: int) -> dict[str, dict[str, Pcm]]:
    """Cut each recording in time: 80 % for training, 10 % for validation, 10 % for the test.

    A part shorter than a clip is left out.

    Args:
        recordings: int16 [samples] by name.
        clip_samples: samples in a clip.

    Returns:
        For each split its parts, by the names of the recordings; a split may have none.
    """
    parts: dict[str, dict[str, Pcm]] = {split: {} for split in SPLITS}
    for name, samples in sorted(recordings.items()):
        start = 0
        for split in SPLITS:
            end = int(_ENDS[split] * len(samples))
            if end - start >= clip_samples:
                parts[split][name] = samples[start:end]
            start = end
    return parts


def silence_clip(
    parts: Mapping[str, Pcm], clip_samples: int, rng: np.random.Generator
) -> tuple[str, Pcm]:
    """Draw a clip without speech: a stretch of noise at a drawn level.

    Args:
        parts: noise recordings of one split, none shorter than a clip.
        clip_samples: samples in the clip.
        rng: draws recording, position and level (-80 to -10 dB below full scale).

    Returns:
        The name of the recording with the position, and int16 [clip_samples].

    Raises:
        DatasetError: when there is no recording.
    """
    if not parts:
        raise DatasetError(
            "the background noise is too short to give each split a part of its own",
            hint="a recording of ten clips' length or more; or none, and noise is synthesized",
        )
    name = sorted(parts)[rng.integers(len(parts))]
    start = int(rng.integers(len(parts[name]) - clip_samples + 1))
    stretch = parts[name][start : start + clip_samples].astype(np.float32) / 32768.0
    level = rng.uniform(_QUIETEST_DB, _LOUDEST_DB)
    return f"{name}@{start}", to_pcm(scale_to_level(stretch, level))
