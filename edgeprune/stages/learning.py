"""From a recipe to an int8 model: clips, features, training, pruning, quantization."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgeprune.datasets import source_fingerprint
from edgeprune.datasets.dataset import Dataset
from edgeprune.frontend import FrontendLibrary, fraction_bits
from edgeprune.models.content import model_content, teacher_content
from edgeprune.models.normalization import Normalization
from edgeprune.progress import Progress
from edgeprune.recipe import Recipe, fixed_normalization
from edgeprune.stages.building import level_file
from edgeprune.store import Artifact, Stage
from edgeprune.toolchain import find_toolchain

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["clips", "features", "frontend_library", "pruned", "quantized", "trained", "tuned"]

#: Digests of sources, so that an unchanged one is not read again.
_MEMO = "sources.json"

#: What these stages do themselves is part of their artifacts' keys.
_HERE = "stages/learning.py"

_TRAINING_CODE = ("models", "datasets/augmentation.py", "frontend/c", "frontend/library.py", _HERE)


def clips(recipe: Recipe, cache: Path, progress: Progress) -> Stage:
    """Clips of every split."""
    frontend = recipe.frontend

    def run(folder: Path) -> None:
        from edgeprune import datasets

        datasets.make(
            recipe.data,
            sample_rate_hz=frontend.sample_rate_hz,
            clip_samples=frontend.clip_samples,
            seed=recipe.seed,
            progress=progress,
            memo=cache / _MEMO,
        ).save(folder)

    return Stage(
        name="clips",
        reads={
            "data": recipe.data.model_dump(mode="json"),
            "seed": recipe.seed,
            "frontend": {
                "sample_rate_hz": frontend.sample_rate_hz,
                "clip_samples": frontend.clip_samples,
            },
            "source": source_fingerprint(recipe.data, memo=cache / _MEMO, progress=progress),
        },
        upstream={},
        code=("datasets", _HERE),
        run=run,
        slot=recipe.name,
    )


def features(recipe: Recipe, clips: Artifact, cache: Path, progress: Progress) -> Stage:
    """Features of every clip, not augmented, and the normalization of the network's input."""

    def run(folder: Path) -> None:
        import numpy as np

        library = frontend_library(recipe, cache)
        dataset = Dataset.load(clips.path)
        total = sum(len(split) for split in dataset.splits.values())
        with progress.task("compute features", total=total, unit="clips") as task:
            for name, split in dataset.splits.items():
                computed = library.features(split.pcm)
                np.save(folder / f"{name}.npy", computed)
                task.advance(len(split))
                if name == "train":
                    _normalization(recipe, computed).save(folder / "normalization.json")

    fixed = fixed_normalization(recipe.model)
    return Stage(
        name="features",
        reads={"frontend": recipe.frontend.model_dump(mode="json")}
        | ({"normalization": [list(values) for values in fixed]} if fixed else {}),
        upstream={"clips": clips},
        code=("frontend", "models/normalization.py", "datasets/dataset.py", _HERE),
        run=run,
        slot=recipe.name,
    )


def trained(
    recipe: Recipe, clips: Artifact, features: Artifact, cache: Path, progress: Progress
) -> Stage:
    """The dense network."""

    def run(folder: Path) -> None:
        from edgeprune.models.training import train

        train(
            recipe,
            Dataset.load(clips.path),
            features=frontend_library(recipe, cache).features,
            normalization=Normalization.load(features.path / "normalization.json"),
            progress=progress,
        ).save(folder)

    return Stage(
        name="trained",
        reads={
            **_declared(recipe, "training", "augmentation", "seed"),
            "model": model_content(recipe.model, memo=cache / _MEMO, progress=progress),
            "teacher": teacher_content(recipe.training, memo=cache / _MEMO, progress=progress),
        },
        upstream={"clips": clips, "features": features},
        code=_TRAINING_CODE,
        run=run,
        slot=recipe.name,
    )


def pruned(
    recipe: Recipe,
    clips: Artifact,
    features: Artifact,
    trained: Artifact,
    cache: Path,
    progress: Progress,
) -> Stage:
    """The pruned network, recovered."""

    def run(folder: Path) -> None:
        from edgeprune.models.artifact import TrainedModel
        from edgeprune.pruning.pruner import prune

        prune(
            recipe,
            TrainedModel.load(trained.path),
            Dataset.load(clips.path),
            features=frontend_library(recipe, cache).features,
            progress=progress,
        ).save(folder)

    return Stage(
        name="pruned",
        reads=_declared(recipe, "pruning", "training", "augmentation", "seed"),
        upstream={"clips": clips, "features": features, "trained": trained},
        code=(*_TRAINING_CODE, "pruning", "quantization/replay.py"),
        run=run,
        slot=recipe.name,
    )


def tuned(
    recipe: Recipe,
    clips: Artifact,
    features: Artifact,
    network: Artifact,
    teacher: Artifact,
    variant: str,
    cache: Path,
    progress: Progress,
) -> Stage:
    """A trained or pruned network, fine-tuned in fake int8 with the dense one as its teacher."""

    def run(folder: Path) -> None:
        from edgeprune.models.artifact import TrainedModel, load_network
        from edgeprune.quantization.tuner import tune

        tune(
            recipe,
            TrainedModel.load(network.path),
            load_network(teacher.path),
            Dataset.load(clips.path),
            features=frontend_library(recipe, cache).features,
            progress=progress,
        ).save(folder)

    return Stage(
        name="tuned",
        reads=_declared(recipe, "quantization", "training", "augmentation", "seed"),
        upstream={"clips": clips, "features": features, "network": network, "teacher": teacher},
        code=(*_TRAINING_CODE, "pruning/exclusion.py", "quantization"),
        run=run,
        slot=f"{recipe.name} {variant}",
    )


def quantized(
    recipe: Recipe, network: Artifact, features: Artifact, variant: str, progress: Progress
) -> Stage:
    """The int8 model of a trained or pruned network, calibrated, or of one that is tuned.

    Each further level of a network with levels is a file beside it.
    """

    def calibrated() -> tuple[bytes, ...]:
        import numpy as np

        from edgeprune.models.artifact import TrainedModel, load_levels
        from edgeprune.quantization.converter import calibration_rows, quantize
        from edgeprune.quantization.levels import quantize_levels

        model = TrainedModel.load(network.path)
        computed: NDArray[np.int16] = np.load(features.path / "train.npy", mmap_mode="r")
        rows = calibration_rows(
            len(computed), recipe.quantization.calibration_clips, seed=recipe.seed
        )
        inputs = model.normalization.apply(computed[rows])
        levels = load_levels(network.path)
        if levels:
            return quantize_levels([model.network, *(each.network for each in levels)], inputs)
        return (quantize(model.network, inputs),)

    def as_tuned() -> tuple[bytes, ...]:
        from edgeprune.quantization.converter import quantize_aware
        from edgeprune.quantization.tuner import TunedModel

        return (quantize_aware(TunedModel.load(network.path).fake_quantized()),)

    aware = recipe.quantization.aware

    def run(folder: Path) -> None:
        with progress.task(f"quantize the {variant} network"):
            contents = as_tuned() if aware else calibrated()
        for level, content in enumerate(contents):
            (folder / level_file(level)).write_bytes(content)

    clips = recipe.quantization.calibration_clips
    # What a tuned network was tuned by is in its own key.
    calibration = {"quantization": {"calibration_clips": clips}, "seed": recipe.seed}
    return Stage(
        name="quantized",
        reads={} if aware else calibration,
        upstream={"network": network, "features": features},
        code=("quantization", "models", _HERE),
        run=run,
        slot=f"{recipe.name} {variant}",
    )


def frontend_library(recipe: Recipe, cache: Path) -> FrontendLibrary:
    """The recipe's front-end on this machine, built by the default compiler."""
    return FrontendLibrary.build(recipe.frontend, find_toolchain("zig"), cache / "libraries")


def _normalization(recipe: Recipe, training: NDArray[np.int16]) -> Normalization:
    """What the recipe fixes, or else what the training clips' features measure."""
    bits = fraction_bits(recipe.frontend)
    fixed = fixed_normalization(recipe.model)
    if fixed is None:
        return Normalization.measure(training, bits)
    return Normalization.fixed(*fixed, features=recipe.frontend.features, fraction_bits=bits)


def _declared(recipe: Recipe, *names: str) -> dict[str, object]:
    table = recipe.model_dump(mode="json")
    return {name: table[name] for name in names}
