"""The front-end's definition in floating point: in plain NumPy, and with librosa."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from edgeprune.frontend.tables import energy_floor, mel_edges_hz
from edgeprune.recipe import Frontend

Floats = NDArray[np.float64]


def features(frontend: Frontend, clips: NDArray[np.int16]) -> Floats:
    """[clips, frames, features] by the textbook: window, rfft, power, triangles, log2, DCT-II."""
    n = np.arange(frontend.window)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * n / frontend.window)
    frames = np.lib.stride_tricks.sliding_window_view(
        clips.astype(np.float64), frontend.window, axis=1
    )[:, :: frontend.hop]
    power = np.abs(np.fft.rfft(frames * window, frontend.fft)) ** 2
    log_mel = np.log2(power @ filters(frontend) + energy_floor(frontend))
    return log_mel if frontend.kind == "log-mel" else log_mel @ _dct(frontend)


def librosa_features(frontend: Frontend, clips: NDArray[np.int16]) -> Floats:
    """The same by librosa: same parameters, float64, PCM units."""
    import librosa

    # librosa centres a window that is shorter than the transform; shift the clip to make up for it.
    before = (frontend.fft - frontend.window) // 2
    after = frontend.fft - frontend.window - before
    rows = []
    for clip in clips:
        mel = librosa.feature.melspectrogram(
            y=np.pad(clip.astype(np.float64), (before, after)),
            sr=frontend.sample_rate_hz,
            n_fft=frontend.fft,
            win_length=frontend.window,
            hop_length=frontend.hop,
            window="hann",
            center=False,
            power=2.0,
            n_mels=frontend.mel_bins,
            fmin=frontend.low_hz,
            fmax=frontend.high_hz,
            htk=True,
            norm=None,
            dtype=np.float64,
        )
        rows.append(np.log2(mel + energy_floor(frontend)))
    log_mel = np.array(rows)
    if frontend.kind == "mfcc":
        coefficients = librosa.feature.mfcc(
            S=log_mel, n_mfcc=frontend.coefficients, dct_type=2, norm="ortho"
        )
        return np.asarray(coefficients.transpose(0, 2, 1), dtype=np.float64)
    return log_mel.transpose(0, 2, 1)


def filters(frontend: Frontend) -> Floats:
    """[bins, mel_bins]: triangles with peak 1, linear in Hz between edges on the mel scale."""
    edges = np.array(mel_edges_hz(frontend))
    hz = np.arange(frontend.fft // 2 + 1) * frontend.sample_rate_hz / frontend.fft
    rising = (hz[:, None] - edges[:-2]) / np.diff(edges)[:-1]
    falling = (edges[2:] - hz[:, None]) / np.diff(edges)[1:]
    return np.maximum(0, np.minimum(rising, falling))


def _dct(frontend: Frontend) -> Floats:
    """[mel_bins, coefficients]: orthonormal DCT-II."""
    size = frontend.mel_bins
    k, i = np.arange(frontend.coefficients), np.arange(size)[:, None]
    matrix = math.sqrt(2 / size) * np.cos(np.pi * k * (2 * i + 1) / (2 * size))
    matrix[:, 0] /= math.sqrt(2)
    return matrix
