"""A recipe, clips and a front-end so small that a network is trained in a second."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeprune.datasets.dataset import Dataset, Split
from edgeprune.models.normalization import Normalization
from edgeprune.recipe import (
    Augmentation,
    Frontend,
    MatchboxNet,
    Pruning,
    Recipe,
    SyntheticData,
    Training,
)

FRACTION_BITS = 8
LABELS = ("_silence_", "_unknown_", "low", "high")
RATE_HZ = 8_000
FRONTEND = Frontend(
    sample_rate_hz=RATE_HZ, clip_ms=200, window_ms=32.0, hop_ms=16.0, mel_bins=10, high_hz=4_000.0
)


def recipe(**tables: Any) -> Recipe:
    """The tiny recipe, with whole tables replaced."""
    given = {
        "model": MatchboxNet(kind="matchbox", width=8, blocks=2, kernel=3, stem_kernel=3),
        "training": Training(epochs=10, batch=16, learning_rate=1e-2, mixup=0.0),
        "augmentation": Augmentation(time_shift_ms=10),
        "pruning": Pruning(epochs=4, sparsity=0.5, exclude=()),
        **tables,
    }
    data = SyntheticData(kind="synthetic", keywords=("low", "high"))
    return Recipe(name="tiny", seed=3, data=data, frontend=FRONTEND, **given)


def features(clips: NDArray[np.int16]) -> NDArray[np.int16]:
    """A stand-in for the front-end: log2 of ten bands of the spectrum, in Q8."""
    window, hop = FRONTEND.window, FRONTEND.hop
    starts = np.arange(FRONTEND.frames) * hop
    frames = clips[:, starts[:, None] + np.arange(window)].astype(np.float64)
    power = np.abs(np.fft.rfft(frames * np.hanning(window))) ** 2
    edges = np.linspace(0, window // 2, FRONTEND.mel_bins, endpoint=False).astype(int)
    bands = np.add.reduceat(power[:, :, : window // 2], edges, axis=2)
    return np.rint(np.log2(bands + 1) * 2**FRACTION_BITS).astype(np.int16)


def dataset(*, train: int = 160, held_out: int = 40) -> Dataset:
    """Silence, noise, low tones and high tones; every split is drawn anew."""
    rng = np.random.default_rng(11)
    noise = [rng.integers(-300, 300, 4_000).astype(np.int16)]
    splits = [_split(rng, clips) for clips in (train, held_out, held_out)]
    return Dataset(LABELS, RATE_HZ, *splits, noise=noise)


def _split(rng: np.random.Generator, clips: int) -> Split:
    labels = (np.arange(clips) % len(LABELS)).astype(np.int16)
    time = np.arange(FRONTEND.clip_samples) / RATE_HZ
    pcm = rng.normal(0, 100, (clips, FRONTEND.clip_samples))
    for row, label in enumerate(labels):
        if label == 1:
            pcm[row] *= 30
        elif label > 1:
            hertz = rng.uniform(300, 900) if label == 2 else rng.uniform(1_800, 3_000)
            pcm[row] += 3_000 * np.sin(2 * np.pi * hertz * time)
    names = [f"clip{row}" for row in range(clips)]
    return Split(pcm.astype(np.int16), labels, [""] * clips, names)


def normalization(clips: Dataset) -> Normalization:
    """Of the training clips."""
    return Normalization.measure(features(clips.train.pcm), FRACTION_BITS)
