"""The way from a dense network to a pruned one, and its masks through int8."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeprune.datasets.dataset import Dataset
from edgeprune.errors import StoreError, TrainingError, UnsupportedError
from edgeprune.graph import Conv2D, FullyConnected, read_graph
from edgeprune.models.artifact import TrainedModel
from edgeprune.models.training import score
from edgeprune.progress import SilentProgress
from edgeprune.pruning.pruner import PrunedModel, prune
from edgeprune.quantization.converter import quantize
from edgeprune.recipe import Pruning
from tests.models import tiny


def pruned(dense: TrainedModel, tones: Dataset, **spec: Any) -> PrunedModel:
    given = {
        "epochs": 8,
        "ramp_percent": 25.0,
        "learning_rate": 1e-2,
        "exclude": (),
        "channel_multiple": 2,
        **spec,
    }
    recipe = tiny.recipe(pruning=Pruning(**given))
    return prune(recipe, dense, tones, tiny.features, SilentProgress())


@pytest.fixture(scope="module")
def by_channel(dense: TrainedModel, tones: Dataset) -> PrunedModel:
    return pruned(dense, tones, structure="channel", sparsity=0.5)


@pytest.fixture(scope="module")
def by_weight(dense: TrainedModel, tones: Dataset) -> PrunedModel:
    return pruned(dense, tones, structure="unstructured", sparsity=0.6, exclude=("classifier",))


def int8(model: TrainedModel, tones: Dataset) -> bytes:
    inputs = model.normalization.apply(tiny.features(tones.train.pcm))
    return quantize(model.network, inputs[:32])


def test_channels_are_gone_and_the_network_still_works(by_channel: PrunedModel) -> None:
    assert by_channel.model.network.get_layer("stem").output.shape[-1] == 4
    assert by_channel.model.cost.macs < 0.55 * by_channel.dense_cost.macs
    assert by_channel.model.cost.parameters < by_channel.dense_cost.parameters
    assert by_channel.model.validation.accuracy > 0.6  # four labels


def test_channels_are_gone_from_the_tflite_file(by_channel: PrunedModel, tones: Dataset) -> None:
    graph = read_graph(int8(by_channel.model, tones))
    assert graph.macs == by_channel.model.cost.macs
    stem = graph.operators[0]
    assert isinstance(stem, Conv2D)
    assert stem.weights.shape == (4, 3, 1, 10)


def test_sparsity_follows_the_cubic_schedule(by_channel: PrunedModel) -> None:
    assert [record.sparsity for record in by_channel.model.history] == [0.4375] + [0.5] * 7


def test_best_weights_are_of_epochs_at_the_final_sparsity(by_channel: PrunedModel) -> None:
    final = [each.validation.loss for each in by_channel.model.history if each.sparsity == 0.5]
    assert by_channel.model.validation.loss == pytest.approx(min(final), abs=1e-6)


def test_weights_are_exactly_zero_in_float(by_weight: PrunedModel) -> None:
    for name in ("stem", "block1_pointwise", "block2_pointwise"):
        kernel = by_weight.model.network.get_layer(name).kernel.numpy()
        assert (kernel == 0).sum() == round(0.6 * kernel.size)
    assert by_weight.model.network.get_layer("classifier").kernel.numpy().all()
    assert by_weight.model.cost.macs == by_weight.dense_cost.macs
    assert by_weight.model.cost.nonzero < by_weight.dense_cost.nonzero


def test_zeros_stay_zeros_in_int8(by_weight: PrunedModel, tones: Dataset) -> None:
    """Symmetric weights: 0.0 is 0, in the same places."""
    graph = read_graph(int8(by_weight.model, tones))
    kernels = [each.weights.data for each in graph.operators if isinstance(each, Conv2D)]
    names = ("stem", "block1_pointwise", "block2_pointwise")
    for name, data in zip(names, kernels, strict=True):
        kernel = by_weight.model.network.get_layer(name).kernel.numpy()
        assert data is not None
        in_keras_order = np.moveaxis(data, 0, -1)
        assert not in_keras_order[kernel == 0].any()
        # Small weights may round to zero too, but few do.
        assert np.count_nonzero(in_keras_order) > 0.9 * np.count_nonzero(kernel)
    (dense,) = (each for each in graph.operators if isinstance(each, FullyConnected))
    assert dense.weights.data is not None
    assert np.count_nonzero(dense.weights.data) > 0.9 * dense.weights.elements


def test_the_same_seed_gives_the_same_weights(
    by_channel: PrunedModel, dense: TrainedModel, tones: Dataset
) -> None:
    again = pruned(dense, tones, structure="channel", sparsity=0.5)
    for one, other in zip(
        by_channel.model.network.get_weights(), again.model.network.get_weights(), strict=True
    ):
        assert np.array_equal(one, other)


def test_the_dense_network_is_not_changed(
    by_channel: PrunedModel, dense: TrainedModel, tones: Dataset
) -> None:
    assert by_channel.dense_cost == dense.cost
    assert score(dense.network, tones.test, tiny.features, dense.normalization) == dense.test
    assert by_channel.dense_test == dense.test


@pytest.mark.parametrize("structure", ["channel", "unstructured"])
@pytest.mark.parametrize("schedule", ["one-shot", "cubic"])
def test_structures_and_schedules_combine_without_epochs(
    dense: TrainedModel, tones: Dataset, structure: str, schedule: str
) -> None:
    result = pruned(dense, tones, structure=structure, schedule=schedule, sparsity=0.5, epochs=0)
    assert result.model.history == ()
    assert result.model.cost.nonzero < 0.6 * dense.cost.nonzero


def test_no_structure_leaves_the_dense_network(dense: TrainedModel, tones: Dataset) -> None:
    result = pruned(dense, tones, structure="none")
    assert result.model is dense
    assert result.criterion == ""


def test_layers_that_can_not_be_pruned_are_named(dense: TrainedModel, tones: Dataset) -> None:
    with pytest.raises(TrainingError, match="shares its channels with one that is left alone"):
        pruned(dense, tones, exclude=("stem*",), epochs=0)
    with pytest.raises(TrainingError, match="'conv9' matches no layer") as caught:
        pruned(dense, tones, exclude=("conv9",))
    assert "block1_pointwise" in (caught.value.hint or "")


def test_what_can_not_be_scored_is_said_before_the_first_epoch(
    dense: TrainedModel, tones: Dataset
) -> None:
    with pytest.raises(UnsupportedError, match="no batch normalization") as caught:
        pruned(dense, tones, structure="unstructured", criterion="batchnorm")
    assert caught.value.where == "layer classifier"


def test_layers_can_be_named_that_alone_are_pruned(dense: TrainedModel, tones: Dataset) -> None:
    spec = {"structure": "unstructured", "only": ("*pointwise",), "sparsity": 0.5, "epochs": 0}
    network = pruned(dense, tones, **spec).model.network
    for layer, share in (("stem", 0), ("block1_pointwise", 0.5), ("classifier", 0)):
        assert (network.get_layer(layer).kernel.numpy() == 0).mean() == share


def test_a_pruned_model_survives_its_folder(by_channel: PrunedModel, tmp_path: Path) -> None:
    by_channel.save(tmp_path)
    loaded = PrunedModel.load(tmp_path)
    assert loaded.summary() == by_channel.summary()
    assert loaded.model.history == by_channel.model.history
    summary = json.loads((tmp_path / "pruning.json").read_text())
    assert summary["structure"] == "channel"
    assert summary["criterion"] == "l1"
    assert summary["dense"]["cost"]["macs"] > summary["pruned"]["cost"]["macs"]
    (tmp_path / "pruning.json").write_text("{}")
    with pytest.raises(StoreError, match="not a pruning summary"):
        PrunedModel.load(tmp_path)
