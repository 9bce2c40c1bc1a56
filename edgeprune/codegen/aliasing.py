"""Which values can be one memory, so that nothing is moved that need not be."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from edgeprune.codegen.lowering import Lowered
from edgeprune.codegen.values import Execution, Key, Value, same_bytes, shares
from edgeprune.graph import (
    AssignVariable,
    Concatenation,
    Operator,
    ReadVariable,
    Reshape,
    StridedSlice,
)

__all__ = ["VIEW_ALIGNMENT", "Aliasing", "Permission", "Storage", "alias", "permissions"]

#: What a kernel computes with starts at a multiple of this, a word; what is only moved need not.
VIEW_ALIGNMENT = 4


@dataclass(frozen=True)
class Permission:
    """An output may overlap an input as :class:`~edgeprune.codegen.lowering.Overlap` says."""

    output: Key
    input: Key
    lead: int
    exact: bool

    def allows(self, distance: int) -> bool:
        """Whether the output may start ``distance`` bytes before the input."""
        return distance == self.lead if self.exact else distance >= self.lead


@dataclass(frozen=True)
class Storage:
    """Values that share memory.

    Attributes:
        offsets: key to the offset in the storage, from 0; at the values' lifetimes, no byte is
            ever needed for two different things.
        size: bytes.
    """

    offsets: Mapping[Key, int]
    size: int


@dataclass(frozen=True)
class Aliasing:
    """Every value's storage.

    Attributes:
        storages: each value is in one of them.
        runs: of each step, whether it has anything to do; without, its output is a view.
        moved_bytes: how many bytes are moved from one place to another.
    """

    storages: tuple[Storage, ...]
    runs: tuple[bool, ...]
    moved_bytes: int


def permissions(execution: Execution, lowered: Sequence[Lowered | None]) -> dict[int, Permission]:
    """The overlaps that kernels allow, by step; ``lowered`` has None for what is always a view.

    An input that a layer is given twice is left alone.
    """
    found = {}
    for step, call in enumerate(lowered):
        if call is None or call.overlap is None:
            continue
        tensor = call.inputs[call.overlap.input]
        keys = [key for key in execution.reads[step] if key[0] == tensor.index]
        if len(keys) == 1 and not tensor.is_constant:
            overlap = call.overlap
            found[step] = Permission(execution.writes[step], keys[0], overlap.lead, overlap.exact)
    return found


def alias(
    execution: Execution,
    variables: Collection[int],
    permitted: Mapping[int, Permission],
    apart: Collection[int] = (),
) -> Aliasing:
    """Find views: outputs that repeat bytes of their sources, in the sources' memory.

    A view is taken wherever that is safe: at every step, each byte of the storage is needed for
    one thing only, or the layer that runs may overlap its output and its input that way. Tried in
    this order: RESHAPE (always safe), READ_VARIABLE, STRIDED_SLICE, CONCATENATION, and
    ASSIGN_VARIABLE, whose value may thus be computed right into the variable.

    Args:
        execution: the values.
        variables: tensor numbers of the variables; all values of one are in one place.
        permitted: of each step, how its output may overlap an input.
        apart: variables that no concatenation is written beside.
    """
    grouping = _Grouping(execution, permitted)
    for variable in variables:
        versions = sorted(key for key in execution.values if key[0] == variable)
        for version in versions[1:]:
            grouping.join(versions[0], version, 0)
    for step in _in_turn(execution.operators):
        output = execution.writes[step]
        for source, distance in execution.links(step):
            is_joined = isinstance(execution.operators[step], Concatenation)
            if is_joined and any(grouping.holds(key, apart) for key in (source, output)):
                continue
            grouping.try_join(source, output, distance)
    moved = [_moved(execution, grouping, step) for step in range(len(execution.operators))]
    return Aliasing(
        storages=grouping.storages(),
        runs=tuple(each != 0 for each in moved),
        moved_bytes=sum(each for each in moved if each is not None),
    )


def _in_turn(operators: Sequence[Operator]) -> Iterator[int]:
    for kind in (Reshape, ReadVariable, StridedSlice, Concatenation, AssignVariable):
        yield from (step for step, each in enumerate(operators) if isinstance(each, kind))


def _moved(execution: Execution, grouping: _Grouping, step: int) -> int | None:
    """How many bytes the step moves from one place to another; None where it computes."""
    links = execution.links(step)
    if not links:
        return None
    output = execution.writes[step]
    operator = execution.operators[step]
    constants = operator.constants if isinstance(operator, Concatenation) else ()
    # Of a source that is longer than the output, only the output's bytes are moved.
    return sum(tensor.size for tensor in constants) + sum(
        min(execution.values[source].size, execution.values[output].size)
        for source, distance in links
        if grouping.distance(source, output) != distance
    )


def _in_words(execution: Execution) -> set[Key]:
    """The values that must be aligned: what kernels compute with, and what outlives the steps."""
    end = len(execution.operators)
    lasting = {
        key for key, value in execution.values.items() if value.first < 0 or value.last == end
    }
    computed = {
        key
        for step, operator in enumerate(execution.operators)
        if not shares(operator)
        for key in (*execution.reads[step], execution.writes[step])
    }
    return lasting | computed


class _Grouping:
    """Storages while they grow; offsets may be negative."""

    def __init__(self, execution: Execution, permitted: Mapping[int, Permission]) -> None:
        self._execution = execution
        self._permitted = permitted
        self._in_words = _in_words(execution)
        self._groups: dict[Key, dict[Key, int]] = {key: {key: 0} for key in execution.values}

    def distance(self, source: Key, output: Key) -> int | None:
        """How far the output starts behind the source; None where they are in two storages."""
        group = self._groups[source]
        return group[output] - group[source] if output in group else None

    def holds(self, key: Key, tensors: Collection[int]) -> bool:
        """Whether a value of one of the tensors is in the same storage."""
        return any(member[0] in tensors for member in self._groups[key])

    def join(self, source: Key, output: Key, distance: int) -> None:
        """Make two storages one, so that the output starts ``distance`` bytes behind the source."""
        group, other = self._groups[source], self._groups[output]
        shift = group[source] + distance - other[output]
        for key, offset in other.items():
            group[key] = offset + shift
            self._groups[key] = group

    def try_join(self, source: Key, output: Key, distance: int) -> bool:
        """The same if it is safe; whether it was."""
        group, other = self._groups[source], self._groups[output]
        if group is other:
            return False
        shift = group[source] + distance - other[output]
        words = {at % VIEW_ALIGNMENT for key, at in group.items() if key in self._in_words}
        words |= {
            (at + shift) % VIEW_ALIGNMENT for key, at in other.items() if key in self._in_words
        }
        if len(words) > 1:
            return False
        for one, at in group.items():
            for two, offset in other.items():
                if not self._agree(one, two, offset + shift - at):
                    return False
        self.join(source, output, distance)
        return True

    def _agree(self, one: Key, other: Key, distance: int) -> bool:
        """Whether the other value may start ``distance`` bytes behind the one."""
        left, right = self._execution.values[one], self._execution.values[other]
        if distance >= left.size or -distance >= right.size:
            return True
        begin, end = max(left.first, right.first), min(left.last, right.last)
        if begin > end or same_bytes(right, left, distance):
            return True
        return begin == end and self._allowed(begin, left, right, distance)

    def _allowed(self, step: int, left: Value, right: Value, distance: int) -> bool:
        """Whether a layer that reads the one and writes the other is right when they overlap."""
        if not 0 <= step < len(self._execution.operators):
            return False
        output, source = (left, right) if left.first == step else (right, left)
        if output.key != self._execution.writes[step] or source.last != step:
            return False
        if isinstance(self._execution.operators[step], AssignVariable):
            return source.key in self._execution.reads[step]
        permission = self._permitted.get(step)
        if permission is None or permission.input != source.key:
            return False
        return permission.allows(distance if output is left else -distance)

    def storages(self) -> tuple[Storage, ...]:
        """The result, with offsets from 0."""
        unique = {id(group): group for group in self._groups.values()}
        return tuple(self._storage(group) for group in unique.values())

    def _storage(self, group: Mapping[Key, int]) -> Storage:
        start = min(group.values())
        words = (at for key, at in group.items() if key in self._in_words)
        start -= (start - next(words, start)) % VIEW_ALIGNMENT
        values = self._execution.values
        return Storage(
            offsets={key: offset - start for key, offset in group.items()},
            size=max(offset - start + values[key].size for key, offset in group.items()),
        )
