"""What memory holds when: the values of a network, their lifetimes, and which bytes they share."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from edgeprune.graph import (
    AssignVariable,
    Concatenation,
    Graph,
    Operator,
    ReadVariable,
    Reshape,
    StridedSlice,
    Tensor,
)

__all__ = ["Execution", "Key", "Share", "Value", "same_bytes", "schedule", "shares"]

#: A tensor's number, and how often it had been assigned: above 0 for variables only.
Key: TypeAlias = tuple[int, int]


class Share(NamedTuple):
    """A source whose bytes the output repeats: byte ``i + distance`` of it is byte ``i``.

    That holds for every ``i`` for which both have such a byte.
    """

    source: Tensor
    distance: int


class Piece(NamedTuple):
    """Bytes ``offset`` to ``offset + size`` of a value: those of ``root`` from ``start`` on."""

    offset: int
    size: int
    root: Key
    start: int


@dataclass(frozen=True)
class Value:
    """What a tensor holds, or a variable between two assignments.

    Attributes:
        key: whose value it is.
        size: bytes.
        first: the step that writes it; -1 for what is there before the first step.
        last: the last step that reads it; the number of steps for what must remain after them.
        pieces: where its bytes come from, in order.
    """

    key: Key
    size: int
    first: int
    last: int
    pieces: tuple[Piece, ...]


def shares(operator: Operator) -> tuple[Share, ...]:
    """The sources that the output could share memory with, because it repeats their bytes.

    Empty for an operator that computes, and for one that moves single values about.
    """
    if isinstance(operator, Reshape | ReadVariable | AssignVariable):
        return (Share(operator.input, 0),)
    if isinstance(operator, StridedSlice):
        distance = _start_of_run(operator)
        return () if distance is None else (Share(operator.input, distance),)
    if isinstance(operator, Concatenation):
        return _joined(operator)
    return ()


def _start_of_run(operator: StridedSlice) -> int | None:
    """Where the run of bytes starts that the output is; None where it is no run."""
    shape = operator.input.shape
    start, inner, is_whole = 0, operator.input.size // operator.input.elements, True
    for axis in reversed(range(len(shape))):
        extent = operator.extent[axis]
        if extent > 1 and (not is_whole or operator.stride[axis] != 1):
            return None
        is_whole = is_whole and extent == shape[axis]
        start += operator.begin[axis] * inner
        inner *= shape[axis]
    return start


def _joined(operator: Concatenation) -> tuple[Share, ...]:
    """Sources along the outermost dimension that is not 1, constants left out."""
    if math.prod(operator.output.shape[: operator.axis]) != 1:
        return ()
    found, offset = [], 0
    for source in operator.sources:
        if not source.is_constant:
            found.append(Share(source, -offset))
        offset += source.size
    return tuple(found)


def schedule(graph: Graph) -> tuple[Operator, ...]:
    """The operators in an order that leaves assignments for later.

    As long as something is read that repeats a variable's old bytes, and so could be a view of
    them, the variable is not overwritten, unless it is read anew before. Everything else stays in
    its place.
    """
    holds: dict[int, frozenset[Key]] = {}
    readers: dict[Key, int] = {}
    versions = {variable.tensor.index: 0 for variable in graph.variables}
    overwrites: dict[int, Key] = {}
    limits: dict[Key, int] = {}
    for step, operator in enumerate(graph.operators):
        for tensor in operator.inputs:
            for key in holds.get(tensor.index, ()):
                readers[key] = step
        if isinstance(operator, ReadVariable):
            variable = operator.input.index
            holds[operator.output.index] = frozenset({(variable, versions[variable])})
            limits.setdefault((variable, versions[variable] - 1), step)
        elif isinstance(operator, AssignVariable):
            variable = operator.output.index
            overwrites[step] = (variable, versions[variable])
            limits.setdefault((variable, versions[variable] - 1), step)
            versions[variable] += 1
        else:
            sources = (holds.get(share.source.index, frozenset()) for share in shares(operator))
            holds[operator.output.index] = frozenset[Key]().union(*sources)
    remaining = holds.get(graph.output.index, frozenset())

    def place(step: int) -> tuple[int, bool, int]:
        key = overwrites.get(step)
        if key is None or key in remaining:
            return step, False, step
        after = min(readers.get(key, step), limits.get(key, len(graph.operators)) - 1)
        return max(step, after), after > step, step

    return tuple(graph.operators[step] for step in sorted(range(len(graph.operators)), key=place))


class Execution:
    """The values of a network whose operators run in a given order.

    Attributes:
        operators: in that order; steps are counted in it.
        values: every value by its key.
        reads: of each step, the keys that it reads; constants left out.
        writes: of each step, the key that it writes.
    """

    def __init__(self, graph: Graph, operators: Sequence[Operator]) -> None:
        self.operators = tuple(operators)
        self.values: dict[Key, Value] = {}
        self.reads: list[tuple[Key, ...]] = []
        self.writes: list[Key] = []
        self._version = {variable.tensor.index: 0 for variable in graph.variables}
        pieces: dict[Key, tuple[Piece, ...]] = {}
        sizes: dict[Key, int] = {}
        first: dict[Key, int] = {}
        last: dict[Key, int] = {}
        for tensor in (graph.input, *(variable.tensor for variable in graph.variables)):
            key = self._current(tensor)
            pieces[key], sizes[key] = (Piece(0, tensor.size, key, 0),), tensor.size
            first[key] = last[key] = -1
        for step, operator in enumerate(self.operators):
            read = tuple(self._current(tensor) for tensor in operator.inputs)
            last.update(dict.fromkeys(read, step))
            # A variable's old value is what shares() is about, so the version rises afterwards.
            parts = [(self._current(each.source), each.distance) for each in shares(operator)]
            output = operator.output
            if output.index in self._version:
                self._version[output.index] += 1
            key = self._current(output)
            pieces[key] = _pieces(key, output.size, [(pieces[one], by) for one, by in parts])
            sizes[key] = output.size
            first[key] = last[key] = step
            self.reads.append(read)
            self.writes.append(key)
        for tensor in (graph.output, *(variable.tensor for variable in graph.variables)):
            last[self._current(tensor)] = len(self.operators)
        self.values = {
            key: Value(key, sizes[key], first[key], last[key], pieces[key]) for key in first
        }

    def _current(self, tensor: Tensor) -> Key:
        return tensor.index, self._version.get(tensor.index, 0)

    def links(self, step: int) -> tuple[tuple[Key, int], ...]:
        """The keys that the step's output could be one memory with, and at which distance."""
        operator = self.operators[step]
        by_tensor: Mapping[int, Key] = {key[0]: key for key in self.reads[step]}
        return tuple((by_tensor[each.source.index], each.distance) for each in shares(operator))


def _pieces(
    key: Key, size: int, sources: Sequence[tuple[tuple[Piece, ...], int]]
) -> tuple[Piece, ...]:
    """A value's bytes: of its sources where it repeats them, its own elsewhere."""
    taken = sorted(
        piece for pieces, distance in sources for piece in _cut(pieces, distance, distance + size)
    )
    found: list[Piece] = []
    end = 0
    for piece in taken:
        if piece.offset > end:
            found.append(Piece(end, piece.offset - end, key, end))
        found.append(piece)
        end = piece.offset + piece.size
    if end < size:
        found.append(Piece(end, size - end, key, end))
    return _merged(found)


def _cut(pieces: Sequence[Piece], low: int, high: int) -> list[Piece]:
    """The pieces of bytes ``low`` to ``high``, counted from ``low``."""
    found = []
    for offset, size, root, start in pieces:
        begin, end = max(offset, low), min(offset + size, high)
        if begin < end:
            found.append(Piece(begin - low, end - begin, root, start + begin - offset))
    return found


def _merged(pieces: Sequence[Piece]) -> tuple[Piece, ...]:
    """The same with neighbours joined that continue each other."""
    found: list[Piece] = []
    for piece in pieces:
        if found:
            last = found[-1]
            continues = last.root == piece.root and last.start + last.size == piece.start
            if continues and last.offset + last.size == piece.offset:
                found[-1] = last._replace(size=last.size + piece.size)
                continue
        found.append(piece)
    return tuple(found)


def same_bytes(one: Value, other: Value, distance: int) -> bool:
    """Whether byte ``i`` of one is byte ``i + distance`` of the other wherever both exist."""
    low, high = max(0, -distance), min(one.size, other.size - distance)
    return _merged(_cut(one.pieces, low, high)) == _merged(
        _cut(other.pieces, low + distance, high + distance)
    )
