"""What the files of a program are written from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from edgeprune.codegen.layout import Layout, Step
from edgeprune.codegen.levels import Symbol
from edgeprune.codegen.lowering import Lowered
from edgeprune.codegen.manifest import Level, Manifest
from edgeprune.graph import Graph, Tensor

__all__ = ["C_TYPES", "Function", "LevelText", "ModelText"]

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
class LevelText:
    """One level: a network of its own, whose layers are numbered on from the level before.

    Attributes:
        graph: the network.
        layout: what runs, and where everything lies.
        first: the number of the first layer.
        manifest: what it is made of.
    """

    graph: Graph
    layout: Layout
    first: int
    manifest: Level

    @property
    def steps(self) -> dict[int, Step]:
        """Number of each layer to its step, in the order of execution."""
        return dict(enumerate(self.layout.steps, start=self.first))

    def offset(self, tensor: Tensor) -> int:
        """Where an activation or a variable lies in the caller's memory."""
        return self.layout.offset(tensor)


@dataclass(frozen=True, eq=False)
class ModelText:
    """What the files are written from.

    Attributes:
        levels: the widest first; one for a network without levels.
        manifest: of all.
        borrowed: constants that are how another layer's begin, and that other constant.
    """

    levels: Sequence[LevelText]
    manifest: Manifest
    borrowed: Mapping[Symbol, Symbol]

    @property
    def widest(self) -> LevelText:
        """The level that runs unless another is set."""
        return self.levels[0]

    @property
    def steps(self) -> dict[int, Step]:
        """Number of each layer of all levels to its step."""
        return {index: step for level in self.levels for index, step in level.steps.items()}

    def symbol(self, index: int, name: str) -> str:
        """The C symbol of a layer's constant."""
        index, name = self.borrowed.get((index, name), (index, name))
        return Step.prefix(index) + name

    @cached_property
    def functions(self) -> dict[tuple[object, ...], Function]:
        """Kernel and numbers to the one C function that is made of them."""
        functions: dict[tuple[object, ...], Function] = {}
        for index, step in self.steps.items():
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
