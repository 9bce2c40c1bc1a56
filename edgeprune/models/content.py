"""What a recipe's ``[model]`` and its teacher stand for: options, and content of named files."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from edgeprune.datasets.digest import Memo, file_digest, files_digest
from edgeprune.errors import ModelError
from edgeprune.models.files import model_file
from edgeprune.progress import Progress
from edgeprune.recipe import KerasNetwork, MlperfKws, Model, Training

__all__ = ["model_content", "teacher_content"]


def model_content(model: Model, *, memo: Path, progress: Progress) -> dict[str, Any]:
    """The options of a network, JSON types only, that change when its content does.

    The path of a file is replaced by the SHA-256 of its bytes. Beside an entry point stands the
    SHA-256 of its source: of the module, or of all Python files of the package that it lies in.

    Args:
        model: the recipe's ``model``.
        memo: a JSON file in which digests are remembered.
        progress: is told of what is read.

    Raises:
        ModelError: a file or a module is missing.
        DatasetError: one can't be read.
    """
    table = model.model_dump(mode="json")
    known = Memo(memo)
    match model:
        case MlperfKws(weights=str(path)):
            table["weights"] = file_digest(model_file(path, "model.weights"), known, progress)
        case KerasNetwork(file=str(path)):
            table["file"] = file_digest(model_file(path, "model.file"), known, progress)
        case KerasNetwork(entry=str(entry)):
            table["source"] = _source_digest(entry.partition(":")[0], known, progress)
    return table


def teacher_content(training: Training, *, memo: Path, progress: Progress) -> str | None:
    """The SHA-256 of the file of ``training.teacher``; None without a teacher.

    Args:
        training: the recipe's ``training``.
        memo: a JSON file in which digests are remembered.
        progress: is told of what is read.

    Raises:
        ModelError: the file is missing.
        DatasetError: it can't be read.
    """
    if training.teacher is None:
        return None
    path = model_file(training.teacher, "training.teacher")
    return file_digest(path, Memo(memo), progress)


def _source_digest(module: str, memo: Memo, progress: Progress) -> str:
    package = module.partition(".")[0]
    spec = find_spec(package)
    if spec is None or (spec.origin is None and not spec.submodule_search_locations):
        raise ModelError(
            f"there is no Python package {package}",
            where=f"model.entry: {module}",
            hint="run invoke in the folder that holds it, or install it with pip",
        )
    roots = [Path(folder) for folder in spec.submodule_search_locations or ()]
    if not roots:
        return file_digest(Path(str(spec.origin)), memo, progress)
    digests = [
        files_digest(
            root, [str(path.relative_to(root)) for path in root.rglob("*.py")], memo, progress
        )
        for root in roots
    ]
    return " ".join(digests)
