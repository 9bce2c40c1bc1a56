"""Training of nested operating points."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from edgeprune.datasets.dataset import Dataset
from edgeprune.models.artifact import TrainedModel
from edgeprune.progress import SilentProgress
from edgeprune.pruning.levels import nested_masks, train_levels
from edgeprune.pruning.pruner import PrunedModel
from edgeprune.recipe import DsCnn, Pruning
from tests.models import tiny
from tests.pruning import small
from tests.pruning.test_surgery import ds_cnn, randomized

LEVELS = (1.0, 0.5, 0.25)


@pytest.mark.parametrize("criterion", ["l1", "taylor", "random"])
def test_levels_have_their_shares_of_the_channels(
    criterion: str, few: Dataset, start: TrainedModel, eager: None
) -> None:
    made = small.pruned(start, few, levels=LEVELS, criterion=criterion, epochs=1)
    networks = [made.model.network, *(level.network for level in made.levels)]
    widths = [network.get_layer("pointwise").filters for network in networks]
    assert widths == [small.WIDTH, small.WIDTH // 2, small.WIDTH // 4]


def test_each_level_lies_in_the_one_before() -> None:
    network = randomized(ds_cnn())
    spec = Pruning(levels=LEVELS, channel_multiple=1)
    kept = nested_masks(network, spec, 1, iter(()))
    assert [mask.all() for mask in kept] == [True, False, False]
    assert all(not np.any(low & ~high) for high, low in pairwise(kept))


def test_without_epochs_the_full_network_is_the_trained_one(
    few: Dataset, start: TrainedModel, eager: None
) -> None:
    made = small.pruned(start, few, levels=LEVELS, epochs=0)
    inputs = made.model.normalization.apply(tiny.features(few.test.pcm))
    inputs = inputs.reshape(-1, *start.network.input_shape[1:])
    np.testing.assert_allclose(
        made.model.network(inputs), start.network(inputs), rtol=1e-3, atol=1e-4
    )


def test_levels_survive_a_folder(
    few: Dataset, start: TrainedModel, tmp_path: Path, eager: None
) -> None:
    made = small.pruned(start, few, levels=LEVELS, epochs=1)
    made.save(tmp_path)
    read = PrunedModel.load(tmp_path)
    assert [each.validation for each in read.levels] == [each.validation for each in made.levels]
    assert read.summary() == made.summary()
    assert len(made.summary()["levels"]) == 2
    for ours, theirs in zip(read.levels, made.levels, strict=True):
        for one, other in zip(ours.network.weights, theirs.network.weights, strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_narrow_levels_learn(tones: Dataset) -> None:
    from edgeprune.models.training import train

    recipe = tiny.recipe(
        model=DsCnn(kind="ds-cnn", width=16, blocks=2),
        pruning=Pruning(levels=LEVELS, epochs=15, learning_rate=1e-2),
    )
    normalization = tiny.normalization(tones)
    dense = train(recipe, tones, tiny.features, normalization, SilentProgress())
    levels = train_levels(recipe, dense, tones, tiny.features, SilentProgress())
    assert [level.cost.macs for level in levels] == sorted(
        (level.cost.macs for level in levels), reverse=True
    )
    assert all(level.validation.accuracy >= 0.8 for level in levels)
