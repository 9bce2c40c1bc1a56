"""Sets of integers as sorted intervals, for where a buffer may lie."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

__all__ = ["ENDLESS", "Intervals", "complement", "intersection", "negated", "union", "widened"]

#: (lowest, highest) of each interval, both inside it; sorted, with a gap between any two.
Intervals: TypeAlias = tuple[tuple[int, int], ...]

#: Beyond every offset, and every sum of a few of them.
ENDLESS = 1 << 48


def union(intervals: Iterable[tuple[int, int]]) -> Intervals:
    """All integers of any of the intervals; they may come in any order, overlap and be empty."""
    merged: list[tuple[int, int]] = []
    for low, high in sorted(each for each in intervals if each[0] <= each[1]):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], high))
        else:
            merged.append((low, high))
    return tuple(merged)


def intersection(left: Intervals, right: Intervals) -> Intervals:
    """What is in both."""
    return union(
        (max(low, other_low), min(high, other_high))
        for low, high in left
        for other_low, other_high in right
    )


def complement(intervals: Intervals) -> Intervals:
    """What is in none, from -ENDLESS to ENDLESS."""
    gaps = []
    start = -ENDLESS
    for low, high in intervals:
        gaps.append((start, low - 1))
        start = high + 1
    gaps.append((start, ENDLESS))
    return union(gaps)


def negated(intervals: Intervals) -> Intervals:
    """The integers with their signs changed."""
    return tuple((-high, -low) for low, high in reversed(intervals))


def widened(intervals: Intervals, distances: Intervals) -> Intervals:
    """Every sum of one integer of each (the Minkowski sum)."""
    return union(
        (low + nearest, high + farthest)
        for low, high in intervals
        for nearest, farthest in distances
    )
