"""Quantization-aware fine-tuning of a tiny network, to its int8 file."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeprune.datasets.dataset import Dataset
from edgeprune.errors import StoreError, TrainingError
from edgeprune.graph import Conv2D, read_graph
from edgeprune.models.artifact import TrainedModel
from edgeprune.progress import SilentProgress
from edgeprune.pruning.surgery import clone
from edgeprune.quantization.converter import quantize_aware
from edgeprune.quantization.tuner import TunedModel, tune
from edgeprune.quantization.weights import INT4_GRID
from edgeprune.recipe import Quantization
from tests.models import tiny
from tests.quantization.test_fake_int8 import keras_scores, litert_scores

POINTWISE = ("block1_pointwise", "block2_pointwise")
SPARSE = ("stem", "block1_pointwise")


def tuned(model: TrainedModel, tones: Dataset, **spec: Any) -> TunedModel:
    given = {"epochs": 3, "learning_rate": 5e-3, "calibration_clips": 64, **spec}
    recipe = tiny.recipe(quantization=Quantization(**given))
    return tune(recipe, model, model.network, tones, tiny.features, SilentProgress())


@pytest.fixture(scope="module")
def sparse(trained: TrainedModel) -> TrainedModel:
    """The tiny network with half the weights of two layers zero."""
    network = clone(trained.network)
    for name in SPARSE:
        kernel = network.get_layer(name).kernel
        sizes = np.abs(kernel.numpy())
        kernel.assign(np.where(sizes < np.median(sizes), 0, kernel.numpy()))
    return replace(trained, network=network)


@pytest.fixture(scope="module")
def weights_before(sparse: TrainedModel) -> list[np.ndarray]:
    return sparse.network.get_weights()


@pytest.fixture(scope="module")
def int4(sparse: TrainedModel, weights_before: list[np.ndarray], tones: Dataset) -> TunedModel:
    assert weights_before
    return tuned(sparse, tones, weights="int4")


@pytest.fixture(scope="module")
def content(int4: TunedModel) -> bytes:
    return quantize_aware(int4.fake_quantized())


def test_the_int8_file_decides_as_what_was_trained(
    int4: TunedModel, content: bytes, tones: Dataset
) -> None:
    inputs = int4.model.normalization.apply(tiny.features(tones.test.pcm))
    wanted, found = keras_scores(int4.fake_quantized(), inputs), litert_scores(content, inputs)
    differences = np.abs(wanted - found)
    assert (differences <= 2).mean() >= 0.95
    assert differences.max() <= 4
    decided, heard = wanted.argmax(axis=1), found.argmax(axis=1)
    ranked = np.sort(wanted, axis=1)
    tied = ranked[:, -1] - ranked[:, -2] <= 2
    assert tied.sum() <= 2
    assert np.array_equal(decided[~tied], heard[~tied])
    assert np.mean(decided == tones.test.labels) == int4.model.test.accuracy > 0.8


def test_training_changes_weights_and_ranges(
    int4: TunedModel, sparse: TrainedModel, tones: Dataset
) -> None:
    still = tuned(sparse, tones, weights="int4", epochs=0)
    assert still.model.history == ()
    assert len(int4.model.history) == 3
    for name, (low, high) in still.ranges.items():
        assert low <= 0.0 < high
        assert int4.ranges[name] != (low, high)
    before, after = (each.model.network.get_layer("stem").kernel for each in (still, int4))
    assert not np.array_equal(before, after)


def test_the_teacher_is_heard(int4: TunedModel, sparse: TrainedModel, tones: Dataset) -> None:
    alone = tuned(sparse, tones, weights="int4", epochs=1, distillation=0.0)
    assert alone.model.history[0].loss != int4.model.history[0].loss


def test_the_best_epoch_is_kept(int4: TunedModel) -> None:
    losses = [record.validation.loss for record in int4.model.history]
    assert int4.model.validation.loss == pytest.approx(min(losses), abs=1e-6)


@pytest.mark.parametrize("layer", ["stem", "block1_pointwise"])
def test_zeros_stay_zeros(int4: TunedModel, sparse: TrainedModel, layer: str) -> None:
    zero = sparse.network.get_layer(layer).kernel.numpy() == 0
    assert zero.mean() == 0.5
    assert not int4.model.network.get_layer(layer).kernel.numpy()[zero].any()


def test_the_kept_network_has_the_weights_of_the_grid(int4: TunedModel) -> None:
    for name in POINTWISE:
        kernel = int4.model.network.get_layer(name).kernel.numpy()
        steps = kernel / (np.abs(kernel).max(axis=(0, 1, 2)) / 127)
        np.testing.assert_allclose(steps, np.rint(steps), atol=1e-4)
        assert set(np.rint(steps).ravel().tolist()) <= set(INT4_GRID)


def test_4_bits_are_for_pointwise_convolutions(int4: TunedModel, content: bytes) -> None:
    assert int4.int4_layers == POINTWISE
    convolutions = [
        each.weights.data for each in read_graph(content).operators if isinstance(each, Conv2D)
    ]
    few = [set(np.ravel(data).tolist()) <= set(INT4_GRID) for data in convolutions]
    assert few == [False, True, True]


def test_layers_of_4_bits_are_chosen_by_pattern(trained: TrainedModel, tones: Dataset) -> None:
    chosen = tuned(trained, tones, weights="int4", epochs=0, int4_layers=("classifier", "block2*"))
    assert chosen.int4_layers == ("block2_depthwise", "block2_pointwise", "classifier")
    with pytest.raises(TrainingError, match="'clasifier' matches no layer") as caught:
        tuned(trained, tones, weights="int4", epochs=0, int4_layers=("clasifier",))
    assert caught.value.where == "quantization.int4_layers"
    assert "did you mean 'classifier'?" in (caught.value.hint or "")


def test_int8_weights_have_no_layers_of_4_bits(trained: TrainedModel, tones: Dataset) -> None:
    assert tuned(trained, tones, epochs=0).int4_layers == ()
    assert not Quantization().aware
    assert Quantization(epochs=1).aware
    assert Quantization(weights="int4").aware


def test_the_float_network_is_not_changed(
    int4: TunedModel, sparse: TrainedModel, weights_before: list[np.ndarray]
) -> None:
    assert int4.float_test == sparse.test
    for before, after in zip(weights_before, sparse.network.get_weights(), strict=True):
        assert np.array_equal(before, after)


def test_the_same_seed_gives_the_same_network(
    int4: TunedModel, sparse: TrainedModel, tones: Dataset
) -> None:
    again = tuned(sparse, tones, weights="int4")
    assert again.summary() == int4.summary()
    assert again.model.history == int4.model.history
    pairs = zip(again.model.network.get_weights(), int4.model.network.get_weights(), strict=True)
    assert all(np.array_equal(one, other) for one, other in pairs)


def test_a_tuned_model_survives_its_folder(
    int4: TunedModel, content: bytes, tmp_path: Path
) -> None:
    int4.save(tmp_path)
    loaded = TunedModel.load(tmp_path)
    assert loaded.summary() == int4.summary()
    assert quantize_aware(loaded.fake_quantized()) == content
    summary = json.loads((tmp_path / "quantization.json").read_text())
    assert summary["int4_layers"] == list(POINTWISE)
    assert summary["float"]["test"]["clips"] == summary["int8"]["test"]["clips"]


@pytest.mark.parametrize("content", ["{}", '{"ranges": [1]}', "not JSON"])
def test_a_damaged_summary_is_an_error(int4: TunedModel, tmp_path: Path, content: str) -> None:
    int4.save(tmp_path)
    (tmp_path / "quantization.json").write_text(content)
    with pytest.raises(StoreError, match="not a quantization summary"):
        TunedModel.load(tmp_path)
