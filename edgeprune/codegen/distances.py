"""The planner's problem: blocks of buffers, and the distances at which two blocks collide."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from edgeprune.codegen.intervals import Intervals, negated, union

__all__ = ["ALIGNMENT", "Buffer", "Permit", "Problem", "align"]

#: Every block starts at a multiple of this: a double word, for kernels that load double words.
ALIGNMENT = 8


@dataclass(frozen=True)
class Buffer:
    """Bytes that must keep their place for a while.

    Attributes:
        key: the caller's name for it, unique in a plan.
        size: bytes, at least 1.
        first: the first step of the program that it is in use at.
        last: the last such step; not before ``first``.
        block: buffers of one block keep their distances, and may overlap each other as the caller
            wants it. None for a buffer of its own.
        offset: bytes from the block's start; 0 without a block.
    """

    key: object
    size: int
    first: int
    last: int
    block: object = None
    offset: int = 0


@dataclass(frozen=True)
class Permit:
    """Two buffers that may overlap, though both are in use at one step.

    It holds for a layer's output and an input that an earlier step wrote and no later one reads:
    ``output`` starts at least ``lead`` bytes before ``input``; exactly ``lead`` bytes if
    ``exact``. Where both are in use at more than one step it has no effect.

    Attributes:
        output: key of the buffer that is written.
        input: key of the buffer that is read.
        lead: bytes; may be negative.
        exact: whether no other distance is right.
    """

    output: object
    input: object
    lead: int = 0
    exact: bool = False


def align(size: int) -> int:
    """The next multiple of :data:`ALIGNMENT`."""
    return -(-size // ALIGNMENT) * ALIGNMENT


class Problem:
    """Blocks by number, and what keeps them apart.

    Positions, sizes and distances are multiples of :data:`ALIGNMENT`, counted in such multiples.

    Attributes:
        sizes: of each block.
        first: of each block, the first step that it is in use at.
        last: of each block, the last such step.
        block_of: key of a buffer to its block.
        forbidden: of each block, other blocks to the distances ``this position - that position``
            at which the two collide; only blocks that could.
        touches: of each block, other blocks to the distances that a permit offers.
    """

    def __init__(self, buffers: Sequence[Buffer], permits: Sequence[Permit] = ()) -> None:
        numbers: dict[object, int] = {}
        self.block_of: dict[object, int] = {}
        self.sizes: list[int] = []
        self.first: list[int] = []
        self.last: list[int] = []
        for buffer in buffers:
            name = ("buffer", buffer.key) if buffer.block is None else ("block", buffer.block)
            number = numbers.setdefault(name, len(numbers))
            if number == len(self.sizes):
                self.sizes.append(0)
                self.first.append(buffer.first)
                self.last.append(buffer.last)
            size = align(buffer.offset + buffer.size) // ALIGNMENT
            self.sizes[number] = max(self.sizes[number], size)
            self.first[number] = min(self.first[number], buffer.first)
            self.last[number] = max(self.last[number], buffer.last)
            self.block_of[buffer.key] = number
        self.forbidden: list[dict[int, Intervals]] = [{} for _ in self.sizes]
        self.touches: list[list[tuple[int, int]]] = [[] for _ in self.sizes]
        self._fill(buffers, {(each.output, each.input): each for each in permits})

    def _fill(
        self, buffers: Sequence[Buffer], permits: Mapping[tuple[object, object], Permit]
    ) -> None:
        collisions: dict[tuple[int, int], list[tuple[int, int]]] = {}
        for earlier, later in _meeting(buffers):
            pair = (self.block_of[later.key], self.block_of[earlier.key])
            if pair[0] == pair[1]:
                continue
            distances = [_collision(later, earlier)]
            permit = permits.get((later.key, earlier.key))
            if permit is not None and earlier.last == later.first:
                distances = _permitted(later, earlier, permit)
                self._offer(pair, later, earlier, permit)
            collisions.setdefault(pair, []).extend(distances)
        for (one, other), distances in collisions.items():
            both = union((*distances, *self.forbidden[one].get(other, ())))
            self.forbidden[one][other] = both
            self.forbidden[other][one] = negated(both)

    def _offer(self, pair: tuple[int, int], output: Buffer, source: Buffer, permit: Permit) -> None:
        distance = (source.offset - output.offset - permit.lead) // ALIGNMENT
        self.touches[pair[0]].append((pair[1], distance))
        self.touches[pair[1]].append((pair[0], -distance))

    def extent(self, positions: Sequence[int]) -> int:
        """The end of the block that ends last."""
        return max((at + size for at, size in zip(positions, self.sizes, strict=True)), default=0)


def _meeting(buffers: Sequence[Buffer]) -> Iterator[tuple[Buffer, Buffer]]:
    """All pairs in use at one step, the one that is first in use before the other."""
    active: list[Buffer] = []
    for buffer in sorted(buffers, key=lambda each: each.first):
        active = [each for each in active if each.last >= buffer.first]
        for other in active:
            yield other, buffer
        active.append(buffer)


def _collision(one: Buffer, other: Buffer) -> tuple[int, int]:
    """Distances ``position of one - position of other`` at which their bytes overlap."""
    between = other.offset - one.offset
    return _inside(between - one.size, between + other.size)


def _permitted(output: Buffer, source: Buffer, permit: Permit) -> list[tuple[int, int]]:
    """What remains of :func:`_collision` with a permit."""
    between = source.offset - output.offset
    low, high = between - output.size, between + source.size
    lead = between - permit.lead
    if not permit.exact:
        return [_inside(max(low, lead), high)]
    if not low < lead < high:
        return [_inside(low, high)]
    return [_inside(low, lead), _inside(lead, high)]


def _inside(low: int, high: int) -> tuple[int, int]:
    """The multiples of ALIGNMENT between two byte distances, without these."""
    return low // ALIGNMENT + 1, -(-high // ALIGNMENT) - 1
