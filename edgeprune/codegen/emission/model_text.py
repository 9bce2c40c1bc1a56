"""What the files of a program are written from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from edgeprune.codegen.layout import Layout, Step
from edgeprune.codegen.lowering import Lowered
from edgeprune.codegen.manifest import Manifest
from edgeprune.graph import Graph, Tensor

__all__ = ["C_TYPES", "Function", "ModelText"]

#: What the caller sees; kernels take every tensor as int8_t bytes.
C_TYPES = {"int8": "int8_t", "uint8": "uint8_t", "float32": "float"}


@dataclass(frozen=True, eq=False)
class Function:
    """A kernel that is compiled for a set of numbers.

    Attributes:
        name: the C function.
        layers: those that call it.
        lowered: the first of them.
    """

    name: str
    layers: list[int]
    lowered: Lowered


@dataclass(frozen=True, eq=False)
class ModelText:
    """What the files are written from."""

    graph: Graph
    steps: Sequence[Step]
    layout: Layout
    manifest: Manifest

    @cached_property
    def functions(self) -> dict[tuple[object, ...], Function]:
        """Kernel and numbers to the one C function that is made of them."""
        functions: dict[tuple[object, ...], Function] = {}
        for index, step in enumerate(self.steps):
            lowered = step.lowered
            if lowered.shape:
                name = f"{lowered.function}_{index:02d}"
                key = (lowered.function, lowered.shape)
                functions.setdefault(key, Function(name, [], lowered)).layers.append(index)
        return functions

    def called(self, lowered: Lowered) -> str:
        """The C function that a layer calls: the kernel, or the kernel for its numbers."""
        if not lowered.shape:
            return lowered.function
        return self.functions[lowered.function, lowered.shape].name

    def offset(self, tensor: Tensor) -> int:
        """Where an activation or a variable lies in the caller's memory."""
        return self.layout.offset(tensor)
