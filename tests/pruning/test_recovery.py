"""What happens between prunings: rewinding, starting afresh, penalties, statistics, teachers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edgeprune.datasets.dataset import Dataset
from edgeprune.models.artifact import TrainedModel
from edgeprune.models.backend import keras
from edgeprune.models.batches import Batch, one_hot
from edgeprune.models.trainer import Score, Trainer, evaluate
from edgeprune.pruning.batchnorm import reestimate
from edgeprune.pruning.patient import Patient
from edgeprune.pruning.plan import Phase
from edgeprune.pruning.surgery import clone, fresh
from tests.models import tiny
from tests.pruning import small

pytestmark = pytest.mark.usefixtures("eager")


def batch(dataset: Dataset) -> Batch:
    """All training clips as one batch."""
    inputs = tiny.normalization(dataset).apply(tiny.features(dataset.train.pcm))
    return inputs, one_hot(dataset.train.labels, len(dataset.labels))


def patient_of(model: TrainedModel, **spec: Any) -> Patient:
    return Patient(
        clone(model.network),
        small.recipe(**spec).pruning,
        teacher=model.network,
        phase=Phase(8),
        steps=1,
        seed=1,
    )


def stem_of(patient: Patient) -> np.ndarray:
    values: np.ndarray = patient.network.get_layer("stem").kernel.numpy()
    return values


ROUNDS: dict[str, Any] = {"structure": "unstructured", "schedule": "iterative", "rounds": 2}


def test_weights_go_back_to_the_old_ones_and_the_masks_stay(
    start: TrainedModel, few: Dataset
) -> None:
    patient = patient_of(start, sparsity=0.5, **ROUNDS)
    before = patient.network.get_weights()
    patient.remember()
    patient.trainer.run([batch(few)] * 2)
    trained = stem_of(patient)
    patient.prune_to(0.5, [])
    patient.enter(Phase(8, rewinds=True))
    mask = np.abs(trained) > np.median(np.abs(trained))
    assert np.array_equal(stem_of(patient), small.kernel(start, "stem") * mask)
    assert not np.array_equal(trained, small.kernel(start, "stem"))
    # Biases and statistics too; the masked kernels are the stem's and the pointwise layer's.
    for one, other, weight in zip(
        before, patient.network.get_weights(), patient.network.weights, strict=True
    ):
        if weight.path not in ("stem/kernel", "pointwise/kernel"):
            assert np.array_equal(one, other)
    patient.trainer.run([batch(few)])
    assert not stem_of(patient)[~mask].any()


def test_rewinding_the_rate_keeps_the_weights(start: TrainedModel, few: Dataset) -> None:
    patient = patient_of(start, sparsity=0.5, rewind="rate", **ROUNDS)
    patient.remember()
    patient.trainer.run([batch(few)] * 2)
    trained = stem_of(patient)
    patient.prune_to(0.5, [])
    patient.enter(Phase(8, skipped=3, rewinds=True))
    kept = stem_of(patient) != 0
    assert kept.mean() == pytest.approx(0.5, abs=0.01)
    assert np.array_equal(stem_of(patient)[kept], trained[kept])
    assert patient.trainer.step == 3


def test_rounds_end_where_one_round_from_their_masks_ends(
    start: TrainedModel, few: Dataset
) -> None:
    """The whole way: with a rate of nearly nothing each round gives back the trained weights."""
    result = small.pruned(
        start, few, sparsity=0.5, epochs=4, learning_rate=1e-12, rewind_epoch=1, **ROUNDS
    )
    assert [each.sparsity for each in result.model.history] == pytest.approx(
        [1 - 0.5**0.5] * 2 + [0.5] * 2
    )
    kernel, old = small.kernel(result, "stem"), small.kernel(start, "stem")
    assert (kernel == 0).mean() == pytest.approx(0.5, abs=0.01)
    assert kernel[kernel != 0] == pytest.approx(old[kernel != 0])


def test_the_network_of_the_given_epoch_is_what_rewinding_goes_back_to(
    start: TrainedModel, few: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    for name in ("remember", "enter"):
        monkeypatch.setattr(Patient, name, _noted(getattr(Patient, name), name, events))
    monkeypatch.setattr(Trainer, "run", _noted(Trainer.run, "run", events))
    spec: dict[str, Any] = {"sparsity": 0.5, "epochs": 5, "dense_percent": 40.0, **ROUNDS}
    small.pruned(start, few, rewind_epoch=1, **spec)
    assert " ".join(events) == "run remember run enter run run enter run"


def _noted(method: Callable[..., Any], name: str, events: list[str]) -> Callable[..., Any]:
    def noted(*arguments: Any) -> Any:
        events.append(name)
        return method(*arguments)

    return noted


def test_fresh_weights_are_drawn_by_seed_and_are_not_the_trained_ones(start: TrainedModel) -> None:
    trained = clone(start.network)
    trained.get_layer("stem").kernel.assign(np.ones(small.kernel(start, "stem").shape))
    drawn = fresh(trained, seed=1).get_layer("stem").kernel.numpy()
    # The layer brings its own seed: it is what it was before training.
    assert np.array_equal(drawn, small.kernel(start, "stem"))

    layers = keras.layers
    inputs = keras.Input((8,))
    network = keras.Model(inputs, layers.Dense(8)(layers.Dense(8)(inputs)))
    one, again, other = (fresh(network, seed).get_weights() for seed in (1, 1, 2))
    assert all(np.array_equal(left, right) for left, right in zip(one, again, strict=True))
    assert not np.array_equal(one[0], other[0])
    assert not np.array_equal(one[0], one[2])


def test_from_scratch_the_trained_weights_are_forgotten(start: TrainedModel, few: Dataset) -> None:
    network = clone(start.network)
    network.get_layer("stem").kernel.assign(np.ones(small.kernel(start, "stem").shape))
    trained = replace(start, network=network)
    spec: dict[str, Any] = {"structure": "unstructured", "sparsity": 0.5, "epochs": 2}
    spec |= {"start": "scratch", "schedule": "one-shot", "learning_rate": 1e-12}
    kernel = small.kernel(small.pruned(trained, few, **spec), "stem")
    old = small.kernel(start, "stem")
    assert kernel[kernel != 0] == pytest.approx(old[kernel != 0])


def test_penalties_shrink_what_they_score_until_it_is_taken_out(
    start: TrainedModel, few: Dataset
) -> None:
    sizes = {}
    for penalty in (1e-9, 1.0):
        patient = patient_of(
            start, criterion="batchnorm", sparsity=0.5, penalty=penalty, learning_rate=0.05
        )
        patient.trainer.run([batch(few)] * 6)
        scale, kernel = (
            np.abs(patient.network.get_layer(name).weights[0].numpy()).mean()
            for name in ("pointwise_norm", "pointwise")
        )
        sizes[penalty] = scale, kernel
    assert sizes[1.0][0] < 0.9 * sizes[1e-9][0]
    assert sizes[1.0][1] == pytest.approx(sizes[1e-9][1], rel=0.1)

    patient = patient_of(start, criterion="l1-penalty", sparsity=0.5, penalty=10.0)
    with_penalty = patient.trainer._penalty
    patient.prune_to(0.0, [])
    assert with_penalty is not None
    assert patient.trainer._penalty is with_penalty
    patient.prune_to(0.5, [])
    assert patient.trainer._penalty is None


def test_network_slimming_takes_the_channels_with_the_smallest_factors(
    start: TrainedModel, few: Dataset
) -> None:
    network = clone(start.network)
    factors = np.array([5, 1, 6, 2, 7, 3, 8, 4], np.float32)
    network.get_layer("pointwise_norm").gamma.assign(factors)
    spec: dict[str, Any] = {"criterion": "batchnorm", "sparsity": 0.5, "epochs": 2}
    spec |= {"only": ("pointwise",), "schedule": "one-shot", "learning_rate": 1e-12}
    result = small.pruned(replace(start, network=network), few, **spec)
    left = result.model.network.get_layer("pointwise_norm").gamma.numpy()
    assert left == pytest.approx([5, 6, 7, 8])


def test_statistics_become_those_of_the_batches(start: TrainedModel, few: Dataset) -> None:
    network = clone(start.network)
    inputs, targets = batch(few)
    halves = [(inputs[:8], targets[:8]), (inputs[8:], targets[8:])]
    reestimate(network, halves)
    stem = keras.Model(network.input, network.get_layer("stem").output)
    outputs = [stem(half.reshape(-1, *network.input_shape[1:])).numpy() for half, _ in halves]
    norm = network.get_layer("stem_norm")
    means = np.mean([each.mean(axis=(0, 1, 2)) for each in outputs], axis=0)
    variances = np.mean([each.var(axis=(0, 1, 2)) for each in outputs], axis=0)
    assert norm.moving_mean.numpy() == pytest.approx(means, rel=1e-4, abs=1e-5)
    assert norm.moving_variance.numpy() == pytest.approx(variances, rel=1e-4)
    assert norm.momentum == 0.9
    for one, other in zip(network.trainable_weights, start.network.trainable_weights, strict=True):
        assert np.array_equal(one.numpy(), other.numpy())


def test_statistics_are_measured_anew_where_the_recipe_says_so(
    start: TrainedModel, few: Dataset
) -> None:
    spec: dict[str, Any] = {"structure": "unstructured", "sparsity": 0.5, "epochs": 0}
    old, new = (
        small.pruned(start, few, reestimate_batchnorm=each, **spec).model for each in (False, True)
    )
    assert not old.network.get_layer("stem_norm").moving_mean.numpy().any()
    assert new.network.get_layer("stem_norm").moving_mean.numpy().any()
    assert np.array_equal(small.kernel(old, "stem"), small.kernel(new, "stem"))
    validation = new.normalization.apply(tiny.features(few.validation.pcm))
    score = evaluate(new.network, validation, few.validation.labels)
    assert isinstance(score, Score)
    assert new.validation == score != old.validation


def test_with_distillation_alone_labels_are_not_read(start: TrainedModel, few: Dataset) -> None:
    """Training labels; those of the validation split choose the epoch."""
    shuffled = replace(few, train=replace(few.train, labels=few.train.labels[::-1].copy()))
    spec: dict[str, Any] = {"structure": "n:m", "epochs": 2}
    for weight, same in ((1.0, True), (0.5, False)):
        one, other = (
            small.kernel(small.pruned(start, clips, distillation=weight, **spec), "pointwise")
            for clips in (few, shuffled)
        )
        assert np.array_equal(one, other) is same


def test_pruning_mixes_clips_as_training_does_or_as_it_is_told(
    start: TrainedModel, few: Dataset
) -> None:
    def stem(**spec: Any) -> np.ndarray:
        spec = {"structure": "unstructured", "sparsity": 0.5, "epochs": 1, **spec}
        return small.kernel(small.pruned(start, few, **spec), "stem")

    of_training = stem()  # where mixup is off
    np.testing.assert_array_equal(stem(mixup=0.0), of_training)
    assert not np.array_equal(stem(mixup=1.0), of_training)
