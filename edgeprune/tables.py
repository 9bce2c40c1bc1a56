"""Tables for the terminal: clips, networks, and where an image's bytes and instructions go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from edgeprune.codegen import Manifest
from edgeprune.firmware import Image
from edgeprune.pipeline import Pipeline

if TYPE_CHECKING:
    from edgeprune.devices.counting import Profile

__all__ = [
    "clip_table",
    "encoding_table",
    "function_table",
    "layer_table",
    "network_table",
    "size_tables",
]

#: Rows of a table of functions or symbols.
_MOST_ROWS = 15


def clip_table(pipeline: Pipeline) -> Table:
    """Clips by label and split."""
    counts = pipeline.dataset().counts()
    table = _new("clips", *counts)
    for label in pipeline.recipe.data.labels:
        table.add_row(label, *(f"{split[label]:,}" for split in counts.values()))
    table.add_row("", *(f"{sum(split.values()):,}" for split in counts.values()), style="bold")
    return table


def network_table(pipeline: Pipeline, *variants: str) -> Table:
    """Float accuracy, multiply-accumulates and parameters of one or both networks."""
    table = _new("network", "validation", "test", "MACs", "parameters", "not zero")
    for variant in variants:
        artifact = pipeline.trained() if variant == "dense" else pipeline.pruned()
        summary = artifact.json("training.json")
        cost = summary["cost"]
        table.add_row(
            f"{variant}, float",
            *(f"{100 * summary[split]['accuracy']:.1f} %" for split in ("validation", "test")),
            *(f"{cost[key]:,}" for key in ("macs", "parameters", "nonzero")),
        )
    return table


def layer_table(image: Image, inference: Profile | None) -> Table:
    """MACs, instructions and flash of every layer.

    Args:
        image: the linked image.
        inference: a counted inference of it; None where the device can't count by layer.
    """
    table = _new(
        "layer", "operator", "weights", "MACs", "instructions", "per MAC", "constants", "code"
    )
    costs = inference.layers if inference else ()
    instructions = {cost.index: cost.instructions for cost in costs}
    sizes = {size.index: size for size in image.sizes.layers}
    for layer in image.manifest.layers:
        counted = instructions.get(layer.index)
        table.add_row(
            _layer_title(layer.index, layer.name),
            layer.op,
            layer.encoding if layer.weight_bytes else "",
            f"{layer.macs:,}" if layer.macs else "",
            "" if not instructions else "merged" if counted is None else f"{counted:,}",
            f"{counted / layer.macs:.2f}" if counted and layer.macs else "",
            f"{sizes[layer.index].constant_bytes:,}",
            f"{sizes[layer.index].code_bytes:,}",
        )
    return table


def encoding_table(manifest: Manifest) -> Table | None:
    """What each encoding of a layer's weights would cost; None where there was no choice."""
    table = _new("layer", "weights", "flash, estimated", "instructions, estimated", "")
    for layer in manifest.layers:
        if not layer.rivals:
            continue
        for position, rival in enumerate(layer.rivals):
            chosen = rival.encoding == layer.encoding
            table.add_row(
                "" if position else _layer_title(layer.index, layer.name),
                rival.encoding,
                f"{rival.flash_bytes:,}",
                f"{rival.instructions:,}",
                "chosen" if chosen else "",
                style="bold" if chosen else "",
            )
    return table if table.row_count else None


def size_tables(image: Image) -> list[Table]:
    """Flash and RAM by section and by the largest symbols."""
    sections = _new("section", "memory", "bytes")
    for section in image.sizes.sections:
        sections.add_row(section.name, section.place, f"{section.size:,}")
    symbols = _new("largest symbols", "memory", "bytes")
    for symbol in image.sizes.symbols[:_MOST_ROWS]:
        symbols.add_row(symbol.name, symbol.place, f"{symbol.size:,}")
    return [sections, symbols]


def function_table(parts: Sequence[tuple[str, Profile]]) -> Table:
    """Instructions and estimated cycles by function.

    Args:
        parts: what was counted, by its name for the reader.
    """
    table = _new("function", "instructions", "cycles, estimated", "of")
    for name, part in parts:
        for function in part.functions[:_MOST_ROWS]:
            table.add_row(
                function.name, f"{function.instructions:,}", f"{function.cycles_estimate:,}", name
            )
    return table


def _layer_title(index: int, tensor: str) -> str:
    """A layer's place and name: of ``net/stem_relu/Relu;net/stem/conv`` the part ``stem_relu``."""
    first = tensor.partition(";")[0]
    parts = first.split("/")
    return escape(f"{index} {'/'.join(parts[1:-1]) if len(parts) > 2 else first}")


def _new(first: str, *others: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column(first, no_wrap=True)
    for name in others:
        table.add_column(name, justify="right", no_wrap=True)
    return table
