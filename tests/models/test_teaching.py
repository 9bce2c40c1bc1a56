"""A published teacher beside its pupil: each hears its own features of the same clips."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeprune.datasets.dataset import Dataset, Split
from edgeprune.errors import ModelError, TrainingError
from edgeprune.models import teaching
from edgeprune.models.artifact import TrainedModel
from edgeprune.models.mlperf_kws import load_weights
from edgeprune.models.mlperf_mfcc import mfcc
from edgeprune.models.normalization import Normalization
from edgeprune.models.registry import Shape, build
from edgeprune.models.training import train
from edgeprune.progress import SilentProgress
from edgeprune.recipe import (
    Augmentation,
    Frontend,
    MlperfKws,
    Recipe,
    SyntheticData,
    Training,
)
from tests.models import test_mlperf_kws

LABELS = ("_silence_", "_unknown_", "yes", "no")
#: Six values a frame: the mean of the samples in each of six stretches, in Q6.
FRONTEND = Frontend(kind="mfcc", coefficients=6)
SCALE = Normalization.fixed(10.0, 20.0, features=6, fraction_bits=6)


def features(clips: NDArray[np.int16]) -> NDArray[np.int16]:
    frames = np.lib.stride_tricks.sliding_window_view(clips, 480, axis=1)[:, ::320]
    means: NDArray[np.int16] = frames.reshape(len(clips), 49, 6, 80).mean(axis=3).astype(np.int16)
    return means


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of the published network, but for its width."""
    return test_mlperf_kws.saved(tmp_path_factory.mktemp("teacher"), test_mlperf_kws.arrays())


@pytest.fixture(autouse=True)
def narrow_teacher(monkeypatch: pytest.MonkeyPatch) -> None:
    """A teacher of 8 channels is as good for a test as one of 64."""
    monkeypatch.setattr(teaching, "MlperfKws", lambda kind: MlperfKws(kind=kind, width=8))


def recipe(teacher: Path | None, **tables: Any) -> Recipe:
    path = None if teacher is None else str(teacher)
    given = {
        "frontend": FRONTEND,
        "training": Training(epochs=1, batch=8, mixup=0.3, teacher=path, distillation=1.0),
        "augmentation": Augmentation(noise_percent=0),
        **tables,
    }
    data = SyntheticData(kind="synthetic", keywords=("yes", "no"))
    return Recipe(name="taught", data=data, model=MlperfKws(kind="mlperf-kws", width=4), **given)


def dataset() -> Dataset:
    rng = np.random.default_rng(4)
    train, validation, test = (_split(rng, clips) for clips in (16, 8, 8))
    return Dataset(LABELS, 16_000, train, validation, test, noise=[])


def _split(rng: np.random.Generator, clips: int) -> Split:
    pcm = rng.integers(-8_000, 8_000, (clips, 16_000)).astype(np.int16)
    labels = (np.arange(clips) % len(LABELS)).astype(np.int16)
    return Split(pcm, labels, [""] * clips, [str(number) for number in range(clips)])


def pupil() -> Any:
    return build(MlperfKws(kind="mlperf-kws", width=4), Shape(49, 6, len(LABELS)), seed=1)


def run(declared: Recipe, clips: Dataset) -> TrainedModel:
    return train(declared, clips, features, SCALE, SilentProgress())


def test_each_hears_its_own_features(weights: Path) -> None:
    clips = dataset().train.pcm[:5]
    network = pupil()
    taught = teaching.lesson(network, recipe(weights), LABELS, features, SCALE)
    both = taught.normalization.apply(taught.features(clips))[..., None]
    heard = SCALE.apply(features(clips))[..., None]
    assert np.array_equal(taught.pupil(both).numpy(), network(heard).numpy())
    published = build(MlperfKws(kind="mlperf-kws", width=8), Shape(49, 10, 4), seed=2)
    load_weights(published, weights, LABELS)
    rounded = np.rint(mfcc(clips) * 64) / 64
    expected = published(rounded[..., None].astype(np.float32)).numpy()
    assert taught.distillation.teacher(both).numpy() == pytest.approx(expected, rel=1e-4, abs=1e-4)


def test_training_the_pupil_trains_the_network_alone(weights: Path) -> None:
    network = pupil()
    taught = teaching.lesson(network, recipe(weights), LABELS, features, SCALE)
    mine = {id(variable) for variable in network.trainable_variables}
    assert {id(variable) for variable in taught.pupil.trainable_variables} == mine
    assert not taught.distillation.teacher.trainable_variables


def test_the_teacher_is_listened_to(weights: Path) -> None:
    alone, taught = run(recipe(None), dataset()), run(recipe(weights), dataset())
    kernels = [each.network.get_layer("stem").kernel.numpy() for each in (alone, taught)]
    assert not np.array_equal(*kernels)
    assert taught.network.input_shape == (None, 49, 6, 1)
    assert taught.normalization is SCALE


def test_a_teacher_hears_training_clips_alone(weights: Path) -> None:
    """Other test and validation clips change nothing of what was learned in an epoch."""
    clips = dataset()
    other = dataclasses.replace(clips, validation=clips.test, test=clips.validation)
    one, swapped = run(recipe(weights), clips), run(recipe(weights), other)
    for mine, theirs in zip(one.network.get_weights(), swapped.network.get_weights(), strict=True):
        assert np.array_equal(mine, theirs)


def test_other_frames_are_refused(weights: Path) -> None:
    shorter = Frontend(kind="mfcc", coefficients=6, hop_ms=30.0)
    with pytest.raises(TrainingError, match=r"makes 33 frames .* hears 49") as caught:
        run(recipe(weights, frontend=shorter), dataset())
    assert caught.value.where == "training.teacher"


def test_masks_are_refused(weights: Path) -> None:
    masks = Augmentation(noise_percent=0, time_masks=1)
    with pytest.raises(TrainingError, match="blank out") as caught:
        run(recipe(weights, augmentation=masks), dataset())
    assert "time_masks" in (caught.value.where or "")


def test_a_missing_teacher_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="does not exist") as caught:
        run(recipe(tmp_path / "absent.npz"), dataset())
    assert caught.value.where == f"training.teacher: {tmp_path / 'absent.npz'}"
