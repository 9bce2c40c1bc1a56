"""Scans a recipe's layers, prices them on a target, and divides the sparsity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeprune import stages
from edgeprune.codegen import Options
from edgeprune.cores import CORES
from edgeprune.deliver import count_clip
from edgeprune.errors import DeclarationError
from edgeprune.firmware import Image
from edgeprune.graph import read_graph
from edgeprune.pipeline import Pipeline
from edgeprune.pruning.knapsack import least_loss
from edgeprune.pruning.scan import Heard, Scan
from edgeprune.sensitivity.costs import Costs, Resource, estimated_costs
from edgeprune.stages.building import model_graph
from edgeprune.stages.sensitivity import pruned_alone, pruned_once_heard
from edgeprune.store import Artifact

__all__ = ["NOTHING", "Division", "Examination", "Measured", "added_losses", "divide", "examine"]

#: How often the range of goals is halved where the savings of units overlap.
_HALVINGS = 20

#: Less than this share of a cost counts as nothing.
NOTHING = 1e-3


@dataclass(frozen=True)
class Measured:
    """A network on the target.

    Attributes:
        instructions: of one inference, counted.
        flash: bytes of the linked image.
    """

    instructions: int
    flash: int

    def of(self, resource: Resource) -> int:
        """One of the two."""
        return self.instructions if resource == "instructions" else self.flash


@dataclass(frozen=True)
class Division:
    """A sparsity for each unit, and the network that has them all, without fine-tuning.

    Attributes:
        shares: unit by unit.
        added_loss: the sum of what each unit adds to the validation loss when pruned alone.
        heard: the network on the validation split.
        measured: the network on the target.
    """

    shares: tuple[float, ...]
    added_loss: float
    heard: Heard
    measured: Measured


@dataclass(frozen=True)
class Examination:
    """What ``invoke prune --sensitivity`` finds.

    Attributes:
        by: what is to be saved.
        scan: losses.
        costs: on the target; choice 0 of a unit is the whole one, the others are the scan's.
        dense: the network that nothing was taken out of, on the target.
        counts_layers: whether layers were counted; where not, the kernels' formulas speak alone.
        uniform: the recipe's sparsity in every unit.
        chosen: saves at least as much, at the least sum of losses; None where there is nothing to
            save.
    """

    by: Resource
    scan: Scan
    costs: Costs
    dense: Measured
    counts_layers: bool
    uniform: Division
    chosen: Division | None


def examine(pipeline: Pipeline, by: Resource) -> Examination:
    """Find out which layers of a recipe's network to prune for a target.

    Args:
        pipeline: the recipe, the target, the store, and where to report.
        by: what is to be saved.

    Raises:
        DeclarationError: the recipe prunes nothing or divides the sparsity by itself, or the
            target has no image.
        EdgepruneError: a stage failed.
    """
    _check(pipeline)
    artifact = pipeline.sensitivity()
    scan = Scan.load(artifact.path)
    dense, counted = _measured(pipeline, artifact, "unpruned")
    with pipeline.progress.task("price each layer on the target"):
        costs = _costs(pipeline, artifact, scan, counted)
    losses = added_losses(scan)
    uniform = (1 + scan.sparsities.index(pipeline.recipe.pruning.sparsity),) * len(scan.units)
    chosen = divide(losses, costs, by, uniform)

    def division(name: str, choices: Sequence[int]) -> Division:
        shares = [(0.0, *scan.sparsities)[choice] for choice in choices]
        named = {unit.name: share for unit, share in zip(scan.units, shares, strict=True)}
        pruned = pipeline.pruned_once(name, named)
        return Division(
            shares=tuple(shares),
            added_loss=float(sum(losses[unit, choice] for unit, choice in enumerate(choices))),
            heard=pruned_once_heard(pruned),
            measured=_measured(pipeline, pruned, f"pruned {name}")[0],
        )

    return Examination(
        by=by,
        scan=scan,
        costs=costs,
        dense=dense,
        counts_layers=bool(counted),
        uniform=division("alike", uniform),
        chosen=division("by layer", chosen) if chosen else None,
    )


def added_losses(scan: Scan) -> NDArray[np.float64]:
    """What each choice of each unit adds to the dense loss, float64 [units, choices]."""
    rows = [[0.0, *(each.loss - scan.dense.loss for each in row)] for row in scan.alone]
    return np.array(rows)


def divide(
    losses: NDArray[np.float64], costs: Costs, by: Resource, uniform: Sequence[int]
) -> tuple[int, ...] | None:
    """The choices that save as much as uniform ones at the least sum of losses.

    Units in which the uniform choice saves nothing, or costs something, are not held against it:
    what is to be reached is its saving in the others.

    Savings are added up where each layer belongs to one unit, and the answer is that of
    :func:`least_loss`. The savings of joined channels overlap: there the least goal of the sum is
    searched whose answer saves enough of the product (:class:`Costs`), and the answer is a good one
    rather than the best.

    Args:
        losses: what each choice adds, float64 [units, choices].
        costs: the same units and choices.
        by: what is to be saved.
        uniform: the choices to save as much as.

    Returns:
        None where the uniform choices save nothing.
    """
    alone = costs.saved_alone(by)
    least = NOTHING * costs.dense[by].sum()
    best = tuple(
        choice if alone[unit, choice] > least else 0 for unit, choice in enumerate(uniform)
    )
    if not any(best):
        return None
    goal = wanted = costs.saved(by, best)
    low, high = 0.0, float(alone.max(axis=1).sum())
    for _ in range(_HALVINGS):
        found = least_loss(losses, alone, goal)
        if found is not None and costs.saved(by, found) >= wanted * (1 - 1e-9):
            high = goal
            if _sum(losses, found) < _sum(losses, best):
                best = found
        else:
            low = goal
        goal = (low + high) / 2
    return best


def _sum(losses: NDArray[np.float64], choices: Sequence[int]) -> float:
    return float(sum(losses[unit, choice] for unit, choice in enumerate(choices)))


def _check(pipeline: Pipeline) -> None:
    spec = pipeline.recipe.pruning
    if spec.structure == "none" or not spec.sparsity:
        raise DeclarationError(
            "the recipe takes nothing out",
            where="pruning.structure" if spec.structure == "none" else "pruning.sparsity",
            hint="--set pruning.structure=unstructured --set pruning.sparsity=0.8",
        )
    if spec.allocation == "global":
        raise DeclarationError(
            "allocation = 'global' divides the sparsity among layers by itself",
            where="pruning.allocation",
            hint="--set pruning.allocation=layer",
        )
    if spec.levels:
        raise DeclarationError(
            "levels take the same share of every layer",
            where="pruning.levels",
            hint="--set pruning.levels=[]",
        )
    if pipeline.target.device in ("host", "ssh"):
        raise DeclarationError(
            "no instructions are counted and no image is linked there",
            where=f"target {pipeline.target.name}",
            hint="--target cortex-m4",
        )


def _costs(pipeline: Pipeline, artifact: Artifact, scan: Scan, counted: Mapping[int, int]) -> Costs:
    graphs = [
        [
            read_graph(artifact.path / pruned_alone(unit, sparsity))
            for sparsity in range(len(scan.sparsities))
        ]
        for unit in range(len(scan.units))
    ]
    target = pipeline.target
    options = Options(objective=target.optimize)
    return estimated_costs(model_graph(artifact), graphs, CORES[target.core], options, counted)


def _measured(pipeline: Pipeline, model: Artifact, name: str) -> tuple[Measured, dict[int, int]]:
    """A network on the target; and instructions by the tensor that a layer writes."""
    program = pipeline.once(
        f"program {name}",
        lambda: stages.program(pipeline.recipe, pipeline.target, model, pipeline.features(), name),
    )
    linked = pipeline.once(
        f"image {name}",
        lambda: stages.image(
            pipeline.target, program, pipeline.toolchain(), name, pipeline.progress
        ),
    )
    image = Image.load(linked.path)
    inference = count_clip(pipeline.target, image).inference
    tensors = {layer.index: layer.tensor for layer in image.manifest.layers}
    counted = {
        tensors[cost.index]: cost.instructions
        for cost in inference.layers
        if cost.instructions is not None
    }
    return Measured(inference.work.instructions, image.sizes.flash), counted
