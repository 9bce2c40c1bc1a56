"""Clips made by formula: what every front-end must get right without anyone's recordings."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgeprune.recipe import Frontend

FULL_SCALE = 32767


def pcm(values: NDArray[np.floating]) -> NDArray[np.int16]:
    """Rounded and clipped to 16 bits."""
    return np.clip(np.round(values), -32768, 32767).astype(np.int16)


def ordinary(frontend: Frontend) -> dict[str, NDArray[np.int16]]:
    """Name to clip: noise, tones, chirps, silence, impulses, at levels that occur."""
    rng = np.random.default_rng(20)
    n = np.arange(frontend.clip_samples)
    seconds = n / frontend.sample_rate_hz
    top = frontend.sample_rate_hz / 2
    sweep = np.sin(np.pi * top / seconds[-1] * seconds**2)
    impulses = np.where(n % 777 == 0, 30_000.0, 0.0)
    step = np.where(n > len(n) // 2, 12_000.0, 0.0)
    hiss = rng.normal(0, 1, len(n))
    clips = {
        "silence": np.zeros(len(n)),
        "constant": np.full(len(n), 1234.0),
        "faint noise": hiss,
        "noise": 300 * hiss,
        "loud noise": 8000 * hiss,
        "chirp": 9000 * sweep + 4 * hiss,
        "faint chirp": 60 * sweep + 4 * hiss,
        "impulses": impulses,
        "step": step,
        "square": FULL_SCALE * np.sign(np.sin(2 * np.pi * 220 * seconds + 0.1)),
    }
    for hz in (90.0, 440.0, 1000.0, 0.9 * top):
        for level in (30, 1000, 30_000):
            clips[f"{hz:g} Hz at {level}"] = level * np.sin(2 * np.pi * hz * seconds) + 3 * hiss
    return {name: pcm(clip) for name, clip in clips.items()}


def extreme(frontend: Frontend) -> dict[str, NDArray[np.int16]]:
    """Name to clip: the samples that drive each sum of the transform to its largest value."""
    rng = np.random.default_rng(21)
    n = np.arange(frontend.clip_samples)
    size = frontend.fft
    clips = {
        "lowest": np.full(len(n), -32768.0),
        "highest": np.full(len(n), 32767.0),
        "alternating": np.where(n % 2 == 0, -32768.0, 32767.0),
        "pairs": np.where(n % 4 < 2, -32768.0, 32767.0),
        "even only": np.where(n % 2 == 0, -32768.0, 0.0),
        "odd only": np.where(n % 2 == 1, -32768.0, 0.0),
    }
    for trial in range(4):
        clips[f"signs {trial}"] = np.where(rng.random(len(n)) < 0.5, -32768.0, 32767.0)
    bins = {1, 2, 3, size // 8, size // 4 - 1, size // 4, size // 4 + 1, size // 2 - 1}
    for k in sorted(bins):
        for phase in (0.0, 0.25, 0.5, 0.75):
            # The first frame starts in phase with the bin, so that every term has one sign.
            wave = np.cos(2 * np.pi * (k * n / size + phase))
            clips[f"bin {k} at {phase}"] = np.where(wave < 0, -32768.0, 32767.0)
    return {name: pcm(clip) for name, clip in clips.items()}


def stacked(clips: dict[str, NDArray[np.int16]]) -> NDArray[np.int16]:
    return np.stack(list(clips.values()))
