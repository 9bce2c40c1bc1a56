"""The smallest arena of a chain, exactly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from edgeprune.codegen.distances import Problem
from edgeprune.codegen.intervals import (
    ENDLESS,
    Intervals,
    complement,
    intersection,
    negated,
    union,
    widened,
)

__all__ = ["place_chain"]

_ANYWHERE: Intervals = ((-ENDLESS, ENDLESS),)


@dataclass(frozen=True)
class _Link:
    """A block of the chain, and the scratch that is in use with it and the block before it."""

    block: int
    scratch: int | None = None


def place_chain(problem: Problem, bound: int) -> list[int] | None:
    """Every block's position in the smallest arena; None for what is not a chain.

    A chain is a sequence of blocks of which each collides with the one before and the one after
    only, and, for two that follow each other, at most one more block that collides with nothing
    else and goes below or above each: the layer's scratch.

    For an arena of a given size, the set of positions that each block can take follows from that
    of the block before it; sets are a few intervals. The size is found by bisection from ``bound``.
    """
    links = _links(problem)
    if links is None:
        return None
    best = _Chain(problem, links, bound).positions()
    if best is not None:
        return best
    too_small, enough = bound, sum(problem.sizes)
    best = _Chain(problem, links, enough).positions()
    while enough - too_small > 1:
        size = (too_small + enough) // 2
        positions = _Chain(problem, links, size).positions()
        if positions is None:
            too_small = size
        else:
            best, enough = positions, problem.extent(positions)
    return best


def _links(problem: Problem) -> list[_Link] | None:
    """The chain from its first block to its last; None where there is none."""
    is_brief = [first == last for first, last in zip(problem.first, problem.last, strict=True)]
    order = sorted(
        (block for block, brief in enumerate(is_brief) if not brief),
        key=lambda block: (problem.first[block], problem.last[block]),
    )
    place = {block: number for number, block in enumerate(order)}
    for block in order:
        if any(
            abs(place[each] - place[block]) > 1
            for each in problem.forbidden[block]
            if each in place
        ):
            return None
    scratch: dict[int, int] = {}
    for block in (block for block, brief in enumerate(is_brief) if brief):
        neighbours = problem.forbidden[block]
        if problem.touches[block] or any(
            each not in place or len(far) != 1 or not far[0][0] <= 0 <= far[0][1]
            for each, far in neighbours.items()
        ):
            return None
        numbers = sorted(place[each] for each in neighbours)
        if len(numbers) > 2 or (len(numbers) == 2 and numbers[1] - numbers[0] > 1):
            return None
        at = numbers[-1] if numbers else 0
        if at in scratch:
            return None
        scratch[at] = block
    if not order:
        return None if len(problem.sizes) > 1 else [_Link(block) for block in scratch.values()]
    return [_Link(block, scratch.get(number)) for number, block in enumerate(order)]


class _Chain:
    """The positions that are possible in an arena of one size."""

    def __init__(self, problem: Problem, links: Sequence[_Link], size: int) -> None:
        self._problem = problem
        self._links = links
        self._size = size

    def positions(self) -> list[int] | None:
        """A position for each block; None where the arena is too small."""
        possible = [self._alone(link) for link in self._links[:1]]
        for before, link in pairwise(self._links):
            possible.append(self._step(possible[-1], before.block, link.block, link.scratch))
        if any(not each for each in possible) or not self._fits():
            return None
        positions = [0] * len(self._problem.sizes)
        wanted: Intervals = _ANYWHERE
        for number in reversed(range(len(self._links))):
            link = self._links[number]
            here = intersection(possible[number], wanted)
            at = here[0][0]
            positions[link.block] = at
            if number:
                block = self._links[number - 1].block
                wanted = self._step(((at, at),), link.block, block, link.scratch)
        self._place_scratch(positions)
        return positions

    def _fits(self) -> bool:
        return max(self._problem.sizes, default=0) <= self._size

    def _room(self, block: int) -> Intervals:
        last = self._size - self._problem.sizes[block]
        return ((0, last),) if last >= 0 else ()

    def _distances(self, block: int, other: int) -> Intervals:
        """Allowed ``position of block - position of other``."""
        return complement(self._problem.forbidden[block].get(other, ()))

    def _beside(self, block: int, scratch: int, at: int) -> Intervals:
        """Where a block may lie while the scratch lies at ``at``."""
        return widened(((at, at),), self._distances(block, scratch))

    def _alone(self, link: _Link) -> Intervals:
        room = self._room(link.block)
        if link.scratch is None:
            return room
        ends = [0, self._size - self._problem.sizes[link.scratch]]
        return union(
            each
            for at in ends
            if at >= 0
            for each in intersection(room, self._beside(link.block, link.scratch, at))
        )

    def _step(
        self, possible: Intervals, block: int, following: int, scratch: int | None
    ) -> Intervals:
        """Where ``following`` may lie if ``block`` lies at one of the possible positions.

        The scratch lies at the arena's start, at its end, or between the two.
        """
        room = self._room(following)
        distances = self._distances(following, block)
        if scratch is None:
            return intersection(room, widened(possible, distances))
        cases = []
        for at in (0, self._size - self._problem.sizes[scratch]):
            if at >= 0:
                here = intersection(possible, self._beside(block, scratch, at))
                there = intersection(room, self._beside(following, scratch, at))
                cases.append(intersection(there, widened(here, distances)))
        if {block, following} <= self._problem.forbidden[scratch].keys():
            above = self._past(block, scratch, following)
            below = negated(self._past(following, scratch, block))
            apart = intersection(distances, union((*above, *below)))
            cases.append(intersection(room, widened(possible, apart)))
        return union(each for case in cases for each in case)

    def _past(self, block: int, scratch: int, following: int) -> Intervals:
        """Distances that leave the scratch room between ``block`` and then ``following``."""
        least = _least(self._distances(scratch, block)) + _least(
            self._distances(following, scratch)
        )
        return ((least, ENDLESS),)

    def _place_scratch(self, positions: list[int]) -> None:
        for link in self._links:
            if link.scratch is None:
                continue
            allowed = self._room(link.scratch)
            for other in self._problem.forbidden[link.scratch]:
                at = positions[other]
                distances = self._distances(link.scratch, other)
                allowed = intersection(allowed, widened(((at, at),), distances))
            positions[link.scratch] = allowed[0][0]


def _least(distances: Intervals) -> int:
    """The least distance from which on all are allowed."""
    return max(0, distances[-1][0])
