"""The features that MLPerf Tiny's published keyword network was trained on, in floating point.

It normalizes a clip by its largest sample, which needs the whole clip: no streaming front-end can
do that. So this serves training alone, as what a published teacher hears; devices run
:mod:`edgeprune.frontend`.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["CLIP_SAMPLES", "COEFFICIENTS", "FRAMES", "SAMPLE_RATE_HZ", "mfcc"]

SAMPLE_RATE_HZ = 16_000
CLIP_SAMPLES = 16_000
FRAMES = 49
COEFFICIENTS = 10

_WINDOW, _HOP, _FFT = 480, 320, 512
_MEL_BINS, _LOW_HZ, _HIGH_HZ = 40, 20.0, 4_000.0
_FLOOR = 1e-6

#: Clips that are transformed at a time: what fits the processor's cache.
_CHUNK = 16


def mfcc(clips: NDArray[np.int16]) -> NDArray[np.float32]:
    """MFCCs of whole clips, as in MLPerf Tiny's keyword benchmark (Banbury et al. 2021).

    A clip is divided by its largest sample, not the largest magnitude; the frames have a periodic
    Hann window; the filters are those of :func:`_filters`, over magnitudes, not powers; the cosine
    transform is the orthonormal DCT-II, but for c0, which is larger by the square root of 2.

    Args:
        clips: int16 [clips, 16000] at 16 kHz.

    Returns:
        float32 [clips, 49, 10].
    """
    window = _window()
    filters = _filters()
    cosines = _cosines()
    result = np.empty((len(clips), FRAMES, COEFFICIENTS), dtype=np.float32)
    for start in range(0, len(clips), _CHUNK):
        rows = slice(start, start + _CHUNK)
        sound = clips[rows].astype(np.float32) / 32768
        peaks = sound.max(axis=1, keepdims=True)
        sound /= np.where(peaks > 0, peaks, 1)
        frames = np.lib.stride_tricks.sliding_window_view(sound, _WINDOW, axis=1)[:, ::_HOP]
        magnitudes = np.abs(np.fft.rfft(frames * window, _FFT))
        result[rows] = np.log(magnitudes @ filters + _FLOOR) @ cosines
    return result


def _window() -> NDArray[np.float32]:
    angles = 2 * np.pi * np.arange(_WINDOW) / _WINDOW
    window: NDArray[np.float32] = (0.5 - 0.5 * np.cos(angles)).astype(np.float32)
    return window


def _filters() -> NDArray[np.float64]:
    """Mel filters, [257, 40]: triangles with straight sides over the mel scale and a peak of 1.

    mel = 1127 ln(1 + f / 700); the bin at 0 Hz is in none. librosa's have sides that are straight
    over Hz.
    """
    mels = 1127 * np.log1p(np.linspace(0, SAMPLE_RATE_HZ / 2, _FFT // 2 + 1) / 700)
    lowest, highest = (1127 * math.log1p(hz / 700) for hz in (_LOW_HZ, _HIGH_HZ))
    edges = np.linspace(lowest, highest, _MEL_BINS + 2)
    low, peak, high = edges[:-2], edges[1:-1], edges[2:]
    rising = (mels[:, None] - low) / (peak - low)
    falling = (high - mels[:, None]) / (high - peak)
    filters: NDArray[np.float64] = np.maximum(0, np.minimum(rising, falling))
    filters[0] = 0
    return filters


def _cosines() -> NDArray[np.float64]:
    """[40, 10]: mel bins to coefficients."""
    positions = np.pi * (2 * np.arange(_MEL_BINS) + 1) / (2 * _MEL_BINS)
    cosines: NDArray[np.float64] = np.cos(np.outer(positions, np.arange(COEFFICIENTS)))
    cosines *= math.sqrt(2 / _MEL_BINS)
    return cosines
