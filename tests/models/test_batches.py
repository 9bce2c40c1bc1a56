"""Batches: every clip once an epoch, mixed and smoothed as declared, the same in every run."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeprune.datasets.augmentation import Augmenter
from edgeprune.models.batches import Mixing, TrainingClips, one_hot
from edgeprune.models.normalization import Normalization
from edgeprune.recipe import Augmentation

CLIPS, SAMPLES, LABELS = 20, 30, 3
FOURS = Mixing(batch=4)
QUIET = Augmentation(time_shift_ms=0, gain_db=0.0, speed_percent=0.0, noise_percent=0.0)
GAINS = Augmentation(time_shift_ms=0, gain_db=6.0, speed_percent=0.0, noise_percent=0.0)
PLAIN = Normalization(mean=np.zeros(1), std=np.ones(1), fraction_bits=0)


def first_sample(clips: NDArray[np.int16]) -> NDArray[np.int16]:
    """A front-end of one feature: a clip's first sample, which tells the clips apart."""
    return clips[:, :1, None]


def subject(
    spec: Augmentation = QUIET,
    mixing: Mixing = FOURS,
    labels: NDArray[np.int16] | None = None,
) -> TrainingClips:
    pcm = np.repeat(np.arange(1, CLIPS + 1, dtype=np.int16)[:, None] * 100, SAMPLES, axis=1)
    return TrainingClips(
        pcm,
        np.arange(CLIPS, dtype=np.int16) % LABELS if labels is None else labels,
        label_count=LABELS,
        features=first_sample,
        normalization=PLAIN,
        augmenter=Augmenter(spec, sample_rate_hz=8_000, noise=[], seed=4),
        mixing=mixing,
        seed=4,
    )


def test_an_epoch_shows_every_clip_once_in_another_order() -> None:
    clips = subject()
    epochs = []
    with clips.epochs(0, 2) as opened:
        for batches in opened:
            epochs.append(np.concatenate([inputs.ravel() for inputs, _ in batches]))
    for shown in epochs:
        assert sorted(shown.tolist()) == [100.0 * each for each in range(1, CLIPS + 1)]
    assert epochs[0].tolist() != epochs[1].tolist()


def test_targets_follow_their_clips() -> None:
    clips = subject()
    for inputs, targets in clips.batches(0, clips.prepare(0)):
        labels = (inputs.ravel() / 100 - 1).astype(int) % LABELS
        assert np.array_equal(targets.argmax(axis=1), labels)


def test_incomplete_batches_are_left_out_and_small_sets_make_one() -> None:
    clips = subject(mixing=Mixing(batch=8))
    assert clips.steps == 2
    assert [len(inputs) for inputs, _ in clips.batches(0, clips.prepare(0))] == [8, 8]
    small = subject(mixing=Mixing(batch=64))
    assert [len(inputs) for inputs, _ in small.batches(0, small.prepare(0))] == [CLIPS]


def test_each_epoch_is_augmented_anew_and_repeats_with_its_number() -> None:
    clips = subject(GAINS)
    assert np.array_equal(clips.prepare(5), subject(GAINS).prepare(5))
    assert not np.array_equal(clips.prepare(5), clips.prepare(6))


def test_epochs_in_the_background_are_those_of_their_numbers() -> None:
    clips, straight = subject(GAINS), subject(GAINS)
    with clips.epochs(3, 3) as opened:
        for epoch, batches in enumerate(opened, start=3):
            expected = straight.batches(epoch, straight.prepare(epoch))
            for (inputs, targets), (wanted, labels) in zip(batches, expected, strict=True):
                assert np.array_equal(inputs, wanted)
                assert np.array_equal(targets, labels)


def test_an_error_of_the_front_end_reaches_the_training() -> None:
    clips = subject(GAINS)
    clips._features = lambda pcm: (_ for _ in ()).throw(RuntimeError("broken front-end"))
    with pytest.raises(RuntimeError, match="broken front-end"), clips.epochs(0, 2) as opened:
        next(opened)


def test_leaving_early_stops_the_background_thread() -> None:
    clips = subject(GAINS)
    with clips.epochs(0, 50) as opened:
        next(opened)
    assert not [each for each in threading.enumerate() if each.name.startswith("augmentation")]


def test_mixup_blends_inputs_and_targets_by_the_same_share() -> None:
    labels = np.zeros(CLIPS, np.int16)
    labels[10:] = 1
    clips = subject(mixing=Mixing(batch=CLIPS, mixup=1.0), labels=labels)
    # Two clip values stand for the two labels, so the input tells the share.
    features = np.where(labels == 1, 1_000, 0).astype(np.int16)[:, None, None]
    ((inputs, targets),) = clips.batches(0, features)
    share = inputs.ravel() / 1_000
    weight = targets[share == 1][0, 1]
    assert ((share > 0.05) & (share < 0.95)).sum() >= 3
    assert np.allclose(targets[:, 1], share * weight, atol=1e-5)
    assert np.allclose(targets.sum(axis=1), weight, atol=1e-5)


def test_label_smoothing_spreads_its_share() -> None:
    clips = subject(mixing=Mixing(batch=CLIPS, label_smoothing=0.3))
    ((_, targets),) = clips.batches(0, clips.prepare(0))
    targets = targets / targets.sum(axis=1, keepdims=True)
    assert np.allclose(np.sort(targets, axis=1), [0.1, 0.1, 0.8])


def test_rare_labels_count_more_but_at_most_twice() -> None:
    labels = np.array([0] * 15 + [1] * 4 + [2], np.int16)
    clips = subject(mixing=Mixing(batch=CLIPS), labels=labels)
    ((_, targets),) = clips.batches(0, clips.prepare(0))
    weights = targets.max(axis=0)
    assert weights[0] < weights[1] < weights[2] == 2.0
    assert weights[0] == pytest.approx(np.sqrt(20 / 3 / 15))


def test_one_hot() -> None:
    assert one_hot(np.array([2, 0]), 3).tolist() == [[0, 0, 1], [1, 0, 0]]
