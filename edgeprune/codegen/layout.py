"""Layers in order, and where their tensors and scratch lie in the arena."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgeprune.codegen.lowering import Constant, Lowered
from edgeprune.codegen.memory import Buffer, plan
from edgeprune.graph import Graph, Operator, Reshape, Tensor

__all__ = ["Layout", "Step", "lay_out"]


@dataclass(frozen=True, eq=False)
class Step:
    """An operator and the kernel call that computes it."""

    operator: Operator
    lowered: Lowered

    def symbol(self, index: int) -> str:
        """The C function of the layer."""
        return f"{self.prefix(index)}{self.operator.kind.lower()}"

    @staticmethod
    def prefix(index: int) -> str:
        """What all C symbols of a layer start with."""
        return f"edgeprune_layer_{index:02d}_"

    @property
    def constants(self) -> tuple[Constant, ...]:
        """The arrays in flash: what the parameters point to, then the inputs that are constant."""
        inputs = tuple(
            Constant(f"input_{position}", tensor.data)
            for position, tensor in enumerate(self.lowered.inputs)
            if tensor.data is not None
        )
        return (*self.lowered.constants, *inputs)


@dataclass(frozen=True)
class Layout:
    """Where everything lies.

    Attributes:
        size: of the arena, in bytes.
        tensors: tensor number to offset, reshaped tensors included.
        scratch: layer to the offset of its scratch.
    """

    size: int
    tensors: dict[int, int]
    scratch: dict[int, int]

    def offset(self, tensor: Tensor) -> int:
        """The offset of an activation."""
        return self.tensors[tensor.index]


def lay_out(graph: Graph, steps: Sequence[Step]) -> Layout:
    """Plan the arena.

    A reshaped tensor is the same memory as its source. The input is in use from before the first
    layer, the output until after the last.
    """
    owners = _owners(graph)
    lives: dict[int, list[int]] = {owners[graph.input.index]: [-1]}
    for index, step in enumerate(steps):
        touched = [each for each in step.lowered.inputs if not each.is_constant]
        for tensor in (*touched, step.operator.output):
            lives.setdefault(owners[tensor.index], []).append(index)
    lives[owners[graph.output.index]].append(len(steps))
    sizes = {tensor.index: tensor.size for tensor in graph.tensors}
    buffers = [
        Buffer(key=("tensor", owner), size=sizes[owner], first=min(uses), last=max(uses))
        for owner, uses in lives.items()
    ]
    buffers += [
        Buffer(key=("scratch", index), size=step.lowered.scratch, first=index, last=index)
        for index, step in enumerate(steps)
        if step.lowered.scratch
    ]
    placement = plan(buffers)
    return Layout(
        size=placement.size,
        tensors={
            index: placement.offsets["tensor", owner]
            for index, owner in owners.items()
            if owner in lives
        },
        scratch={
            index: placement.offsets["scratch", index]
            for index, step in enumerate(steps)
            if step.lowered.scratch
        },
    )


def _owners(graph: Graph) -> dict[int, int]:
    """Activation to the tensor whose memory it is: itself, or what it was reshaped from."""
    owners = {graph.input.index: graph.input.index}
    for operator in graph.operators:
        output = operator.output.index
        is_alias = isinstance(operator, Reshape)
        owners[output] = owners[operator.inputs[0].index] if is_alias else output
    return owners
