"""Training of the dense network."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeprune.datasets.augmentation import Augmenter
from edgeprune.datasets.dataset import Dataset, Split
from edgeprune.errors import TrainingError
from edgeprune.models.artifact import TrainedModel
from edgeprune.models.batches import FeatureFunction, Mixing, TrainingClips
from edgeprune.models.normalization import Normalization
from edgeprune.models.registry import Shape, build, initialize
from edgeprune.models.teaching import lesson
from edgeprune.models.trainer import BestWeights, EpochRecord, Score, Trainer, evaluate, rates
from edgeprune.progress import Progress
from edgeprune.recipe import Recipe

__all__ = ["score", "train", "training_clips"]


def train(
    recipe: Recipe,
    dataset: Dataset,
    features: FeatureFunction,
    normalization: Normalization,
    progress: Progress,
) -> TrainedModel:
    """Train the recipe's network from the weights that it comes with, or from random ones.

    The weights of the epoch with the lowest validation loss are kept; without epochs, the first
    ones. The same recipe and clips give the same weights, bit for bit, on one machine. The test
    split is measured once, at the end.

    Args:
        recipe: what to build; its seed is the seed of everything that is drawn.
        dataset: clips and background noise.
        features: the front-end.
        normalization: of the network's input.
        progress: gets one task, advanced once an epoch.

    Raises:
        TrainingError: the loss is not finite any more, or a split is empty.
        DatasetError: the recipe asks for background noise that the data set lacks.
        ModelError: the recipe's network, or its teacher, can't be brought in.
    """
    shape = Shape(recipe.frontend.frames, recipe.frontend.features, len(dataset.labels))
    network = build(recipe.model, shape, seed=recipe.seed)
    network = initialize(network, recipe.model, dataset.labels)
    validation = normalization.apply(features(dataset.validation.pcm))
    history: list[EpochRecord] = []
    if recipe.training.epochs:
        history = _fit(network, recipe, dataset, features, normalization, validation, progress)
    return TrainedModel(
        network=network,
        labels=dataset.labels,
        normalization=normalization,
        history=tuple(history),
        validation=evaluate(network, validation, dataset.validation.labels),
        test=score(network, dataset.test, features, normalization),
    )


def _fit(
    network: Any,
    recipe: Recipe,
    dataset: Dataset,
    features: FeatureFunction,
    normalization: Normalization,
    validation: NDArray[np.float32],
    progress: Progress,
) -> list[EpochRecord]:
    """Train a network in place; ``validation`` holds the inputs of the validation split."""
    spec = recipe.training
    pupil, distillation = network, None
    if spec.teacher is not None:
        taught = lesson(network, recipe, dataset.labels, features, normalization)
        pupil, distillation = taught.pupil, taught.distillation
        features, normalization = taught.features, taught.normalization
    clips = training_clips(recipe, dataset, features, normalization, mixup=spec.mixup)
    rate = rates(spec.learning_rate, spec.schedule, spec.epochs * clips.steps)
    trainer = Trainer(pupil, rate, distillation=distillation)
    best = BestWeights()
    history: list[EpochRecord] = []
    with (
        progress.task("train", spec.epochs, "epochs") as task,
        clips.epochs(0, spec.epochs) as epochs,
    ):
        for epoch, batches in enumerate(epochs, start=1):
            loss = trainer.run(batches)
            result = evaluate(network, validation, dataset.validation.labels)
            best.offer(network, result.loss)
            history.append(EpochRecord(epoch, loss, result))
            task.advance()
            if spec.patience and best.epochs_since >= spec.patience:
                break
    best.restore(network)
    return history


def score(
    network: Any, split: Split, features: FeatureFunction, normalization: Normalization
) -> Score:
    """Measure a network on a split, in float.

    Raises:
        TrainingError: the split has no clips.
    """
    return evaluate(network, normalization.apply(features(split.pcm)), split.labels)


def training_clips(
    recipe: Recipe,
    dataset: Dataset,
    features: FeatureFunction,
    normalization: Normalization,
    *,
    mixup: float,
) -> TrainingClips:
    """The training split with the recipe's augmentation; nothing else of the data set is heard.

    Raises:
        TrainingError: there are no training clips.
        DatasetError: the recipe asks for background noise that the data set lacks.
    """
    if not len(dataset.train):
        raise TrainingError("there are no training clips", hint="check the [data] of the recipe")
    augmenter = Augmenter(
        recipe.augmentation,
        sample_rate_hz=dataset.sample_rate_hz,
        noise=dataset.noise,
        seed=recipe.seed,
    )
    return TrainingClips(
        dataset.train.pcm,
        dataset.train.labels,
        label_count=len(dataset.labels),
        features=features,
        normalization=normalization,
        augmenter=augmenter,
        mixing=Mixing(recipe.training.batch, mixup, recipe.training.label_smoothing),
        seed=recipe.seed,
    )
