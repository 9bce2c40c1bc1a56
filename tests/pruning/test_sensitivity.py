"""What each layer costs in loss, and sparsities by layer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeprune.datasets.dataset import Dataset
from edgeprune.errors import StoreError, TrainingError
from edgeprune.models.artifact import TrainedModel
from edgeprune.models.backend import keras
from edgeprune.models.trainer import Score
from edgeprune.pruning.scan import Heard, Scan, Unit, scanned_sparsities
from edgeprune.pruning.sensitivity import OneShot
from edgeprune.recipe import Pruning
from tests.models import tiny
from tests.pruning import small

SPARSITIES = (0.25, 0.5, 0.7, 0.8, 0.9)


def one_shot(model: TrainedModel, dataset: Dataset, **spec: Any) -> OneShot:
    return OneShot(small.recipe(**spec), model, dataset, tiny.features)


def zeros(network: Any, layer: str) -> float:
    return float((network.get_layer(layer).kernel.numpy() == 0).mean())


# The scan ----------------------------------------------------------------------------------------


def _with_a_layer_of_noise(dataset: Dataset) -> tuple[TrainedModel, Dataset]:
    """A network whose layer ``noise`` adds next to nothing, and the clips under its own labels."""
    layers, start = keras.layers, keras.initializers.HeNormal
    inputs = keras.Input((tiny.FRONTEND.frames, 1, tiny.FRONTEND.mel_bins))
    x = layers.Conv2D(8, 1, activation="relu", kernel_initializer=start(1), name="stem")(inputs)
    noise = keras.initializers.RandomNormal(stddev=1e-4, seed=2)
    y = layers.Conv2D(8, 1, kernel_initializer=noise, name="noise")(x)
    x = layers.GlobalAveragePooling2D()(layers.Add()([x, y]))
    large = keras.initializers.RandomNormal(stddev=8.0, seed=3)
    x = layers.Dense(len(tiny.LABELS), kernel_initializer=large, name="classifier")(x)
    network = keras.Model(inputs, x)
    normalization = tiny.normalization(dataset)
    heard = normalization.apply(tiny.features(dataset.validation.pcm))
    scores = network(heard.reshape(-1, *network.input_shape[1:])).numpy()
    validation = replace(dataset.validation, labels=scores.argmax(axis=1).astype(np.int16))
    model = TrainedModel(network, dataset.labels, normalization, (), Score(0, 1, 1), Score(0, 1, 1))
    return model, replace(dataset, validation=validation)


def test_a_layer_of_noise_is_the_cheapest(few: Dataset) -> None:
    model, dataset = _with_a_layer_of_noise(few)
    scanned = one_shot(model, dataset, structure="unstructured", only=())
    dense = scanned.prune({}).validation
    assert dense.accuracy == 1
    assert [unit.name for unit in scanned.units] == ["stem", "noise", "classifier"]
    for sparsity in SPARSITIES:
        losses = {
            unit.name: scanned.prune({unit.name: sparsity}).validation.loss
            for unit in scanned.units
        }
        assert min(losses, key=lambda name: abs(losses[name] - dense.loss)) == "noise"
        assert losses["noise"] == pytest.approx(dense.loss, abs=1e-2)
    assert losses["stem"] > dense.loss + 0.1


def test_one_layer_is_pruned_and_the_others_stay_whole(start: TrainedModel, few: Dataset) -> None:
    scanned = one_shot(start, few, structure="unstructured")
    before = start.network.get_weights()
    network = scanned.prune({"pointwise": 0.75}).network
    assert zeros(network, "pointwise") == 0.75
    assert np.array_equal(small.kernel(start, "stem"), network.get_layer("stem").kernel.numpy())
    for old, new in zip(before, start.network.get_weights(), strict=True):
        assert np.array_equal(old, new)


def test_the_order_of_questions_does_not_matter(start: TrainedModel, few: Dataset) -> None:
    first = one_shot(start, few, structure="unstructured", criterion="taylor")
    second = one_shot(start, few, structure="unstructured", criterion="taylor")
    shares = {"stem": 0.5, "pointwise": 0.25}
    alone = first.prune(shares)
    for sparsity in (0.9, 0.0):
        second.prune({"stem": sparsity})
    again = second.prune(shares)
    assert alone.validation == again.validation
    for one, other in zip(alone.network.get_weights(), again.network.get_weights(), strict=True):
        assert np.array_equal(one, other)


def test_normalizations_are_measured_anew(start: TrainedModel, few: Dataset) -> None:
    means = [
        one_shot(start, few, structure="unstructured")
        .prune({"stem": share})
        .network.get_layer("stem_norm")
        .moving_mean.numpy()
        for share in (0.0, 0.9)
    ]
    assert np.abs(means[0]).max() > 0.01
    assert not np.allclose(means[0], means[1])


def test_the_test_split_is_not_read(start: TrainedModel, few: Dataset) -> None:
    without = replace(few, test=None)  # type: ignore[arg-type]
    shares = {"stem": 0.5}
    heard = one_shot(start, few, structure="unstructured").prune(shares).validation
    assert one_shot(start, without, structure="unstructured").prune(shares).validation == heard


def test_channels_are_taken_out_and_joined_layers_are_one_unit(
    dense: TrainedModel, tones: Dataset
) -> None:
    scanned = one_shot(dense, tones, structure="channel", only=())
    (unit,) = scanned.units
    assert unit.layers == ("stem", "block1_pointwise", "block2_pointwise")
    network = scanned.prune({"stem": 0.5}).network
    for layer in unit.layers:
        assert network.get_layer(layer).kernel.shape[-1] == 4
    assert scanned.prune({}).network.get_layer("stem").kernel.shape[-1] == 8


@pytest.mark.parametrize("structure", ["block", "n:m"])
def test_other_structures_are_scanned_too(
    start: TrainedModel, few: Dataset, structure: str
) -> None:
    spec = {"structure": structure, "block": (2, 2)}
    network = one_shot(start, few, **spec).prune({"pointwise": 0.5}).network
    assert zeros(network, "pointwise") == 0.5
    assert zeros(network, "stem") == 0


def test_a_criterion_of_training_has_nothing_to_score(start: TrainedModel, few: Dataset) -> None:
    with pytest.raises(TrainingError, match="nothing is trained here"):
        one_shot(start, few, structure="unstructured", criterion="movement")


def test_the_recipes_own_sparsity_is_scanned() -> None:
    assert scanned_sparsities(Pruning(sparsity=0.6)) == (0.25, 0.5, 0.6, 0.7, 0.8, 0.9)
    assert scanned_sparsities(Pruning(structure="n:m", pattern="1:4")) == (0.75,)


def test_a_scan_survives_its_folder(tmp_path: Path) -> None:
    scan = Scan(
        units=(Unit(("stem", "pointwise"), 12), Unit(("classifier",), 4)),
        sparsities=(0.5, 0.9),
        clips=7,
        dense=Heard(0.5, 0.75),
        alone=((Heard(0.6, 0.5), Heard(0.7, 0.25)), (Heard(0.8, 0.5), Heard(0.9, 0.0))),
    )
    scan.save(tmp_path)
    assert Scan.load(tmp_path) == scan
    (tmp_path / "sensitivity.json").write_text("{}", encoding="utf-8")
    with pytest.raises(StoreError, match="not a scan"):
        Scan.load(tmp_path)


# Sparsities by layer -----------------------------------------------------------------------------


@pytest.mark.parametrize("schedule", ["one-shot", "cubic"])
def test_sparsities_by_layer_are_exact(
    start: TrainedModel, few: Dataset, eager: None, schedule: str
) -> None:
    spec = {
        "structure": "unstructured",
        "sparsity": 0.5,
        "layers": {"pointw*": 0.75},
        "schedule": schedule,
        "epochs": 3,
        "ramp_percent": 60.0,
    }
    network = small.pruned(start, few, **spec).model.network
    assert zeros(network, "stem") == 0.5
    assert zeros(network, "pointwise") == 0.75
    assert zeros(network, "classifier") == 0


def test_a_layer_can_stay_whole(start: TrainedModel, few: Dataset) -> None:
    spec = {"structure": "unstructured", "sparsity": 0.5, "layers": {"stem": 0.0}, "epochs": 0}
    network = small.pruned(start, few, **spec).model.network
    assert zeros(network, "stem") == 0
    assert zeros(network, "pointwise") == 0.5


def test_joined_channels_follow_the_one_that_is_named(dense: TrainedModel, tones: Dataset) -> None:
    spec = {"structure": "channel", "only": (), "sparsity": 0.5, "epochs": 0}
    network = small.pruned(dense, tones, **spec, layers={"block*": 0.25}).model.network
    assert network.get_layer("stem").kernel.shape[-1] == 6
    apart = {"stem": 0.5, "block1_pointwise": 0.25}
    with pytest.raises(TrainingError, match="share their channels and can't differ") as caught:
        small.pruned(dense, tones, **spec, layers=apart)
    assert caught.value.where == "pruning.layers"


def test_a_name_goes_before_a_pattern_and_patterns_may_not_contradict(
    start: TrainedModel, few: Dataset
) -> None:
    spec = {"structure": "unstructured", "sparsity": 0.5, "epochs": 0}
    layers = {"*": 0.25, "stem": 0.75}
    network = small.pruned(start, few, **spec, layers=layers).model.network
    assert (zeros(network, "stem"), zeros(network, "pointwise")) == (0.75, 0.25)
    with pytest.raises(TrainingError, match=r"'stem' 0\.25 and 0\.75"):
        small.pruned(start, few, **spec, layers={"*": 0.25, "st*": 0.75})
    with pytest.raises(TrainingError, match="'classifier' matches no layer"):
        small.pruned(start, few, **spec, layers={"classifier": 0.5})
