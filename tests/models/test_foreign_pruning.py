"""Networks of others from a file, pruned by channels, to int8: they end smaller and still hear."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgeprune.datasets.dataset import Dataset
from edgeprune.errors import UnsupportedError
from edgeprune.graph import read_graph
from edgeprune.models.artifact import TrainedModel, load_network
from edgeprune.models.training import train
from edgeprune.progress import SilentProgress
from edgeprune.pruning.pruner import prune
from edgeprune.quantization.converter import quantize
from edgeprune.recipe import KerasNetwork, Pruning, Recipe, Training
from tests.models import foreign, tiny
from tests.models.foreign import FEATURES, FRAMES, LABELS


def recipe(make: Callable[..., Any], folder: Path, epochs: int) -> Recipe:
    path = foreign.saved(make(FRAMES, FEATURES, LABELS, 1), folder / "network.keras")
    model = KerasNetwork(kind="keras", file=str(path), normalization="measured")
    return tiny.recipe(
        model=model,
        training=Training(epochs=epochs, batch=16, learning_rate=1e-2, mixup=0.0),
        pruning=Pruning(epochs=3, sparsity=0.5, channel_multiple=1, exclude=()),
    )


def trained(declared: Recipe, clips: Dataset) -> TrainedModel:
    return train(declared, clips, tiny.features, tiny.normalization(clips), SilentProgress())


@pytest.mark.parametrize(
    ("make", "halved"),
    [
        (foreign.residual, {"stem": 4, "inner": 4, "outer": 4, "add": 4}),
        (foreign.concatenating, {"left": 4, "right": 2, "hidden": 4}),
        (foreign.depthwise, {"depthwise": 4, "pointwise": 6}),
    ],
)
def test_a_file_is_trained_pruned_by_channels_and_converted(
    make: Callable[..., Any], halved: dict[str, int], tones: Dataset, tmp_path: Path
) -> None:
    declared = recipe(make, tmp_path, epochs=12)
    dense = trained(declared, tones)
    assert dense.test.accuracy > 0.6
    pruned = prune(declared, dense, tones, tiny.features, SilentProgress()).model
    assert pruned.cost.macs < 0.75 * dense.cost.macs
    assert pruned.test.accuracy > 0.35, "no better than guessing one of four"
    inputs = pruned.normalization.apply(tiny.features(tones.train.pcm))
    before, after = (len(quantize(model.network, inputs)) for model in (dense, pruned))
    assert after < before
    pruned.save(tmp_path / "pruned")
    reloaded = load_network(tmp_path / "pruned")
    graph = read_graph(quantize(reloaded, inputs), name="pruned")
    assert graph.output.elements == LABELS
    for name, width in halved.items():
        assert reloaded.get_layer(name).output.shape[-1] == width, name


def test_weights_are_pruned_where_channels_can_not_be(tones: Dataset, tmp_path: Path) -> None:
    """Every layer that is supported can be read, trained, pruned by weights, and converted."""
    declared = recipe(foreign.gated, tmp_path, epochs=1)
    dense = trained(declared, tones)
    pruning = Pruning(epochs=1, structure="unstructured", sparsity=0.5)
    unstructured = declared.model_copy(update={"pruning": pruning})
    pruned = prune(unstructured, dense, tones, tiny.features, SilentProgress()).model
    assert pruned.cost.nonzero == pytest.approx(0.5 * pruned.cost.weights, rel=0.02)
    inputs = pruned.normalization.apply(tiny.features(tones.train.pcm))
    assert read_graph(quantize(pruned.network, inputs), name="gated").output.elements == LABELS
    with pytest.raises(UnsupportedError, match="can't follow channels"):
        prune(declared, dense, tones, tiny.features, SilentProgress())


def test_without_epochs_a_network_is_taken_as_it_is(tones: Dataset, tmp_path: Path) -> None:
    network = foreign.depthwise(FRAMES, FEATURES, LABELS, 1)
    kept = trained(recipe(lambda *_: network, tmp_path, epochs=0), tones)
    assert kept.history == ()
    for mine, theirs in zip(kept.network.get_weights(), network.get_weights(), strict=True):
        assert (mine == theirs).all()


def test_training_starts_from_the_weights_of_the_file(tones: Dataset, tmp_path: Path) -> None:
    """A low rate for one epoch leaves a trained network as good as it was."""
    dense = trained(recipe(foreign.depthwise, tmp_path, epochs=8), tones)
    again = recipe(lambda *_: dense.network, tmp_path, epochs=1)
    slow = again.training.model_copy(update={"learning_rate": 1e-6})
    kept = trained(again.model_copy(update={"training": slow}), tones)
    assert kept.validation.loss == pytest.approx(dense.validation.loss, rel=0.2)
