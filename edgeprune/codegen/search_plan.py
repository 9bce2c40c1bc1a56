"""A small arena for any graph: greedy plans, then a search of bounded length."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from edgeprune.codegen.distances import Problem

__all__ = ["search"]

#: Collisions that the search looks at before it stops: for each block, and in all (less than a
#: second).
_WORK_OF_BLOCK = 2_000
_MOST_WORK = 250_000
#: Attempts at one size that fail before the search starts from another order.
_PATIENCE = 24

#: Where a block is put among the positions that are free: the lowest, the highest, or one at which
#: it overlaps a block as a permit allows, if there is one.
_Side: TypeAlias = Literal["low", "high", "touching"]
_SIDES: tuple[_Side, ...] = ("low", "high", "touching")


@dataclass
class _Recipe:
    """What a greedy plan is made by: the order of the blocks, and the side of each."""

    order: list[int]
    sides: list[_Side]

    def copy(self) -> _Recipe:
        return _Recipe(order=self.order.copy(), sides=self.sides.copy())


def search(problem: Problem, bound: int) -> list[int]:
    """Every block's position in the smallest arena that was found; the same in every run.

    First come greedy plans: blocks by size, by time and by what they collide with, each block at
    the lowest position that is free, at both ends of an arena of ``bound``, or touching. Then
    "squeaky wheel" optimization (Joslin & Clements 1999): a block that finds no room in an arena
    smaller than the best one moves forward in the order, and now and then changes its side.
    """
    return _Search(problem, bound).run()


class _Search:
    def __init__(self, problem: Problem, bound: int) -> None:
        self._problem = problem
        self._bound = bound
        self._work = 0
        self._most_work = min(_WORK_OF_BLOCK * len(problem.sizes), _MOST_WORK)
        self._best: list[int] = []
        self._size = 0
        self._endless = 2 * sum(problem.sizes) + 1

    def run(self) -> list[int]:
        recipes = self._greedy()
        if self._size <= self._bound:
            return self._best
        rng = random.Random(0)  # noqa: S311 - the same plan in every run, not a secret
        round_ = 0
        while self._work < self._most_work and self._size > self._bound:
            recipe = recipes[round_ % len(recipes)].copy()
            if round_ >= len(recipes):
                _shuffle(recipe, rng)
            self._squeeze(recipe, rng)
            round_ += 1
        return self._best

    def _greedy(self) -> list[_Recipe]:
        """Greedy plans from several orders; keeps the best, and returns the recipes, best first."""
        problem = self._problem
        blocks = range(len(problem.sizes))
        crowd = [
            problem.sizes[block] + sum(problem.sizes[other] for other in problem.forbidden[block])
            for block in blocks
        ]
        orders: tuple[Callable[[int], tuple[int, ...]], ...] = (
            lambda block: (problem.first[block], -problem.last[block], -problem.sizes[block]),
            lambda block: (-problem.sizes[block], problem.first[block]),
            lambda block: (-crowd[block], problem.first[block]),
            lambda block: (-problem.last[block], problem.first[block], -problem.sizes[block]),
        )
        ranked: list[tuple[int, int, _Recipe]] = []
        for key in orders:
            order = sorted(blocks, key=key)
            for side in (None, "touching", "low"):
                sides: list[_Side] = [side or "low"] * len(order)
                recipe = _Recipe(order=order, sides=sides)
                capacity = self._endless if side else self._bound
                positions, _ = self._place(recipe, capacity, both_ends=side is None)
                size = self._endless
                if positions is not None:
                    size = problem.extent(positions)
                    self._keep(positions)
                ranked.append((size, len(ranked), recipe))
                if self._best and self._size <= self._bound:
                    return []
        return [recipe for _, _, recipe in sorted(ranked, key=lambda each: each[:2])]

    def _keep(self, positions: list[int]) -> None:
        size = self._problem.extent(positions)
        if not self._best or size < self._size:
            self._best, self._size = positions, size

    def _squeeze(self, recipe: _Recipe, rng: random.Random) -> None:
        """Try sizes below the best one until many attempts in a row have failed."""
        failures = 0
        while failures < _PATIENCE and self._work < self._most_work and self._size > self._bound:
            positions, stuck = self._place(recipe, self._size - 1)
            if positions is not None:
                self._keep(positions)
                failures = 0
                continue
            failures += 1
            at = recipe.order.index(stuck)
            recipe.order.insert(rng.randrange(at + 1), recipe.order.pop(at))
            if rng.random() < 0.5:
                other = rng.choice([stuck, *self._problem.forbidden[stuck]])
                recipe.sides[other] = rng.choice(_SIDES)

    def _place(
        self, recipe: _Recipe, capacity: int, *, both_ends: bool = False
    ) -> tuple[list[int] | None, int]:
        """A position for each block in an arena of ``capacity``; else None and who has no room."""
        positions: list[int | None] = [None] * len(recipe.order)
        for block in recipe.order:
            position = self._position(
                block, recipe.sides[block], positions, capacity, both_ends=both_ends
            )
            if position is None:
                return None, block
            positions[block] = position
        return [each for each in positions if each is not None], -1

    def _position(
        self,
        block: int,
        side: _Side,
        positions: Sequence[int | None],
        capacity: int,
        *,
        both_ends: bool,
    ) -> int | None:
        last = capacity - self._problem.sizes[block]
        taken = self._taken(block, positions)
        if side == "touching":
            found = self._touching(block, positions, taken, last)
            if found is not None:
                return found
        if side == "high":
            return _highest(taken, last)
        low = _lowest(taken)
        if both_ends and low > 0:
            high = _highest(taken, last)
            return high if high == last or low > last else low
        return low if low <= last else None

    def _taken(self, block: int, positions: Sequence[int | None]) -> list[tuple[int, int]]:
        """Intervals of positions at which the block would collide, sorted by their start."""
        neighbours = self._problem.forbidden[block]
        self._work += 1 + len(neighbours)
        taken = []
        for other, distances in neighbours.items():
            at = positions[other]
            if at is not None:
                taken += [(at + low, at + high) for low, high in distances]
        taken.sort()
        return taken

    def _touching(
        self,
        block: int,
        positions: Sequence[int | None],
        taken: Sequence[tuple[int, int]],
        last: int,
    ) -> int | None:
        for other, distance in self._problem.touches[block]:
            at = positions[other]
            if at is None:
                continue
            wanted = at + distance
            if 0 <= wanted <= last and not any(low <= wanted <= high for low, high in taken):
                return wanted
        return None


def _lowest(taken: Sequence[tuple[int, int]]) -> int:
    position = 0
    for low, high in taken:
        if low > position:
            break
        position = max(position, high + 1)
    return position


def _highest(taken: Sequence[tuple[int, int]], last: int) -> int | None:
    position = last
    for low, high in sorted(taken, key=lambda each: -each[1]):
        if high < position:
            break
        position = min(position, low - 1)
    return position if position >= 0 else None


def _shuffle(recipe: _Recipe, rng: random.Random) -> None:
    """Move some blocks elsewhere in the order, and change some sides."""
    count = len(recipe.order)
    for _ in range(max(2, count // 4)):
        recipe.order.insert(rng.randrange(count), recipe.order.pop(rng.randrange(count)))
        recipe.sides[rng.randrange(count)] = rng.choice(_SIDES)
