"""Quantization-aware fine-tuning: a float network learns to live with int8 and 4-bit weights."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeprune.datasets.dataset import Dataset
from edgeprune.errors import StoreError, TrainingError
from edgeprune.models.artifact import TrainedModel
from edgeprune.models.backend import keras
from edgeprune.models.batches import FeatureFunction
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
from edgeprune.pruning.exclusion import matching_layers
from edgeprune.quantization.converter import calibration_rows
from edgeprune.quantization.folding import WEIGHTED, fold
from edgeprune.quantization.network import fake_quantized_network, ranges_of, snapped_network
from edgeprune.quantization.ranges import Range, RangePlan, measure_ranges, plan_ranges
from edgeprune.recipe import Quantization, Recipe

__all__ = ["TunedModel", "tune"]

_SUMMARY = "quantization.json"


@dataclass(frozen=True, eq=False)
class TunedModel:
    """A network in fake int8, beside the float one that it came from.

    Attributes:
        model: the folded network with int8 values times scales for weights; its history and its
            scores are those of fake int8.
        ranges: layer name → lowest and highest value of what it gives.
        int4_layers: layers with weights of 4 bits, in the network's order.
        float_validation: accuracy on the validation split before, in float.
        float_test: the same on the test split.
    """

    model: TrainedModel
    ranges: dict[str, Range]
    int4_layers: tuple[str, ...]
    float_validation: Score
    float_test: Score

    def fake_quantized(self) -> Any:
        """The Keras network that computes in fake int8; gives logits."""
        folded = self.model.network
        return fake_quantized_network(folded, plan_ranges(folded), self.ranges, self.int4_layers)

    def summary(self) -> dict[str, Any]:
        """What ``quantization.json`` holds: ranges, 4-bit layers, float and fake int8 accuracy."""
        return {
            "int4_layers": list(self.int4_layers),
            "ranges": {name: list(limits) for name, limits in self.ranges.items()},
            "float": _side(self.float_validation, self.float_test),
            "int8": _side(self.model.validation, self.model.test),
        }

    def save(self, folder: Path) -> None:
        """Write the model and ``quantization.json`` into a folder."""
        self.model.save(folder)
        text = json.dumps(self.summary(), indent=1)
        (folder / _SUMMARY).write_text(text + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> TunedModel:
        """Read what :meth:`save` wrote.

        Raises:
            StoreError: a file is missing or damaged.
        """
        path = folder / _SUMMARY
        model = TrainedModel.load(folder)
        try:
            table = json.loads(path.read_text(encoding="utf-8"))
            return cls(
                model=model,
                ranges={name: (low, high) for name, (low, high) in table["ranges"].items()},
                int4_layers=tuple(table["int4_layers"]),
                float_validation=Score(**table["float"]["validation"]),
                float_test=Score(**table["float"]["test"]),
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise StoreError(f"is not a quantization summary: {error}", where=str(path)) from error


def _side(validation: Score, test: Score) -> dict[str, Any]:
    return {"validation": asdict(validation), "test": asdict(test)}


def tune(
    recipe: Recipe,
    model: TrainedModel,
    teacher: Any,
    dataset: Dataset,
    features: FeatureFunction,
    progress: Progress,
) -> TunedModel:
    """Fine-tune a network in fake int8, as the recipe says.

    Normalizations are folded, the ranges of the activations are read from training clips and then
    follow the batches, weights that are zero stay zero, and the weights of the epoch with the
    lowest validation loss in fake int8 are kept. Without epochs the weights are rounded and the
    ranges stay as they were read.

    Args:
        recipe: what to build.
        model: the float network, dense or pruned; it is not changed.
        teacher: the network whose scores are learned from; gives logits.
        dataset: clips and background noise.
        features: the front-end.
        progress: gets one task, advanced once an epoch.

    Raises:
        UnsupportedError: a layer that can't be folded or fake-quantized, by name.
        TrainingError: the loss is not finite any more, or a pattern of
            ``quantization.int4_layers`` matches no layer.
        DatasetError: the recipe asks for background noise that the data set lacks.
    """
    spec, normalization = recipe.quantization, model.normalization
    student = _Student(model.network, spec, _calibration(recipe, model, dataset, features))
    clips = training_clips(recipe, dataset, features, normalization, mixup=recipe.training.mixup)
    trainer = student.trainer(teacher, spec, max(1, spec.epochs * clips.steps))
    validation = normalization.apply(features(dataset.validation.pcm))
    best = BestWeights()
    history: list[EpochRecord] = []
    # Augmentations that the network has not heard yet.
    first = recipe.training.epochs + len(model.history)
    with (
        progress.task("fine-tune in int8", spec.epochs, "epochs") as task,
        clips.epochs(first, spec.epochs) as epochs,
    ):
        for epoch, batches in enumerate(epochs, start=1):
            loss = trainer.run(batches)
            result = evaluate(student.network, validation, dataset.validation.labels)
            best.offer(student.network, result.loss)
            history.append(EpochRecord(epoch, loss, result))
            task.advance()
    best.restore(student.network)
    return TunedModel(
        model=TrainedModel(
            network=snapped_network(student.folded, student.network, student.int4_layers),
            labels=model.labels,
            normalization=normalization,
            history=tuple(history),
            validation=evaluate(student.network, validation, dataset.validation.labels),
            test=score(student.network, dataset.test, features, normalization),
        ),
        ranges=ranges_of(student.network, student.plan),
        int4_layers=student.int4_layers,
        float_validation=model.validation,
        float_test=model.test,
    )


def _calibration(
    recipe: Recipe, model: TrainedModel, dataset: Dataset, features: FeatureFunction
) -> NDArray[np.float32]:
    """The training clips, not augmented, that a conversion without training calibrates on too."""
    wanted = recipe.quantization.calibration_clips
    rows = calibration_rows(len(dataset.train), wanted, seed=recipe.seed)
    if not len(rows):
        raise TrainingError("there are no training clips", hint="check the [data] of the recipe")
    return model.normalization.apply(features(dataset.train.pcm[rows]))


class _Student:
    """The network in fake int8, with what it was made from."""

    def __init__(self, network: Any, spec: Quantization, calibration: NDArray[np.float32]) -> None:
        self.folded = fold(network)
        self.plan: RangePlan = plan_ranges(self.folded)
        self.int4_layers = _int4_layers(self.folded, spec)
        ranges = measure_ranges(self.folded, self.plan, calibration)
        self.network = fake_quantized_network(self.folded, self.plan, ranges, self.int4_layers)

    def trainer(self, teacher: Any, spec: Quantization, steps: int) -> Trainer:
        """What trains it and keeps its zeros."""
        distillation = (
            Distillation(teacher, spec.distillation, spec.temperature)
            if spec.distillation
            else None
        )
        trainer = Trainer(
            self.network, rates(spec.learning_rate, "cosine", steps), distillation=distillation
        )
        kernels = [layer.kernel for layer in self.network.layers if isinstance(layer, WEIGHTED)]
        masks = {kernel.path: kernel.numpy() != 0 for kernel in kernels}
        trainer.set_masks({path: mask for path, mask in masks.items() if not mask.all()})
        return trainer


def _int4_layers(folded: Any, spec: Quantization) -> tuple[str, ...]:
    """The layers with weights of 4 bits, in the network's order."""
    if spec.weights == "int8":
        return ()
    weighted = [layer for layer in folded.layers if isinstance(layer, WEIGHTED)]
    if not spec.int4_layers:
        return tuple(layer.name for layer in weighted if _is_pointwise(layer))
    names: Sequence[str] = [layer.name for layer in weighted]
    chosen = matching_layers(
        spec.int4_layers, names, where="quantization.int4_layers", purpose="have 4-bit weights"
    )
    return tuple(name for name in names if name in chosen)


def _is_pointwise(layer: Any) -> bool:
    return type(layer) is keras.layers.Conv2D and layer.kernel_size == (1, 1)
