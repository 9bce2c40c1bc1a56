"""The networks of a truth table: sparse ones, and the rivals that they must beat."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import ValidationError

from edgeprune.errors import DeclarationError
from edgeprune.payoff.grid import Grid, Shape
from edgeprune.payoff.narrower import WidthCosts, narrowed
from edgeprune.recipe import KerasNetwork, Recipe, starts_trained

__all__ = ["Plan", "Point", "Role", "make_plan", "variant"]

#: ``dense`` is the network as it was trained, ``control`` the same after the recovery that every
#: sparse network has, ``narrower`` one of fewer channels, ``4-bit`` one of coarser weights.
Role = Literal["dense", "control", "narrower", "4-bit", "sparse"]


@dataclass(frozen=True)
class Point:
    """One network of the table.

    Attributes:
        id: what files call it: lower case, digits and dashes.
        title: what people call it.
        role: why it is there.
        recipe: what trains it.
        structure: what is taken out; ``none`` of the rivals.
    """

    id: str
    title: str
    role: Role
    recipe: Recipe
    structure: str = "none"

    @property
    def epochs(self) -> int:
        """Epochs that its weights are trained for: training, recovery, and in fake int8."""
        prunes = self.recipe.pruning.structure != "none"
        trained = _pruned_epochs(self.recipe) if prunes else self.recipe.training.epochs
        return trained + self.recipe.quantization.epochs


@dataclass(frozen=True)
class Plan:
    """All points.

    Attributes:
        points: the dense network, its control, the sparse ones, and the other rivals.
        left_out: what was asked for and can't be tried, and why.
        remarks: what a reader of the comparison has to know.
    """

    points: tuple[Point, ...]
    left_out: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


def variant(recipe: Recipe, **tables: Mapping[str, object]) -> Recipe:
    """The recipe with other values in some tables.

    Args:
        recipe: it is not changed.
        tables: name of a table → the keys that differ.

    Raises:
        ValidationError: the values don't fit.
    """
    table: dict[str, Any] = recipe.model_dump()
    for name, changes in tables.items():
        table[name] = table[name] | dict(changes)
    return Recipe.model_validate(table)


def make_plan(recipe: Recipe, grid: Grid, costs: WidthCosts | None) -> Plan:
    """Lay out the table of a recipe.

    Every point but the dense network as trained has as many epochs as every other: the dense
    control goes through the sparse networks' recovery at sparsity 0, a narrower network is trained
    for the epochs of both, and one of 4-bit weights has the recovery's epochs in fake int8.

    Args:
        recipe: what everything is a variant of; its levels are left out.
        grid: the sparse networks.
        costs: of narrower networks; None when the recipe's network has no width.

    Raises:
        DeclarationError: none of the sparse networks can be made.
    """
    recipe = variant(recipe, pruning={"levels": ()})
    sparse, left_out = _sparse(recipe, grid)
    if not sparse:
        raise DeclarationError(
            left_out[0], where="--criteria, --structures", hint="leave --criteria out"
        )
    points = [
        Point("dense", "dense, as trained", "dense", _unpruned(recipe)),
        Point("dense-tuned", "dense, fine-tuned", "control", _tuned(recipe)),
        *sparse,
    ]
    if costs is None:
        left_out.append(f"narrower networks: [model] kind = {recipe.model.kind!r} has no width")
    else:
        points += [_narrower(recipe, width) for width in _widths(grid, costs)]
    if recipe.quantization.weights != "int4":
        points.append(_four_bits(recipe))
    remarks = (_HEAD_START,) if starts_trained(recipe.model) and costs is not None else ()
    return Plan(tuple(points), tuple(left_out), remarks)


_HEAD_START = (
    "narrower networks began with random weights, all others with those that the recipe names"
)


def _pruned_epochs(recipe: Recipe) -> int:
    """Epochs from random weights, or those that the network comes with, to the pruned network."""
    before = 0 if recipe.pruning.start == "scratch" else recipe.training.epochs
    return before + recipe.pruning.epochs


def _unpruned(recipe: Recipe) -> Recipe:
    return variant(recipe, pruning={"structure": "none", "criterion": None})


def _tuned(recipe: Recipe) -> Recipe:
    """The dense network after the recovery of a pruned one."""
    pruning: dict[str, object] = {"structure": "unstructured", "criterion": None}
    pruning |= {"sparsity": 0.0, "layers": {}}
    return variant(recipe, pruning=pruning)


def _four_bits(recipe: Recipe) -> Point:
    epochs = recipe.quantization.epochs + recipe.pruning.epochs
    coarse = variant(_unpruned(recipe), quantization={"weights": "int4", "epochs": epochs})
    return Point("dense-4bit", "dense, 4-bit", "4-bit", coarse)


def _narrower(recipe: Recipe, width: int) -> Point:
    if isinstance(recipe.model, KerasNetwork):
        raise TypeError("a network without a width can't be narrower")
    model = narrowed(recipe.model, width).model_dump()
    epochs = max(1, _pruned_epochs(recipe))
    narrow = variant(_unpruned(recipe), model=model, training={"epochs": epochs})
    return Point(f"narrower-{width}", f"narrower, {width} wide", "narrower", narrow)


def _widths(grid: Grid, costs: WidthCosts) -> list[int]:
    """Widths that match a sparse network, widest first."""
    found = {
        costs.match(shape, sparsity)
        for shape in grid.shapes
        for sparsity in grid.sparsities_of(shape)
    }
    return sorted((width for width in found if width is not None), reverse=True)


def _sparse(recipe: Recipe, grid: Grid) -> tuple[list[Point], list[str]]:
    points, left_out = [], []
    for shape in grid.shapes:
        for criterion in grid.criteria:
            for sparsity in grid.sparsities_of(shape):
                made = _sparse_point(recipe, shape, criterion, sparsity)
                if isinstance(made, Point):
                    points.append(made)
                elif made not in left_out:
                    left_out.append(made)
    return points, left_out


def _sparse_point(
    recipe: Recipe, shape: Shape, criterion: str | None, sparsity: float
) -> Point | str:
    """A point, or why there is none."""
    pruning = {"sparsity": sparsity, "layers": {}, **shape.changes}
    if criterion is not None:
        pruning["criterion"] = criterion
    try:
        pruned = variant(recipe, pruning=pruning)
    except ValidationError as error:
        reason = str(error.errors(include_url=False)[0]["msg"]).removeprefix("Value error, ")
        by = f" by {criterion}" if criterion else ""
        return f"{shape.name}{by}: {reason}"
    percent = "" if shape.sparsity is not None else f"{100 * sparsity:g}"
    words = [shape.name.replace(":", "-of-"), percent.replace(".", "-"), criterion or ""]
    return Point(
        id="-".join(word for word in words if word),
        title=shape.name
        + (f" {percent} %" if percent else "")
        + (f", {criterion}" * bool(criterion)),
        role="sparse",
        recipe=pruned,
        structure=shape.name,
    )
