"""Synthesized noise, babble, and recordings divided in time."""

from __future__ import annotations

import numpy as np
import pytest

from edgeprune.datasets.audio import level_db
from edgeprune.datasets.noise import KINDS, babble, divide, silence_clip, synthesize
from edgeprune.errors import DatasetError

RATE = 16_000


def _rng(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_repeatable_and_level(kind: str) -> None:
    noise = synthesize(kind, RATE, RATE, _rng())
    assert noise.dtype == np.float32
    assert noise.shape == (RATE,)
    assert level_db(noise) == pytest.approx(-30.0, abs=0.1)
    assert np.array_equal(noise, synthesize(kind, RATE, RATE, _rng()))
    assert not np.array_equal(noise, synthesize(kind, RATE, RATE, _rng(2)))


@pytest.mark.parametrize(("kind", "slope_db"), [("white", 0.0), ("pink", -3.0), ("brown", -6.0)])
def test_colours_fall_by_their_slope_an_octave(kind: str, slope_db: float) -> None:
    noise = synthesize(kind, 20 * RATE, RATE, _rng())
    power = np.abs(np.fft.rfft(noise)) ** 2
    frequency = np.fft.rfftfreq(len(noise), 1 / RATE)
    bands = [
        10 * np.log10(power[(frequency >= low) & (frequency < 2 * low)].mean())
        for low in (100, 200, 400, 800, 1600, 3200)
    ]
    assert np.diff(bands).mean() == pytest.approx(slope_db, abs=0.3)


def test_hum_lies_at_the_mains() -> None:
    noise = synthesize("hum", 2 * RATE, RATE, _rng())
    peak = np.abs(np.fft.rfft(noise)).argmax() / 2
    assert min(abs(peak / base - round(peak / base)) for base in (50, 60)) < 0.02


def test_babble_mixes_many_utterances() -> None:
    voices = [np.zeros(4_000, np.float32) for _ in range(10)]
    for index, voice in enumerate(voices):
        voice[:] = np.sin(2 * np.pi * 100 * (index + 3) * np.arange(4_000) / RATE)
    mixed = babble(voices, RATE, _rng())
    assert level_db(mixed) == pytest.approx(-30.0, abs=0.1)
    spectrum = np.abs(np.fft.rfft(mixed))
    heard = sum(spectrum[100 * (index + 3)] > 0.2 * spectrum.max() for index in range(10))
    assert heard >= 5
    assert np.count_nonzero(mixed) > 0.9 * RATE


def test_recordings_are_divided_without_overlap() -> None:
    recording = np.arange(20_000, dtype=np.int16)
    parts = divide({"tap": recording}, 1_000)
    joined = np.concatenate([parts[split]["tap"] for split in ("train", "validation", "test")])
    assert np.array_equal(joined, recording)
    assert [len(part["tap"]) for part in parts.values()] == [16_000, 2_000, 2_000]


def test_a_part_shorter_than_a_clip_is_left_out() -> None:
    parts = divide({"short": np.zeros(9_000, np.int16)}, 1_000)
    assert {split: list(part) for split, part in parts.items()} == {
        "train": ["short"],
        "validation": [],
        "test": [],
    }


def test_silence_is_a_stretch_at_a_drawn_level() -> None:
    noise = (_rng().normal(0, 1000, 50_000)).astype(np.int16)
    rng = _rng()
    levels = []
    for _ in range(200):
        name, pcm = silence_clip({"tap": noise, "bike": noise[::-1]}, 4_000, rng)
        assert pcm.shape == (4_000,)
        source, _, start = name.partition("@")
        stretch = {"tap": noise, "bike": noise[::-1]}[source][int(start) : int(start) + 4_000]
        if np.abs(pcm).max() > 100:
            assert np.corrcoef(stretch, pcm)[0, 1] > 0.99
        levels.append(level_db(pcm / 32768.0))
    assert min(levels) < -70
    assert max(levels) > -20


def test_silence_of_nothing_is_an_error() -> None:
    with pytest.raises(DatasetError, match="too short to give each split a part"):
        silence_clip({}, 4_000, _rng())
