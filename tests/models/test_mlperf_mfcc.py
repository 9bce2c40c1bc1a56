"""MLPerf Tiny's features: their definition, and what they don't depend on."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeprune.models.mlperf_mfcc import COEFFICIENTS, FRAMES, mfcc
from tests.models import test_mlperf_kws


def speechlike(clips: int) -> NDArray[np.int16]:
    """Noise that swells and fades, at most half of full scale."""
    rng = np.random.default_rng(2)
    swell = np.sin(np.linspace(0, 3 * np.pi, 16_000)) ** 2
    pcm: NDArray[np.int16] = (rng.uniform(-16_000, 16_000, (clips, 16_000)) * swell).astype(
        np.int16
    )
    return pcm


def test_it_is_the_definition() -> None:
    """As the tests of the published network write it down, in double precision."""
    clips = speechlike(20)
    found = mfcc(clips)
    assert found.shape == (20, FRAMES, COEFFICIENTS)
    assert found.dtype == np.float32
    assert np.abs(found - test_mlperf_kws.mfcc(clips)).max() < 1e-3


def test_it_is_what_librosa_makes() -> None:
    """But for the sides of the triangles, which librosa has straight over Hz."""
    librosa = pytest.importorskip("librosa")
    clip = speechlike(1)[0]
    padded = np.pad(clip / clip.max(), 16)
    spectrum = np.abs(librosa.stft(padded, n_fft=512, hop_length=320, win_length=480, center=False))
    mel = librosa.filters.mel(
        sr=16_000, n_fft=512, n_mels=40, fmin=20, fmax=4000, htk=True, norm=None
    )
    logs = np.log(mel @ spectrum + 1e-6)
    theirs = librosa.feature.mfcc(S=logs, n_mfcc=COEFFICIENTS, norm="ortho").T
    theirs[:, 0] *= np.sqrt(2)
    assert np.abs(mfcc(clip[None])[0] - theirs).mean() < 0.02


def test_loudness_changes_nothing() -> None:
    quiet = speechlike(3) // 2 * 2
    assert np.abs(mfcc(quiet) - mfcc(quiet // 2)).max() < 1e-3


def test_digital_silence_is_finite() -> None:
    silence = mfcc(np.zeros((1, 16_000), np.int16))
    assert np.isfinite(silence).all()
    assert silence[0, 0, 0] == pytest.approx(np.log(1e-6) * np.sqrt(2 * 40), rel=1e-5)
