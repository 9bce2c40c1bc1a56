"""Training of nested operating points: one set of weights, good at every width.

At every step all levels see the same batch. The widest learns from the labels and from the trained
network; the others learn from the widest as it is at that step, which is the in-place distillation
of Yu & Huang 2019, "Universally Slimmable Networks and Improved Training Techniques".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeprune.datasets.dataset import Dataset
from edgeprune.models.artifact import TrainedModel
from edgeprune.models.backend import tf
from edgeprune.models.batches import Batch, FeatureFunction, TrainingClips
from edgeprune.models.trainer import (
    BestWeights,
    Distillation,
    EpochRecord,
    Score,
    Trainer,
    divergence,
    evaluate,
    rates,
)
from edgeprune.models.training import score, training_clips
from edgeprune.progress import Progress
from edgeprune.pruning.batchnorm import reestimate
from edgeprune.pruning.criteria import comparable_scores, criteria
from edgeprune.pruning.evidence import gather
from edgeprune.pruning.exclusion import spared_layers
from edgeprune.pruning.masks import Mask, Masks
from edgeprune.pruning.nested_network import NestedNetwork, nest
from edgeprune.pruning.registry import make_structure
from edgeprune.pruning.surgery import map_channels
from edgeprune.recipe import Pruning, Recipe

__all__ = ["LevelTrainer", "nested_masks", "train_levels"]


class LevelTrainer(Trainer):
    """Trains all levels of a network at once.

    Args:
        joint: a Keras model: an input → a list of logits, of the widest level first.
        rate: step → learning rate.
        distillation: the widest level's teacher, if there is one; the other levels learn from the
            widest with the same weight and temperature, or else with weight 0.9 at temperature 2.
    """

    def __init__(
        self, joint: Any, rate: Callable[[int], float], distillation: Distillation | None
    ) -> None:
        super().__init__(joint, rate)
        self._teacher = distillation

    def _loss(self, inputs: Any, targets: Any) -> Any:
        widest, *narrower = self.network(inputs, training=True)
        weight, temperature = _IN_PLACE
        loss = _cross_entropy(targets, widest)
        if self._teacher is not None:
            weight, temperature = self._teacher.weight, self._teacher.temperature
            scores = self._teacher.teacher(inputs, training=False)
            loss = (1 - weight) * loss + weight * divergence(scores, widest, temperature)
        wanted = tf.stop_gradient(widest)
        for logits in narrower:
            hard = _cross_entropy(targets, logits)
            loss += (1 - weight) * hard + weight * divergence(wanted, logits, temperature)
        return loss


#: Weight and temperature of what narrower levels learn from the widest where it has no teacher.
_IN_PLACE = (0.9, 2.0)


def _cross_entropy(targets: Any, logits: Any) -> Any:
    return tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(targets, logits))


def train_levels(
    recipe: Recipe,
    dense: TrainedModel,
    dataset: Dataset,
    features: FeatureFunction,
    progress: Progress,
) -> tuple[TrainedModel, ...]:
    """Train the levels that ``pruning.levels`` asks for, from the trained network.

    Channels are ranked once, by the recipe's criterion, so that each level has the best of the
    level before. The weights of the epoch with the lowest validation loss, summed over the levels,
    are kept.

    Args:
        recipe: what to build.
        dense: the trained network; it is not changed.
        dataset: clips and background noise.
        features: the front-end.
        progress: gets one task, advanced once an epoch.

    Returns:
        One network a level, the widest first. The kernel of each is a block of the widest's; its
        normalizations are its own.

    Raises:
        UnsupportedError: a layer through which channels can't be followed, by name.
        TrainingError: the loss is not finite any more, or a pattern of ``pruning.only`` or
            ``pruning.exclude`` matches no layer, or leaves none.
        DatasetError: the recipe asks for background noise that the data set lacks.
    """
    spec, normalization = recipe.pruning, dense.normalization
    clips = training_clips(recipe, dataset, features, normalization, mixup=recipe.pruning_mixup)
    first = recipe.training.epochs
    nested = nest(dense.network, nested_masks(dense.network, spec, recipe.seed, _epoch(clips, 0)))
    for level in nested.levels[1:]:
        reestimate(level, _epoch(clips, first))
    validation = normalization.apply(features(dataset.validation.pcm))
    labels = dataset.validation.labels
    joint, best = nested.joint(), BestWeights()
    teacher = (
        Distillation(dense.network, spec.distillation, spec.temperature)
        if spec.distillation
        else None
    )
    steps = max(1, spec.epochs * clips.steps)
    trainer = LevelTrainer(joint, rates(spec.learning_rate, "cosine", steps), teacher)
    histories: list[list[EpochRecord]] = [[] for _ in nested.levels]
    with (
        progress.task("train levels", spec.epochs, "epochs") as task,
        clips.epochs(first, spec.epochs) as epochs,
    ):
        for epoch, batches in enumerate(epochs, start=1):
            loss = trainer.run(batches)
            results = [evaluate(level, validation, labels) for level in nested.levels]
            best.offer(joint, sum(result.loss for result in results))
            for history, result, share in zip(histories, results, spec.levels, strict=True):
                history.append(EpochRecord(epoch, loss, result, 1 - share))
            task.advance()
    best.restore(joint)
    if spec.reestimate_batchnorm:
        for level in nested.levels:
            reestimate(level, _epoch(clips, first + spec.epochs))
    return tuple(
        _finished(nested, level, dense, dataset, features, validation, history)
        for level, history in enumerate(histories)
    )


def _finished(
    nested: NestedNetwork,
    level: int,
    dense: TrainedModel,
    dataset: Dataset,
    features: FeatureFunction,
    validation: NDArray[np.float32],
    history: Sequence[EpochRecord],
) -> TrainedModel:
    network = nested.plain(level)
    heard: Score = evaluate(network, validation, dataset.validation.labels)
    return TrainedModel(
        network=network,
        labels=dense.labels,
        normalization=dense.normalization,
        history=tuple(history),
        validation=heard,
        test=score(network, dataset.test, features, dense.normalization),
    )


def nested_masks(
    network: Any, spec: Pruning, seed: int, batches: Iterator[Batch]
) -> tuple[Mask, ...]:
    """Which channels each level has: the best by one ranking, so that they lie in each other.

    Args:
        network: a functional Keras model.
        spec: what the recipe says of pruning; it has levels.
        seed: the recipe's.
        batches: of training clips, for criteria that read gradients.

    Returns:
        bool [channels] a level, the widest first.
    """
    channels = map_channels(network)
    names = [kernel.layer for kernel in channels.kernels]
    structure = make_structure(spec, spared_layers(names, only=spec.only, exclude=spec.exclude))
    criterion = criteria(seed)[spec.scored_by]
    evidence = gather(
        network,
        structure.prunable(channels),
        criterion,
        by_channel=True,
        batches=islice(batches, spec.gradient_batches) if criterion.needs_gradients else (),
        movement={},
    )
    scores = {each.layer: comparable_scores(criterion, each, structure.pool) for each in evidence}
    kept: list[Mask] = []
    previous: Masks | None = None
    for share in spec.levels:
        if share == 1.0:
            kept.append(np.ones(channels.count, np.bool_))
            continue
        previous = structure.masks(channels, scores, 1 - share, previous)
        if previous.channels is not None:
            kept.append(previous.channels)
    return tuple(kept)


def _epoch(clips: TrainingClips, epoch: int) -> Iterator[Batch]:
    """The batches of an epoch, prepared when the first is asked for."""
    yield from clips.batches(epoch, clips.prepare(epoch))
