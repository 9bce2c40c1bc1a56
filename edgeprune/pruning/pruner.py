"""Pruning of a trained network: masks along a schedule, surgery, fine-tuning with distillation."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgeprune.datasets.dataset import Dataset
from edgeprune.errors import StoreError
from edgeprune.models.artifact import TrainedModel
from edgeprune.models.batches import FeatureFunction
from edgeprune.models.cost import Cost
from edgeprune.models.trainer import (
    BestWeights,
    Distillation,
    EpochRecord,
    Score,
    Trainer,
    evaluate,
    rates,
)
from edgeprune.models.training import score, training_clips
from edgeprune.progress import Progress
from edgeprune.pruning.criteria import CRITERIA, Criterion, Evidence
from edgeprune.pruning.exclusion import excluded_layers
from edgeprune.pruning.masks import Masks
from edgeprune.pruning.schedule import SCHEDULES
from edgeprune.pruning.structures import Structure, make_structure
from edgeprune.pruning.surgery import clone, map_channels, remove_channels
from edgeprune.recipe import Pruning, Recipe

__all__ = ["PrunedModel", "prune"]

_SUMMARY = "pruning.json"

#: The criterion of a structure when the recipe names none.
_DEFAULT_CRITERION = {"channel": "l1", "unstructured": "magnitude"}


@dataclass(frozen=True, eq=False)
class PrunedModel:
    """A pruned network beside the dense one that it came from.

    Attributes:
        model: the pruned network; its history is that of pruning and fine-tuning.
        structure: what was taken out: ``channel``, ``unstructured`` or ``none``.
        criterion: what it was chosen by; empty for ``none``.
        dense_cost: multiply-accumulates and parameters of the dense network.
        dense_validation: its float accuracy on the validation split.
        dense_test: the same on the test split.
    """

    model: TrainedModel
    structure: str
    criterion: str
    dense_cost: Cost
    dense_validation: Score
    dense_test: Score

    def summary(self) -> dict[str, Any]:
        """What ``pruning.json`` holds: structure, criterion, dense and pruned side by side."""
        return {
            "structure": self.structure,
            "criterion": self.criterion,
            "dense": _side(self.dense_cost, self.dense_validation, self.dense_test),
            "pruned": _side(self.model.cost, self.model.validation, self.model.test),
        }

    def save(self, folder: Path) -> None:
        """Write the model and ``pruning.json`` into a folder."""
        self.model.save(folder)
        text = json.dumps(self.summary(), indent=1)
        (folder / _SUMMARY).write_text(text + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> PrunedModel:
        """Read what :meth:`save` wrote.

        Raises:
            StoreError: a file is missing or damaged.
        """
        path = folder / _SUMMARY
        model = TrainedModel.load(folder)
        try:
            table = json.loads(path.read_text(encoding="utf-8"))
            dense = table["dense"]
            return cls(
                model=model,
                structure=table["structure"],
                criterion=table["criterion"],
                dense_cost=Cost.restore(dense["cost"]),
                dense_validation=Score(**dense["validation"]),
                dense_test=Score(**dense["test"]),
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StoreError(f"is not a pruning summary: {error}", where=str(path)) from error


def _side(cost: Cost, validation: Score, test: Score) -> dict[str, Any]:
    return {"cost": cost.table(), "validation": asdict(validation), "test": asdict(test)}


def prune(
    recipe: Recipe,
    dense: TrainedModel,
    dataset: Dataset,
    features: FeatureFunction,
    progress: Progress,
) -> PrunedModel:
    """Prune a trained network as the recipe says, and let it recover.

    Weights are zeroed along the schedule while the network trains on, learning from the labels and
    from the dense network's scores. When channels have reached their final sparsity, surgery takes
    them out, and the rest of the epochs train the smaller network. Of the epochs at the final
    sparsity, the weights with the lowest validation loss are kept.

    Args:
        recipe: what to build.
        dense: the trained network; it is not changed.
        dataset: clips and background noise.
        features: the front-end.
        progress: gets one task, advanced once an epoch.

    Raises:
        UnsupportedError: a layer through which channels can't be followed, by name.
        TrainingError: the loss is not finite any more, or a pattern of ``pruning.exclude`` matches
            no layer.
        DatasetError: the recipe asks for background noise that the data set lacks.
    """
    spec = recipe.pruning
    criterion = spec.criterion or _DEFAULT_CRITERION.get(spec.structure, "")
    model = dense
    if spec.structure != "none":
        model = _pruned(recipe, dense, CRITERIA[criterion], dataset, features, progress)
    return PrunedModel(
        model=model,
        structure=spec.structure,
        criterion=criterion,
        dense_cost=dense.cost,
        dense_validation=dense.validation,
        dense_test=dense.test,
    )


def _pruned(
    recipe: Recipe,
    dense: TrainedModel,
    criterion: Criterion,
    dataset: Dataset,
    features: FeatureFunction,
    progress: Progress,
) -> TrainedModel:
    spec = recipe.pruning
    normalization = dense.normalization
    mixup = recipe.training.mixup
    clips = training_clips(recipe, dataset, features, normalization, mixup=mixup)
    patient = _Patient(dense.network, spec, criterion, clips.steps)
    validation = normalization.apply(features(dataset.validation.pcm))
    best = BestWeights()
    history: list[EpochRecord] = []
    with (
        progress.task("prune", spec.epochs, "epochs") as task,
        clips.epochs(recipe.training.epochs, spec.epochs) as epochs,
    ):
        for epoch, batches in enumerate(epochs, start=1):
            sparsity = _sparsity(spec, epoch)
            patient.prune_to(sparsity)
            loss = patient.trainer.run(batches)
            result = evaluate(patient.network, validation, dataset.validation.labels)
            if sparsity == spec.sparsity:
                best.offer(patient.network, result.loss)
            history.append(EpochRecord(epoch, loss, result, sparsity))
            task.advance()
    patient.prune_to(spec.sparsity)
    best.restore(patient.network)
    return TrainedModel(
        network=patient.network,
        labels=dense.labels,
        normalization=normalization,
        history=tuple(history),
        validation=evaluate(patient.network, validation, dataset.validation.labels),
        test=score(patient.network, dataset.test, features, normalization),
    )


def _sparsity(spec: Pruning, epoch: int) -> float:
    """The sparsity during an epoch, counted from 1; the last epoch of the ramp has the final."""
    ramp = max(1, round(spec.epochs * spec.ramp_percent / 100))
    return SCHEDULES[spec.schedule].sparsity(epoch / ramp, spec.sparsity)


class _Patient:
    """The network under pruning, with what is needed to prune it further."""

    def __init__(self, dense: Any, spec: Pruning, criterion: Criterion, steps: int) -> None:
        self.network = clone(dense)
        self._final = spec.sparsity
        self._criterion = criterion
        self._channels = map_channels(self.network)
        names = [kernel.layer for kernel in self._channels.kernels]
        self._structure: Structure = make_structure(
            spec.structure,
            multiple=spec.channel_multiple,
            excluded=excluded_layers(spec.exclude, names),
        )
        self._masks: Masks | None = None
        self._done = False
        rate = rates(spec.learning_rate, "cosine", max(1, spec.epochs * steps))
        distillation = (
            Distillation(dense, spec.distillation, spec.temperature) if spec.distillation else None
        )
        self._trainer: Callable[[int], Trainer] = lambda step: Trainer(
            self.network, rate, first_step=step, distillation=distillation
        )
        self.trainer = self._trainer(0)

    def prune_to(self, sparsity: float) -> None:
        """Take out up to a share; at the final one, for good."""
        if self._done:
            return
        scores = {
            kernel.layer: self._criterion.scores(
                Evidence(kernel.layer, self.network.get_layer(kernel.layer).kernel.numpy())
            )
            for kernel in self._channels.kernels
        }
        self._masks = self._structure.masks(self._channels, scores, sparsity, self._masks)
        self.trainer.set_masks(self._masks.variables)
        if sparsity == self._final:
            self._done = True
            self._operate(self._masks)

    def _operate(self, masks: Masks) -> None:
        if masks.channels is None or masks.channels.all():
            return
        self.network = remove_channels(self.network, self._channels, masks.channels)
        self.trainer = self._trainer(self.trainer.step)
