"""What ``invoke prune --sensitivity`` takes and writes: options, JSON, a recipe."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Collection
from pathlib import Path
from typing import Any, cast, get_args

from edgeprune.errors import DeclarationError
from edgeprune.recipe import Recipe
from edgeprune.sensitivity.costs import Resource
from edgeprune.sensitivity.examination import Division, Examination

__all__ = [
    "check_written",
    "examination_files",
    "examination_json",
    "known_resource",
    "layers_table",
    "written_recipe",
]


def known_resource(name: str) -> Resource:
    """The resource of a name.

    Raises:
        DeclarationError: there is none.
    """
    if name not in get_args(Resource):
        raise DeclarationError(
            f"{name!r} can't be saved by layer",
            where="--by",
            hint=f"one of: {', '.join(get_args(Resource))}",
        )
    return cast("Resource", name)


def check_written(write: str | None, settings: Collection[str]) -> None:
    """Refuse to write a recipe that would not be the one that was looked at.

    Args:
        write: the file to write, if any.
        settings: overrides of the recipe and the target.

    Raises:
        DeclarationError: a key of the recipe is overridden.
    """
    of_recipe = [each for each in settings if not each.startswith("target.")]
    if write and of_recipe:
        raise DeclarationError(
            f"the file would lack what --set {of_recipe[0]} says",
            where="--write",
            hint="set the key in a recipe of your own, and give that with --recipe",
        )


def examination_files(
    examination: Examination,
    source: Path,
    recipe: Recipe,
    *,
    json: str | None = None,
    write: str | None = None,
) -> dict[Path, bytes]:
    """What is to be written where.

    Args:
        examination: of the recipe.
        source: the recipe's file.
        recipe: what it holds.
        json: file of everything that was found.
        write: file of the recipe with a sparsity for each layer.

    Raises:
        DeclarationError: there is no such recipe, see :func:`written_recipe`.
    """
    files: dict[Path, bytes] = {}
    if json:
        files[Path(json)] = examination_json(examination).encode()
    if write:
        files[Path(write)] = written_recipe(source, recipe, examination).encode()
    return files


def examination_json(examination: Examination) -> str:
    """Everything that was found, as JSON."""
    return json.dumps(_record(examination), indent=1) + "\n"


def layers_table(examination: Examination) -> str:
    """``[pruning.layers]`` of the chosen sparsities in TOML; empty where nothing was chosen."""
    if examination.chosen is None:
        return ""
    lines = ["[pruning.layers]"]
    for unit, share in zip(examination.scan.units, examination.chosen.shares, strict=True):
        joined = "  # and " + ", ".join(unit.layers[1:]) if unit.layers[1:] else ""
        bare = re.fullmatch(r"[A-Za-z0-9_-]+", unit.name)
        lines.append(f"{unit.name if bare else json.dumps(unit.name)} = {share!r}{joined}")
    return "\n".join(lines) + "\n"


def written_recipe(source: Path, recipe: Recipe, examination: Examination) -> str:
    """The text of a recipe's file with the chosen sparsities at its end.

    Args:
        source: the file.
        recipe: what it holds.
        examination: of this recipe.

    Raises:
        DeclarationError: nothing was chosen, the recipe has sparsities by layer already, or its
            structure takes none.
    """
    if examination.chosen is None:
        raise DeclarationError(
            f"these zeros save nothing of {examination.by}, so there is no recipe to write",
            where="--write",
            hint="another pruning.structure, or --by for the other resource",
        )
    if recipe.pruning.structure == "n:m":
        raise DeclarationError(
            "N:M has one sparsity for all layers",
            where="--write",
            hint="write the layers to leave alone into pruning.exclude",
        )
    text = source.read_text(encoding="utf-8")
    if "layers" in tomllib.loads(text).get("pruning", {}):
        raise DeclarationError(
            "has pruning.layers already",
            where=str(source),
            hint="leave --write out, and replace them by the lines that are printed",
        )
    return text.rstrip("\n") + "\n\n" + layers_table(examination)


def _record(examination: Examination) -> dict[str, Any]:
    scan, costs = examination.scan, examination.costs
    instructions = costs.saved_alone("instructions")
    flash = costs.saved_alone("flash")
    return {
        "by": examination.by,
        "validation_clips": scan.clips,
        "dense": {
            "loss": scan.dense.loss,
            "accuracy": scan.dense.accuracy,
            "instructions": examination.dense.instructions,
            "flash_bytes": examination.dense.flash,
        },
        "layers_counted": examination.counts_layers,
        "layers": [
            {
                "layers": list(unit.layers),
                "weights": unit.weights,
                "pruned_alone": [
                    {
                        "sparsity": sparsity,
                        "loss": heard.loss,
                        "accuracy": heard.accuracy,
                        "instructions_saved": round(float(instructions[place, choice])),
                        "flash_bytes_saved": round(float(flash[place, choice])),
                    }
                    for choice, (sparsity, heard) in enumerate(
                        zip(scan.sparsities, scan.alone[place], strict=True), start=1
                    )
                ],
            }
            for place, unit in enumerate(scan.units)
        ],
        "uniform": _division(examination, examination.uniform),
        "chosen": _division(examination, examination.chosen) if examination.chosen else None,
    }


def _division(examination: Examination, division: Division) -> dict[str, Any]:
    names = [unit.name for unit in examination.scan.units]
    return {
        "sparsity": dict(zip(names, division.shares, strict=True)),
        "sum_of_added_losses": division.added_loss,
        "loss": division.heard.loss,
        "accuracy": division.heard.accuracy,
        "instructions": division.measured.instructions,
        "flash_bytes": division.measured.flash,
    }
