"""Augmentation: what is drawn stays in its bounds, repeats, and does what it says."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeprune.datasets.augmentation import Augmenter, Draws
from edgeprune.errors import DatasetError
from edgeprune.recipe import Augmentation

RATE_HZ = 16_000
SAMPLES = 4_000
NOTHING = Augmentation(time_shift_ms=0, gain_db=0.0, speed_percent=0.0, noise_percent=0.0)


def augmenter(spec: Augmentation, *, seed: int = 1, noise: int = 2) -> Augmenter:
    rng = np.random.default_rng(5)
    recordings = [rng.integers(-500, 500, 9_000).astype(np.int16) for _ in range(noise)]
    return Augmenter(spec, sample_rate_hz=RATE_HZ, noise=recordings, seed=seed)


def clips(count: int = 3) -> NDArray[np.int16]:
    rng = np.random.default_rng(0)
    return rng.integers(-8_000, 8_000, (count, SAMPLES)).astype(np.int16)


def draws(**values: float) -> Draws:
    """One clip's draws, with nothing changed but ``values``."""
    base = {"shift": 0, "speed": 1, "gain": 1, "noise": -1, "noise_start": 0, "snr_db": 0}
    kinds = {"noise": np.int64, "noise_start": np.float64}
    given = {**base, **values}
    return Draws(
        **{key: np.array([value], kinds.get(key, np.float32)) for key, value in given.items()}
    )


def test_the_same_seed_and_epoch_give_the_same_clips() -> None:
    first, second = augmenter(Augmentation()), augmenter(Augmentation())
    pcm = clips()
    one = first.apply(pcm, first.draw(3, 7))
    assert np.array_equal(one, second.apply(pcm, second.draw(3, 7)))
    assert not np.array_equal(one, first.apply(pcm, first.draw(3, 8)))
    other = augmenter(Augmentation(), seed=2)
    assert not np.array_equal(one, other.apply(pcm, other.draw(3, 7)))


def test_a_part_of_the_clips_with_its_part_of_the_draws_gives_the_same() -> None:
    subject, pcm = augmenter(Augmentation()), clips(6)
    drawn = subject.draw(6, 1)
    parts = [subject.apply(pcm[at : at + 2], drawn[at : at + 2]) for at in (0, 2, 4)]
    assert np.array_equal(subject.apply(pcm, drawn), np.concatenate(parts))


def test_the_given_clips_stay_as_they_are() -> None:
    subject, pcm = augmenter(Augmentation()), clips()
    before = pcm.copy()
    subject.apply(pcm, subject.draw(3, 0))
    assert np.array_equal(pcm, before)


def test_draws_stay_within_the_declared_bounds_and_reach_them() -> None:
    spec = Augmentation(
        time_shift_ms=50,
        gain_db=6.0,
        speed_percent=10.0,
        noise_percent=25.0,
        snr_low_db=0.0,
        snr_high_db=20.0,
    )
    drawn = augmenter(spec).draw(5_000, 0)
    for values, low, high in (
        (drawn.shift, -800, 800),
        (drawn.speed, 0.9, 1.1),
        (20 * np.log10(drawn.gain), -6, 6),
        (drawn.snr_db, 0, 20),
    ):
        margin = 0.01 * (high - low)
        assert low - 1e-3 <= values.min() < low + margin
        assert high - margin < values.max() <= high + 1e-3
    assert np.mean(drawn.noise >= 0) == pytest.approx(0.25, abs=0.03)
    assert set(drawn.noise.tolist()) == {-1, 0, 1}


def test_without_any_change_asked_for_clips_come_back_as_they_were() -> None:
    subject = augmenter(NOTHING, noise=0)
    assert not subject.changes_clips
    assert np.array_equal(subject.apply(clips(), subject.draw(3, 0)), clips())


@pytest.mark.parametrize("shift", [-300, -1, 0, 1, 250])
def test_a_shift_moves_the_sound_and_leaves_silence_behind(shift: int) -> None:
    pcm = clips(1)
    moved = augmenter(NOTHING).apply(pcm, draws(shift=shift))[0]
    expected = np.zeros(SAMPLES, np.int16)
    if shift >= 0:
        expected[shift:] = pcm[0, : SAMPLES - shift]
    else:
        expected[:shift] = pcm[0, -shift:]
    assert np.array_equal(moved, expected)


@pytest.mark.parametrize("speed", [0.88, 1.12])
def test_speed_changes_pitch_and_length(speed: float) -> None:
    time = np.arange(SAMPLES) / RATE_HZ
    tone = np.round(8_000 * np.sin(2 * np.pi * 1_000 * time)).astype(np.int16)[None]
    played = augmenter(NOTHING).apply(tone, draws(speed=speed))[0].astype(float)
    peak = np.argmax(np.abs(np.fft.rfft(played * np.hanning(SAMPLES)))) * RATE_HZ / SAMPLES
    assert peak == pytest.approx(1_000 * speed, abs=RATE_HZ / SAMPLES)
    heard = np.flatnonzero(played)
    assert heard[-1] - heard[0] == pytest.approx(min(SAMPLES, SAMPLES / speed), abs=12)


def test_gain_scales_and_saturates() -> None:
    pcm = np.array([[100, -200, 30_000, -30_000]], dtype=np.int16)
    loud = augmenter(NOTHING).apply(pcm, draws(gain=2.0))
    assert loud.tolist() == [[200, -400, 32_767, -32_768]]


@pytest.mark.parametrize("snr_db", [-5.0, 0.0, 12.0, 30.0])
def test_noise_is_mixed_in_at_the_drawn_ratio(snr_db: float) -> None:
    pcm = clips(1) // 4
    noisy = augmenter(Augmentation()).apply(pcm, draws(noise=1, noise_start=0.4, snr_db=snr_db))
    noise = noisy.astype(float) - pcm
    achieved = 10 * np.log10(np.mean(pcm.astype(float) ** 2) / np.mean(noise**2))
    assert achieved == pytest.approx(snr_db, abs=0.1)


def test_noise_shorter_than_a_clip_is_repeated() -> None:
    short = np.arange(1, 101, dtype=np.int16)
    subject = Augmenter(Augmentation(), sample_rate_hz=RATE_HZ, noise=[short], seed=1)
    pcm = np.full((1, 250), 1_000, dtype=np.int16)
    noise = subject.apply(pcm, draws(noise=0, snr_db=0.0))[0] - pcm[0]
    assert np.array_equal(noise[:100], noise[100:200])
    assert noise[99] > 10 * noise[0] > 0


def test_silent_clips_and_silent_noise_do_no_harm() -> None:
    subject = augmenter(Augmentation())
    silent = np.zeros((1, SAMPLES), np.int16)
    assert not subject.apply(silent, draws(noise=0, snr_db=0.0)).any()
    quiet = Augmenter(NOTHING, sample_rate_hz=RATE_HZ, noise=[np.zeros(9_000, np.int16)], seed=1)
    assert np.array_equal(quiet.apply(clips(1), quiet.draw(1, 0)), clips(1))


def test_noise_that_is_asked_for_and_absent_is_an_error() -> None:
    for recordings in ([], [np.zeros(0, np.int16)], [np.zeros(99, np.int16)]):
        with pytest.raises(DatasetError, match="no background noise") as caught:
            Augmenter(Augmentation(), sample_rate_hz=RATE_HZ, noise=recordings, seed=1)
        assert caught.value.where == "augmentation.noise_percent"
        assert "noise_percent = 0" in (caught.value.hint or "")


def test_masks_blank_whole_frames_and_bins_within_their_bounds() -> None:
    spec = Augmentation(time_masks=2, time_mask_frames=5, frequency_masks=1, frequency_mask_bins=4)
    subject = augmenter(spec)
    inputs = np.ones((200, 49, 40), dtype=np.float32)
    masked = subject.mask(inputs, 3, 0)
    blank_frames = (masked == 0).all(axis=2).sum(axis=1)
    blank_bins = (masked == 0).all(axis=1).sum(axis=1)
    assert 5 < blank_frames.max() <= 10
    assert blank_bins.max() == 4
    rows, bins = 49 - blank_frames, 40 - blank_bins
    assert np.array_equal(masked.sum(axis=(1, 2)), (rows * bins).astype(np.float32))
    assert np.array_equal(masked, subject.mask(inputs, 3, 0))
    assert not np.array_equal(masked, subject.mask(inputs, 3, 1))
    assert inputs.all()


def test_without_masks_inputs_pass_through() -> None:
    inputs = np.ones((2, 49, 40), dtype=np.float32)
    assert augmenter(Augmentation()).mask(inputs, 0, 0) is inputs
