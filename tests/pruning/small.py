"""A network of three kernels and one step of clips: enough to run every way of pruning."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgeprune.datasets.dataset import Dataset
from edgeprune.models.artifact import TrainedModel
from edgeprune.models.backend import keras
from edgeprune.models.trainer import Score
from edgeprune.progress import SilentProgress
from edgeprune.pruning.pruner import PrunedModel, prune
from edgeprune.recipe import Augmentation, Pruning, Recipe, Training
from tests.models import tiny

#: Channels of the stem and of the pointwise layer.
WIDTH = 8

#: The kernels' layers, in order.
LAYERS = ("stem", "pointwise", "classifier")


def network(seed: int = 5) -> Any:
    """Stem, pointwise convolution, classifier; weights drawn by seed."""
    layers, start = keras.layers, keras.initializers.HeNormal
    inputs = keras.Input((tiny.FRONTEND.frames, 1, tiny.FRONTEND.mel_bins))
    x = layers.Conv2D(
        WIDTH, (3, 1), (2, 1), use_bias=False, kernel_initializer=start(seed), name="stem"
    )(inputs)
    x = layers.ReLU()(layers.BatchNormalization(momentum=0.9, name="stem_norm")(x))
    x = layers.Conv2D(
        WIDTH, 1, use_bias=False, kernel_initializer=start(seed + 1), name="pointwise"
    )(x)
    x = layers.ReLU()(layers.BatchNormalization(momentum=0.9, name="pointwise_norm")(x))
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dense(len(tiny.LABELS), kernel_initializer=start(seed + 2), name="classifier")(x)
    return keras.Model(inputs, x, name="small")


def clips() -> Dataset:
    """One step of training clips, and half as many held out."""
    return tiny.dataset(train=16, held_out=8)


def trained(dataset: Dataset) -> TrainedModel:
    """The network as if it had been trained."""
    score = Score(1.0, 0.5, 8)
    measured = tiny.normalization(dataset)
    return TrainedModel(network(), dataset.labels, measured, (), score, score)


def recipe(**spec: Any) -> Recipe:
    """A recipe with one step an epoch, whose clips are not changed."""
    given = {"only": ("stem", "pointwise"), "channel_multiple": 1, "distillation": 0.0, **spec}
    return tiny.recipe(
        training=Training(epochs=1, batch=16, mixup=0.0),
        augmentation=Augmentation(
            time_shift_ms=0, gain_db=0.0, speed_percent=0.0, noise_percent=0.0
        ),
        pruning=Pruning(**given),
    )


def pruned(model: TrainedModel, dataset: Dataset, **spec: Any) -> PrunedModel:
    """Prune the network."""
    return prune(recipe(**spec), model, dataset, tiny.features, SilentProgress())


def kernel(model: PrunedModel | TrainedModel, layer: str) -> np.ndarray:
    """The kernel of a layer."""
    built = model.model.network if isinstance(model, PrunedModel) else model.network
    values: np.ndarray = built.get_layer(layer).kernel.numpy()
    return values
