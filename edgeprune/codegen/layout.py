"""Layers in order, and where their tensors, variables and scratch lie in memory."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Literal

from edgeprune.codegen.aliasing import Aliasing, Permission, Storage, alias, permissions
from edgeprune.codegen.lowering import Constant, Lowered
from edgeprune.codegen.memory import Buffer, Permit, Placement, align, lower_bound, plan
from edgeprune.codegen.values import Execution, schedule
from edgeprune.graph import Graph, Operator, Reshape, Tensor

__all__ = ["Layout", "Place", "Step", "lay_out"]


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
class Place:
    """Where a tensor lies.

    Attributes:
        region: the arena, or the state that lasts from one inference to the next.
        offset: bytes from the region's start; a multiple of 4 for all but what is only moved.
    """

    region: Literal["arena", "state"]
    offset: int


@dataclass(frozen=True)
class Layout:
    """What runs, in which order, and where everything lies.

    Memory is the arena and then the state; both have sizes that are multiples of 8.

    Attributes:
        size: of the arena, in bytes.
        tensors: number of each tensor in the arena to its offset, views included.
        scratch: position in ``steps`` to the offset of the step's scratch in the arena.
        steps: those that have something to do, in the order in which they run.
        state_size: of the state, in bytes. It holds the variables, and what lies right beside
            them so that it needs not be copied.
        state: tensor number of each variable to its offset in the state.
        beside: the same of each other tensor in the state.
        bound: no arena is smaller.
        is_optimal: whether ``size`` is known to be the smallest that these kernels allow.
    """

    size: int
    tensors: dict[int, int]
    scratch: dict[int, int]
    steps: tuple[Step, ...] = ()
    state_size: int = 0
    state: dict[int, int] = field(default_factory=dict)
    beside: dict[int, int] = field(default_factory=dict)
    bound: int = 0
    is_optimal: bool = False

    def place(self, tensor: Tensor) -> Place:
        """Where an activation or a variable lies."""
        if tensor.index in self.tensors:
            return Place("arena", self.tensors[tensor.index])
        state = self.state if tensor.index in self.state else self.beside
        return Place("state", state[tensor.index])

    def offset(self, tensor: Tensor) -> int:
        """Where an activation or a variable lies in memory: the arena, then the state."""
        place = self.place(tensor)
        return place.offset if place.region == "arena" else self.size + place.offset


def lay_out(graph: Graph, steps: Sequence[Step]) -> Layout:
    """Plan memory.

    The input is in use from before the first layer and may be overwritten; the output is in use
    until after the last. Variables are in use all the time.

    Outputs that repeat bytes of their sources become views of them where that is safe, and their
    steps are left out; an assignment to a variable may move behind the last layer that reads what
    the variable held. See :mod:`edgeprune.codegen.aliasing`.

    Args:
        graph: the network.
        steps: one for each operator; a RESHAPE needs none, as it is always a view.

    Raises:
        ValueError: an operator has no step.
    """
    return _Planner(graph, steps).layout()


class _Planner:
    def __init__(self, graph: Graph, steps: Sequence[Step]) -> None:
        by_operator = {id(step.operator): step for step in steps}
        operators = schedule(graph)
        self._steps = tuple(by_operator.get(id(each)) for each in operators)
        for operator, step in zip(operators, self._steps, strict=True):
            if step is None and not isinstance(operator, Reshape):
                raise ValueError(f"no step computes {operator}")
        self._variables = {variable.tensor.index for variable in graph.variables}
        self._execution = Execution(graph, operators)
        self._permitted = permissions(
            self._execution, [None if step is None else step.lowered for step in self._steps]
        )

    def layout(self) -> Layout:
        aliasing = self._aliasing()
        placement = self._plan(aliasing)
        tensors: dict[int, int] = {}
        state: dict[int, int] = {}
        state_size = 0
        for storage in aliasing.storages:
            if self._lasts(storage):
                state.update({key[0]: state_size + at for key, at in storage.offsets.items()})
                state_size += align(storage.size)
            else:
                tensors.update({key[0]: placement.offsets[key] for key in storage.offsets})
        running = [step for step, runs in enumerate(aliasing.runs) if runs]
        return Layout(
            size=placement.size,
            tensors=tensors,
            scratch={
                position: placement.offsets["scratch", step]
                for position, step in enumerate(running)
                if ("scratch", step) in placement.offsets
            },
            steps=tuple(each for step in running if (each := self._steps[step]) is not None),
            state_size=state_size,
            state={number: at for number, at in state.items() if number in self._variables},
            beside={number: at for number, at in state.items() if number not in self._variables},
            bound=placement.bound,
            is_optimal=placement.is_optimal,
        )

    def _lasts(self, storage: Storage) -> bool:
        return any(number in self._variables for number, _ in storage.offsets)

    def _aliasing(self) -> Aliasing:
        """Views, but for those beside variables that cost more bytes of memory than they save.

        What is written right beside a variable, so that a window over both need not be copied,
        makes the state longer. It stays in the arena where that saves more bytes than are moved
        then in each inference.
        """
        apart: set[int] = set()
        best = self._alias(apart)
        cost = self._memory(best) + best.moved_bytes
        for variable in sorted(self._variables):
            candidate = self._alias({*apart, variable})
            candidate_cost = self._memory(candidate) + candidate.moved_bytes
            if candidate_cost < cost:
                apart.add(variable)
                best, cost = candidate, candidate_cost
        return best

    def _alias(self, apart: Collection[int]) -> Aliasing:
        return alias(self._execution, self._variables, self._permitted, apart)

    def _memory(self, aliasing: Aliasing) -> int:
        """The bytes of the state, and the fewest of an arena."""
        state = sum(align(each.size) for each in aliasing.storages if self._lasts(each))
        return state + lower_bound(*self._problem(aliasing))

    def _plan(self, aliasing: Aliasing) -> Placement:
        return plan(*self._problem(aliasing))

    def _problem(self, aliasing: Aliasing) -> tuple[list[Buffer], list[Permit]]:
        buffers = [
            buffer
            for number, storage in enumerate(aliasing.storages)
            if not self._lasts(storage)
            for buffer in self._buffers(number, storage)
        ]
        keys = {buffer.key for buffer in buffers}
        permits = [
            _permit(each)
            for each in self._permitted.values()
            if each.output in keys and each.input in keys
        ]
        for index, (step, runs) in enumerate(zip(self._steps, aliasing.runs, strict=True)):
            if step is not None and runs and step.lowered.scratch:
                buffers.append(Buffer(("scratch", index), step.lowered.scratch, index, index))
        return buffers, permits

    def _buffers(self, number: int, storage: Storage) -> list[Buffer]:
        block = number if len(storage.offsets) > 1 else None
        values = self._execution.values
        return [
            Buffer(key, values[key].size, values[key].first, values[key].last, block, offset)
            for key, offset in storage.offsets.items()
        ]


def _permit(permission: Permission) -> Permit:
    return Permit(permission.output, permission.input, permission.lead, permission.exact)
