"""The arena's plan: valid, and as small as an exhaustive search where that is feasible."""

from __future__ import annotations

import itertools
import random

import pytest

from edgeprune.codegen.memory import ALIGNMENT, Buffer, Placement, lower_bound, plan


def _overlap(a: tuple[int, int], b: tuple[int, int]) -> bool:
    return a[0] < b[0] + b[1] and b[0] < a[0] + a[1]


def _assert_valid(buffers: list[Buffer], placement: Placement) -> None:
    for buffer in buffers:
        offset = placement.offsets[buffer.key]
        assert offset >= 0
        assert offset % ALIGNMENT == 0
        assert offset + buffer.size <= placement.size
    for one, other in itertools.combinations(buffers, 2):
        in_use_together = max(one.first, other.first) <= min(one.last, other.last)
        if in_use_together:
            assert not _overlap(
                (placement.offsets[one.key], one.size), (placement.offsets[other.key], other.size)
            ), f"{one} and {other}"


def _smallest(buffers: list[Buffer]) -> int:
    """The smallest arena there is: some order of lowest-first placing always reaches it."""
    best = 1 << 60
    for order in itertools.permutations(buffers):
        placed: list[tuple[int, Buffer]] = []
        size = 0
        for buffer in order:
            taken = [
                (offset, each.size)
                for offset, each in placed
                if max(each.first, buffer.first) <= min(each.last, buffer.last)
            ]
            ends = [-(-(offset + length) // ALIGNMENT) * ALIGNMENT for offset, length in taken]
            offset = min(
                candidate
                for candidate in (0, *ends)
                if not any(_overlap((candidate, buffer.size), each) for each in taken)
            )
            placed.append((offset, buffer))
            size = max(size, offset + buffer.size)
        best = min(best, -(-size // ALIGNMENT) * ALIGNMENT)
    return best


def _random_buffers(rng: random.Random, count: int, steps: int) -> list[Buffer]:
    buffers = []
    for key in range(count):
        first = rng.randrange(steps)
        last = min(steps - 1, first + rng.randrange(4))
        buffers.append(Buffer(key=key, size=rng.randrange(1, 200), first=first, last=last))
    return buffers


def _chain(sizes: list[int]) -> list[Buffer]:
    """Each layer reads the last tensor and writes the next."""
    return [Buffer(key=i, size=size, first=i - 1, last=i) for i, size in enumerate(sizes)]


def test_a_chain_takes_its_largest_neighbours() -> None:
    buffers = _chain([490, 8000, 8000, 8000, 64, 12])
    placement = plan(buffers)
    _assert_valid(buffers, placement)
    assert placement.size == 16_000


@pytest.mark.parametrize("seed", range(20))
def test_chains_are_planned_optimally(seed: int) -> None:
    rng = random.Random(seed)
    buffers = _chain([rng.randrange(1, 3000) for _ in range(rng.randrange(2, 30))])
    placement = plan(buffers)
    _assert_valid(buffers, placement)
    assert placement.size == lower_bound(buffers)


def test_small_graphs_against_an_exhaustive_search() -> None:
    rng = random.Random(5)
    ratios = []
    for _ in range(60):
        buffers = _random_buffers(rng, count=rng.randrange(2, 7), steps=5)
        placement = plan(buffers)
        _assert_valid(buffers, placement)
        smallest = _smallest(buffers)
        assert lower_bound(buffers) <= smallest <= placement.size
        ratios.append(placement.size / smallest)
    assert max(ratios) <= 1.35
    assert sum(ratio == 1.0 for ratio in ratios) >= 54


def test_large_graphs_are_valid() -> None:
    rng = random.Random(9)
    for _ in range(30):
        buffers = _random_buffers(rng, count=60, steps=30)
        placement = plan(buffers)
        _assert_valid(buffers, placement)
        assert placement.size < 1.5 * lower_bound(buffers)


def test_nothing_takes_nothing() -> None:
    assert plan([]) == Placement(offsets={}, size=0)
    assert lower_bound([]) == 0
