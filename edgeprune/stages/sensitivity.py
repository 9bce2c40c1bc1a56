"""What pruning layers alone, in one shot, does to a trained network."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeprune.datasets.dataset import Dataset
from edgeprune.progress import Progress
from edgeprune.pruning.scan import Heard, Scan, scanned_sparsities
from edgeprune.recipe import Recipe
from edgeprune.stages.building import MODEL
from edgeprune.stages.learning import frontend_library
from edgeprune.store import Artifact, Stage

if TYPE_CHECKING:
    from edgeprune.pruning.sensitivity import OneShot, PrunedOnce

__all__ = ["pruned_alone", "pruned_once", "pruned_once_heard", "sensitivity"]

_HEARD = "heard.json"

#: Clips to calibrate on: ranges hardly matter to what a network costs.
_CALIBRATION_CLIPS = 8

_CODE = (
    "models",
    "pruning",
    "quantization",
    "datasets/augmentation.py",
    "frontend/c",
    "frontend/library.py",
    "stages/sensitivity.py",
)

#: Of ``[pruning]``: what one-shot pruning reads.
_READ = (
    "structure",
    "criterion",
    "channel_multiple",
    "block",
    "pattern",
    "only",
    "exclude",
    "gradient_batches",
)


def sensitivity(
    recipe: Recipe,
    clips: Artifact,
    features: Artifact,
    trained: Artifact,
    cache: Path,
    progress: Progress,
) -> Stage:
    """The validation loss with each layer pruned alone, and the int8 model of each such network.

    The artifact has :class:`Scan` in ``sensitivity.json``, the dense network in ``model.tflite``,
    and one file for each unit and sparsity (:func:`pruned_alone`).
    """
    sparsities = scanned_sparsities(recipe.pruning)

    def run(folder: Path) -> None:
        with progress.task("read the network's layers"):
            one_shot = _one_shot(recipe, clips, trained, cache)
            convert = _converter(features, trained)
        rows = []
        total = 1 + len(one_shot.units) * len(sparsities)
        with progress.task("prune each layer alone", total, "networks") as task:
            dense = one_shot.prune({})
            (folder / MODEL).write_bytes(convert(dense))
            task.advance()
            for place, unit in enumerate(one_shot.units):
                row = []
                for column, sparsity in enumerate(sparsities):
                    pruned = one_shot.prune({unit.name: sparsity})
                    (folder / pruned_alone(place, column)).write_bytes(convert(pruned))
                    row.append(_heard(pruned))
                    task.advance()
                rows.append(tuple(row))
        clips_heard = dense.validation.clips
        Scan(one_shot.units, sparsities, clips_heard, _heard(dense), tuple(rows)).save(folder)

    return Stage(
        name="sensitivity",
        reads={**_reads(recipe), "sparsities": list(sparsities)},
        upstream={"clips": clips, "features": features, "trained": trained},
        code=_CODE,
        run=run,
        slot=recipe.name,
    )


def pruned_once(
    recipe: Recipe,
    clips: Artifact,
    features: Artifact,
    trained: Artifact,
    shares: Mapping[str, float],
    name: str,
    cache: Path,
    progress: Progress,
) -> Stage:
    """The int8 model of a network of which each unit has lost its share, all at once.

    Args:
        recipe: what to build.
        clips: of every split.
        features: of every clip.
        trained: the dense network.
        shares: name of a unit → its share.
        name: what the shares are called.
        cache: where compiled libraries are kept.
        progress: where long work reports to.
    """

    def run(folder: Path) -> None:
        with progress.task(f"prune every layer, {name}"):
            pruned = _one_shot(recipe, clips, trained, cache).prune(shares)
            (folder / MODEL).write_bytes(_converter(features, trained)(pruned))
        text = json.dumps(asdict(_heard(pruned)), indent=1)
        (folder / _HEARD).write_text(text + "\n", encoding="utf-8")

    return Stage(
        name="pruned-once",
        reads={**_reads(recipe), "shares": dict(shares)},
        upstream={"clips": clips, "features": features, "trained": trained},
        code=_CODE,
        run=run,
        slot=f"{recipe.name} {name}",
    )


def pruned_once_heard(artifact: Artifact) -> Heard:
    """How the network of :func:`pruned_once` does on the validation split."""
    return Heard(**artifact.json(_HEARD))


def pruned_alone(unit: int, sparsity: int) -> str:
    """The file name of an int8 model of ``sensitivity``.

    Args:
        unit: its place in the scan.
        sparsity: the same.
    """
    return f"unit{unit}-sparsity{sparsity}.tflite"


def _one_shot(recipe: Recipe, clips: Artifact, trained: Artifact, cache: Path) -> OneShot:
    from edgeprune.models.artifact import TrainedModel
    from edgeprune.pruning.sensitivity import OneShot

    return OneShot(
        recipe,
        TrainedModel.load(trained.path),
        Dataset.load(clips.path),
        frontend_library(recipe, cache).features,
    )


def _converter(features: Artifact, trained: Artifact) -> Any:
    """Pruned network → bytes of an int8 model."""
    import numpy as np

    from edgeprune.models.normalization import Normalization
    from edgeprune.quantization.converter import quantize

    computed = np.load(features.path / "train.npy", mmap_mode="r")[:_CALIBRATION_CLIPS]
    inputs = Normalization.load(trained.path / "normalization.json").apply(computed)
    return lambda pruned: quantize(pruned.network, inputs)


def _heard(pruned: PrunedOnce) -> Heard:
    return Heard(pruned.validation.loss, pruned.validation.accuracy)


def _reads(recipe: Recipe) -> dict[str, object]:
    pruning = recipe.pruning.model_dump(mode="json")
    training = recipe.training.model_dump(mode="json")
    return {
        "pruning": {key: pruning[key] for key in _READ} | {"mixup": recipe.pruning_mixup},
        "training": {key: training[key] for key in ("epochs", "batch", "label_smoothing")},
        "augmentation": recipe.augmentation.model_dump(mode="json"),
        "seed": recipe.seed,
    }
