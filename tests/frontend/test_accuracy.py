"""Close to librosa: the errors stated here are what the front-end promises."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeprune.frontend import fraction_bits
from edgeprune.frontend.tables import mel_edges_hz
from edgeprune.recipe import Frontend
from tests.frontend import reference, signals
from tests.frontend.conftest import LOG_MEL, MFCC, Build

#: Worst errors in log2 units, which are 3.01 dB: over speech, and over tones close to full scale,
#: where the Q15 window and twiddle factors leave a floor 96 dB below the tone.
SPEECH_ERROR = 0.15
TONE_ERROR = 0.6
MEAN_ERROR = 0.005

BOTH = pytest.mark.parametrize("frontend", [LOG_MEL, MFCC], ids=["log-mel", "mfcc"])


def _real(frontend: Frontend, features: NDArray[np.int16]) -> NDArray[np.float64]:
    return features * 2.0 ** -fraction_bits(frontend)


@BOTH
def test_librosa_on_speech(frontend: Frontend, build: Build, speech: NDArray[np.int16]) -> None:
    ours = _real(frontend, build(frontend).features(speech))
    theirs = reference.librosa_features(frontend, speech)
    assert ours.shape == theirs.shape == (len(speech), 49, frontend.features)
    for feature in range(frontend.features):
        correlation = np.corrcoef(ours[..., feature].ravel(), theirs[..., feature].ravel())[0, 1]
        assert correlation >= 0.9999, f"feature {feature}"
    errors = np.abs(ours - theirs)
    assert errors.max() <= SPEECH_ERROR
    assert errors.mean() <= MEAN_ERROR


@BOTH
def test_librosa_on_made_signals(frontend: Frontend, build: Build) -> None:
    clips = signals.ordinary(frontend)
    ours = _real(frontend, build(frontend).features(signals.stacked(clips)))
    theirs = reference.librosa_features(frontend, signals.stacked(clips))
    assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] >= 0.99999
    errors = dict(zip(clips, np.abs(ours - theirs).max(axis=(1, 2)), strict=True))
    assert {name: error for name, error in errors.items() if error > TONE_ERROR} == {}
    for name in ("silence", "faint noise", "noise", "loud noise", "faint chirp", "impulses"):
        assert errors[name] <= 0.05, name


@BOTH
def test_numpy_definition_agrees_with_librosa(frontend: Frontend) -> None:
    clips = signals.stacked(signals.ordinary(frontend))
    mine = reference.features(frontend, clips)
    np.testing.assert_allclose(mine, reference.librosa_features(frontend, clips), atol=1e-6)


def test_silence_is_the_floor(build: Build) -> None:
    features = build(LOG_MEL).features(np.zeros((1, 16_000), np.int16))
    floor = np.log2(25 * 0.375 * 480)
    np.testing.assert_array_equal(features, np.full_like(features, round(floor * 256)))


def test_a_tone_peaks_where_it_should(build: Build) -> None:
    n = np.arange(16_000)
    for hz in (300, 1000, 2500, 6000):
        clip = signals.pcm(2000 * np.sin(2 * np.pi * hz / 16_000 * n))
        peak = int(build(LOG_MEL).features(clip[None])[0, 20].argmax())
        edges = mel_edges_hz(LOG_MEL)
        assert edges[peak] < hz < edges[peak + 2]


def test_twice_as_loud_is_two_more(build: Build) -> None:
    rng = np.random.default_rng(3)
    clip = rng.normal(0, 1000, 16_000).round()
    soft, loud = build(LOG_MEL).features(np.stack([signals.pcm(clip), signals.pcm(2 * clip)]))
    np.testing.assert_allclose((loud - soft) / 256, 2, atol=0.1)
