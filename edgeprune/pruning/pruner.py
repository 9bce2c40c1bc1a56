"""Pruning of a network: masks along a schedule, surgery, fine-tuning with distillation."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

from edgeprune.datasets.dataset import Dataset
from edgeprune.errors import StoreError
from edgeprune.models.artifact import TrainedModel, load_levels, save_levels
from edgeprune.models.batches import Batch, FeatureFunction, TrainingClips
from edgeprune.models.cost import Cost
from edgeprune.models.trainer import BestWeights, EpochRecord, Score, evaluate
from edgeprune.models.training import score, training_clips
from edgeprune.progress import Progress
from edgeprune.pruning.batchnorm import reestimate
from edgeprune.pruning.levels import train_levels
from edgeprune.pruning.patient import Patient
from edgeprune.pruning.plan import Plan
from edgeprune.pruning.surgery import clone, fresh
from edgeprune.recipe import Recipe

__all__ = ["PrunedModel", "prune"]

_SUMMARY = "pruning.json"


@dataclass(frozen=True, eq=False)
class PrunedModel:
    """A pruned network beside the dense one that it came from.

    Attributes:
        model: the pruned network; its history is that of pruning and fine-tuning.
        structure: what was taken out, as recipes write it; ``none`` for nothing.
        criterion: what it was chosen by; empty for ``none``.
        dense_cost: multiply-accumulates and parameters of the dense network.
        dense_validation: its float accuracy on the validation split.
        dense_test: the same on the test split.
        levels: the operating points below ``model``, which is the full network then; empty where
            the recipe asks for none.
    """

    model: TrainedModel
    structure: str
    criterion: str
    dense_cost: Cost
    dense_validation: Score
    dense_test: Score
    levels: tuple[TrainedModel, ...] = ()

    def summary(self) -> dict[str, Any]:
        """What ``pruning.json`` holds: structure, criterion, dense and pruned side by side."""
        table: dict[str, Any] = {
            "structure": self.structure,
            "criterion": self.criterion,
            "dense": _side(self.dense_cost, self.dense_validation, self.dense_test),
            "pruned": _side(self.model.cost, self.model.validation, self.model.test),
        }
        if self.levels:
            table["levels"] = [_side(each.cost, each.validation, each.test) for each in self.levels]
        return table

    def save(self, folder: Path) -> None:
        """Write the model, its further levels and ``pruning.json`` into a folder."""
        self.model.save(folder)
        save_levels(self.levels, folder)
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
                levels=load_levels(folder),
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
    """Prune a network as the recipe says, and let it recover.

    The network is the trained one, or one with its layers and random weights. What is taken out is
    zeroed along the schedule while it trains on, learning from the labels and from the trained
    network's scores. When channels have reached their final sparsity, surgery takes them out, and
    the rest of the epochs train the smaller network. Of the epochs at the final sparsity, the
    weights with the lowest validation loss are kept.

    With levels nothing is taken out: the network learns to work with fewer of its channels, see
    :func:`edgeprune.pruning.levels.train_levels`.

    A sparsity of 0 takes nothing out and trains all the same: the dense control.

    Args:
        recipe: what to build.
        dense: the trained network; it is not changed.
        dataset: clips and background noise.
        features: the front-end.
        progress: gets one task, advanced once an epoch.

    Raises:
        UnsupportedError: a layer through which channels can't be followed, or which the criterion
            can't score, by name.
        TrainingError: the loss is not finite any more, a pattern of ``pruning.only``,
            ``pruning.exclude`` or ``pruning.layers`` matches no layer, no layer is left to prune,
            or ``layers`` contradicts itself.
        DatasetError: the recipe asks for background noise that the data set lacks.
    """
    spec = recipe.pruning
    levels: tuple[TrainedModel, ...] = ()
    if spec.structure == "none":
        model = dense
    elif spec.levels:
        model, *narrower = train_levels(recipe, dense, dataset, features, progress)
        levels = tuple(narrower)
    else:
        model = _pruned(recipe, dense, dataset, features, progress)
    return PrunedModel(
        model=model,
        structure=spec.structure,
        criterion=spec.scored_by,
        dense_cost=dense.cost,
        dense_validation=dense.validation,
        dense_test=dense.test,
        levels=levels,
    )


def _pruned(
    recipe: Recipe,
    dense: TrainedModel,
    dataset: Dataset,
    features: FeatureFunction,
    progress: Progress,
) -> TrainedModel:
    spec, plan = recipe.pruning, Plan(recipe.pruning)
    normalization = dense.normalization
    mixup = recipe.pruning_mixup
    clips = training_clips(recipe, dataset, features, normalization, mixup=mixup)
    validation = normalization.apply(features(dataset.validation.pcm))
    scratch = spec.start == "scratch"
    patient = Patient(
        fresh(dense.network, recipe.seed) if scratch else clone(dense.network),
        spec,
        teacher=dense.network,
        phase=plan.phases[1],
        steps=clips.steps,
        seed=recipe.seed,
    )
    best = BestWeights()
    history: list[EpochRecord] = []
    # Other draws of the augmentation than the trained network has heard.
    first, last = recipe.training.epochs, recipe.training.epochs + spec.epochs
    with (
        progress.task("prune", spec.epochs, "epochs") as task,
        clips.epochs(first, spec.epochs) as epochs,
    ):
        for epoch, opened in enumerate(epochs, start=1):
            sparsity = plan.sparsity(epoch)
            batches = _begin(patient, plan, epoch, opened)
            loss = patient.trainer.run(batches)
            result = evaluate(patient.network, validation, dataset.validation.labels)
            if sparsity == spec.sparsity:
                best.offer(patient.network, result.loss)
            history.append(EpochRecord(epoch, loss, result, sparsity))
            task.advance()
    patient.prune_to(spec.sparsity, islice(_epoch(clips, last), patient.batches_read))
    patient.operate()
    best.restore(patient.network)
    if spec.reestimate_batchnorm:
        reestimate(patient.network, _epoch(clips, last))
    return TrainedModel(
        network=patient.network,
        labels=dense.labels,
        normalization=normalization,
        history=tuple(history),
        validation=evaluate(patient.network, validation, dataset.validation.labels),
        test=score(patient.network, dataset.test, features, normalization),
    )


def _begin(patient: Patient, plan: Plan, epoch: int, batches: Iterator[Batch]) -> Iterable[Batch]:
    """Do what the plan has at the beginning of an epoch; gives the batches to train on.

    Criteria that read gradients read the first of these batches, which are trained on all the same.
    """
    if epoch == plan.snapshot_before:
        patient.remember()
    read = list(islice(batches, patient.batches_read))
    patient.prune_to(plan.sparsity(epoch), read)
    if epoch > 1 and epoch in plan.phases:
        patient.enter(plan.phases[epoch])
    patient.operate()
    return chain(read, batches)


def _epoch(clips: TrainingClips, epoch: int) -> Iterator[Batch]:
    """The batches of an epoch, prepared when the first is asked for."""
    yield from clips.batches(epoch, clips.prepare(epoch))
