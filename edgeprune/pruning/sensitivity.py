"""Sensitivity: what the loss does when layers are pruned alone, in one shot.

The trained network is pruned by the recipe's criterion and structure, its batch normalizations are
measured anew, and the validation split says what that cost; nothing is trained. Li, Kadav,
Durdanovic, Samet & Graf 2017, "Pruning Filters for Efficient ConvNets", section 3.2, scan layer by
layer in this way; Li, Wu, Su & Wang 2020, "EagleEye", show that with normalizations measured anew
the ranking is close to the one after fine-tuning.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np

from edgeprune.datasets.dataset import Dataset, Split
from edgeprune.errors import TrainingError
from edgeprune.models.artifact import TrainedModel
from edgeprune.models.batches import Batch, FeatureFunction
from edgeprune.models.trainer import Score, evaluate
from edgeprune.models.training import training_clips
from edgeprune.pruning.allocation import Listed
from edgeprune.pruning.batchnorm import reestimate
from edgeprune.pruning.criteria import comparable_scores, criteria
from edgeprune.pruning.evidence import gather
from edgeprune.pruning.exclusion import spared_layers
from edgeprune.pruning.registry import fitted_structure, joined_layers, make_structure
from edgeprune.pruning.scan import Unit
from edgeprune.pruning.structures import LayerScores
from edgeprune.pruning.surgery import clone, map_channels, map_kernels, remove_channels
from edgeprune.recipe import Pruning, Recipe

__all__ = ["OneShot", "PrunedOnce"]

#: Clips that normalizations are measured on, and gradients are read from; the first ones.
_CLIPS = 512


@dataclass(frozen=True, eq=False)
class PrunedOnce:
    """A network after one-shot pruning.

    Attributes:
        network: a Keras network of its own; without the channels that were taken out.
        validation: float loss and accuracy on the validation split.
    """

    network: Any
    validation: Score


class OneShot:
    """Prunes a trained network in one shot, again and again, each time from the dense weights.

    Every call gives the same for the same shares, whatever was asked before. The test split is not
    read.

    Args:
        recipe: what to build; ``pruning.layers``, ``schedule`` and ``epochs`` are not read.
        dense: the trained network; it is not changed.
        dataset: clips and background noise.
        features: the front-end.

    Attributes:
        units: what can have a sparsity of its own, in the network's order.

    Raises:
        UnsupportedError: a layer through which channels can't be followed, or that the criterion
            can't score, by name.
        TrainingError: the criterion scores training itself, a pattern of ``pruning.only`` or
            ``pruning.exclude`` matches no layer, no layer is left to prune, or a split is empty.
        DatasetError: the recipe asks for background noise that the data set lacks.
    """

    def __init__(
        self, recipe: Recipe, dense: TrainedModel, dataset: Dataset, features: FeatureFunction
    ) -> None:
        self._spec: Pruning = recipe.pruning.model_copy(update={"layers": {}})
        self._dense = dense
        channel = self._spec.structure == "channel"
        self._channels = (map_channels if channel else map_kernels)(dense.network)
        structure = fitted_structure(self._spec, self._channels)
        sizes = {kernel.layer: int(np.prod(kernel.shape)) for kernel in self._channels.kernels}
        self.units = tuple(
            Unit(layers, sum(sizes[layer] for layer in layers))
            for layers in joined_layers(structure, self._channels)
        )
        self._batches = _batches(recipe, dense, dataset, features)
        self._validation = dense.normalization.apply(features(dataset.validation.pcm))
        self._labels = dataset.validation.labels
        self._scores = self._scored(recipe.seed)

    def prune(self, shares: Mapping[str, float]) -> PrunedOnce:
        """Take a share out of each unit.

        Args:
            shares: name of a unit → share from 0 to 1; others stay whole.
        """
        network = self._pruned(shares) if any(shares.values()) else clone(self._dense.network)
        reestimate(network, self._batches)
        return PrunedOnce(network, evaluate(network, self._validation, self._labels))

    def _pruned(self, shares: Mapping[str, float]) -> Any:
        by_layer = {
            layer: shares.get(unit.name, 0.0) for unit in self.units for layer in unit.layers
        }
        names = [kernel.layer for kernel in self._channels.kernels]
        spared = spared_layers(names, only=self._spec.only, exclude=self._spec.exclude)
        structure = make_structure(self._spec, spared, Listed(1.0, by_layer))
        masks = structure.masks(self._channels, self._scores, 1.0)
        if masks.channels is not None:
            return remove_channels(self._dense.network, self._channels, masks.channels)
        network = clone(self._dense.network)
        for weight in network.weights:
            if weight.path in masks.variables:
                weight.assign(weight.numpy() * masks.variables[weight.path])
        return network

    def _scored(self, seed: int) -> LayerScores:
        criterion = criteria(seed)[self._spec.scored_by]
        if criterion.needs_movement:
            raise TrainingError(
                f"criterion = {criterion.name!r} scores what training does to the weights, and "
                "nothing is trained here",
                where="pruning.criterion",
                hint="--set pruning.criterion=taylor",
            )
        structure = fitted_structure(self._spec, self._channels)
        evidence = gather(
            self._dense.network,
            structure.prunable(self._channels),
            criterion,
            by_channel=structure.takes_channels,
            batches=self._batches[: self._spec.gradient_batches],
            movement={},
        )
        return {each.layer: comparable_scores(criterion, each, structure.pool) for each in evidence}


def _batches(
    recipe: Recipe, dense: TrainedModel, dataset: Dataset, features: FeatureFunction
) -> list[Batch]:
    """Batches of the first training clips, augmented as in an epoch that training did not have."""
    some = replace(dataset, train=_head(dataset.train, _CLIPS))
    mixup = recipe.pruning_mixup
    clips = training_clips(recipe, some, features, dense.normalization, mixup=mixup)
    epoch = recipe.training.epochs
    return list(islice(clips.batches(epoch, clips.prepare(epoch)), clips.steps))


def _head(split: Split, count: int) -> Split:
    return Split(
        split.pcm[:count], split.labels[:count], split.speakers[:count], split.names[:count]
    )
