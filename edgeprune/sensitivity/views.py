"""What ``invoke prune --sensitivity`` prints."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from edgeprune.recipe import Recipe
from edgeprune.sensitivity.costs import Resource
from edgeprune.sensitivity.examination import NOTHING, Division, Examination, added_losses
from edgeprune.sensitivity.files import layers_table
from edgeprune.target import Target

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["advice", "examination_tables"]

_UNITS: dict[Resource, str] = {"instructions": "instructions", "flash": "bytes of flash"}


def examination_tables(examination: Examination) -> list[Table]:
    """Loss, instructions and bytes by layer and sparsity; then the divisions side by side."""
    losses = added_losses(examination.scan)
    accuracies = examination.scan.alone

    def heard(unit: int, choice: int) -> str:
        return f"{losses[unit, choice]:+.3f} {100 * accuracies[unit][choice - 1].accuracy:5.1f} %"

    return [
        _by_layer(examination, "loss added, accuracy", heard),
        *(_savings(examination, resource) for resource in _UNITS),
        _divisions(examination),
    ]


def advice(examination: Examination, recipe: Recipe, target: Target) -> list[str]:
    """What the tables mean and how to use them, line by line."""
    scan = examination.scan
    dense = scan.dense
    lines = [
        f"Each layer of {recipe.name} was pruned alone, {recipe.pruning.structure} by "
        f"{recipe.pruning.scored_by}, without fine-tuning, and heard {scan.clips:,} validation "
        f"clips. With nothing taken out: loss {dense.loss:.3f}, accuracy "
        f"{100 * dense.accuracy:.1f} %.",
        f"Savings are estimated for {target.name} with optimize = {target.optimize!r}, from "
        + (
            "a count of the dense network; the last lines of the table are counted and linked."
            if examination.counts_layers
            else "the kernels' formulas alone: this device counts no layers."
        ),
    ]
    lines += [line for resource in _UNITS for line in _without_gain(examination, resource)]
    if recipe.quantization.weights == "int4":
        lines.append("They are those of 8-bit weights; the recipe's have 4 bits.")
    if any(unit.layers[1:] for unit in scan.units):
        lines.append("Layers whose channels are added to each other shrink together.")
    if recipe.pruning.structure == "channel" and recipe.pruning.channel_multiple > 1:
        lines.append(
            f"Kept channels are multiples of {recipe.pruning.channel_multiple}, so neighbouring "
            "sparsities may be one network."
        )
    return lines + _how_to_use(examination, recipe)


def _without_gain(examination: Examination, resource: Resource) -> list[str]:
    """Which layers' zeros save nothing, or cost something."""
    saved = examination.costs.saved_alone(resource)
    least = NOTHING * float(examination.costs.dense[resource].sum())
    names = [unit.name for unit in examination.scan.units]
    idle = [name for name, row in zip(names, saved, strict=True) if row.max() <= least]
    lines = []
    if len(idle) == len(names):
        lines.append(f"Zeros of this structure save no {_UNITS[resource]} on this target.")
    elif idle:
        lines.append(f"Zeros save no {_UNITS[resource]} in {', '.join(idle)} on this target.")
    if saved.min() < -least:
        lines.append(
            f"Where a number is negative, the layer would take more {_UNITS[resource]} than dense."
        )
    return lines


def _how_to_use(examination: Examination, recipe: Recipe) -> list[str]:
    chosen = examination.chosen
    if chosen is None:
        other = "flash" if examination.by == "instructions" else "instructions"
        return [
            f"The same sparsity in every layer saves no {_UNITS[examination.by]}, so there is "
            f"nothing to divide: choose another pruning.structure, or --by {other}."
        ]
    if len(examination.scan.units) == 1:
        return ["There is one sparsity to choose, so there is nothing to divide."]
    if chosen.shares == examination.uniform.shares:
        return ["No division saves as much at less loss: keep the same sparsity everywhere."]
    if recipe.pruning.structure == "n:m":
        alone = [
            unit.name
            for unit, share in zip(examination.scan.units, chosen.shares, strict=True)
            if not share
        ]
        names = ", ".join(f'"{name}"' for name in (*recipe.pruning.exclude, *alone))
        return [f"To leave alone what saves nothing, in [pruning]: exclude = [{names}]"]
    lines = []
    if chosen.heard.loss > examination.uniform.heard.loss:
        lines.append(
            "Pruned together, the network by layer loses more than the same sparsity in every "
            "layer: what layers lose alone does not add up here. A lower sparsity is more telling."
        )
    return [
        *lines,
        "To prune by layer, put this at the end of the recipe (or --write FILE.toml), and compare "
        "the two after fine-tuning:",
        "",
        *layers_table(examination).splitlines(),
    ]


def _by_layer(examination: Examination, title: str, cell: Callable[[int, int], str]) -> Table:
    scan = examination.scan
    table = _new(title, "weights", *(f"{100 * sparsity:g} %" for sparsity in scan.sparsities))
    for place, unit in enumerate(scan.units):
        cells = [cell(place, choice) for choice in range(1, len(scan.sparsities) + 1)]
        table.add_row(_title(examination, place), f"{unit.weights:,}", *cells)
    return table


def _savings(examination: Examination, resource: Resource) -> Table:
    saved = examination.costs.saved_alone(resource)
    title = f"{_UNITS[resource]} saved, of {examination.dense.of(resource):,}"
    return _by_layer(examination, title, lambda unit, choice: f"{round(saved[unit, choice]):,}")


def _divisions(examination: Examination) -> Table:
    columns = {"the same for all": examination.uniform}
    if examination.chosen is not None:
        columns[f"by layer, for {examination.by}"] = examination.chosen
    table = _new("sparsity", *columns)
    for place in range(len(examination.scan.units)):
        shares = [f"{100 * each.shares[place]:g} %" for each in columns.values()]
        table.add_row(_title(examination, place), *shares)
    dense = examination.dense
    rows: dict[str, Callable[[Division], str]] = {
        "losses added, summed": lambda each: f"{each.added_loss:+.3f}",
        "loss together": lambda each: f"{each.heard.loss:.3f}",
        "accuracy together": lambda each: f"{100 * each.heard.accuracy:.1f} %",
        f"instructions, of {dense.instructions:,}": lambda each: f"{each.measured.instructions:,}",
        f"flash of the image, of {dense.flash:,}": lambda each: f"{each.measured.flash:,}",
    }
    for name, cell in rows.items():
        table.add_row(name, *(cell(each) for each in columns.values()), style="bold")
    return table


def _title(examination: Examination, place: int) -> str:
    from rich.markup import escape

    unit = examination.scan.units[place]
    others = len(unit.layers) - 1
    return escape(unit.name + (f" and {others} more" if others else ""))


def _new(first: str, *others: str) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column(first, no_wrap=True)
    for name in others:
        table.add_column(name, justify="right", no_wrap=True)
    return table
