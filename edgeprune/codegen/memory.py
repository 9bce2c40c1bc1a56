"""Where every buffer lies in the arena, decided before anything runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

__all__ = ["ALIGNMENT", "Buffer", "Placement", "lower_bound", "plan"]

#: Every buffer starts at a multiple of this: a word, for kernels that load words.
ALIGNMENT = 4


@dataclass(frozen=True)
class Buffer:
    """Bytes that must keep their place for a while.

    Attributes:
        key: the caller's name for it, unique in a plan.
        size: bytes, at least 1.
        first: the first step of the program that it is in use at.
        last: the last such step; not before ``first``.
    """

    key: object
    size: int
    first: int
    last: int

    def meets(self, other: Buffer) -> bool:
        """Whether both are in use at some step."""
        return self.first <= other.last and other.first <= self.last


@dataclass(frozen=True)
class Placement:
    """A plan: every buffer's offset, and the size of the arena that holds them."""

    offsets: dict[object, int]
    size: int


#: An offset and the buffer that lies there.
_Placed = tuple[int, Buffer]


def plan(buffers: Sequence[Buffer]) -> Placement:
    """Place buffers so that no two that are in use at one step overlap.

    First it tries to reach :func:`lower_bound`, from both ends of an arena of that size; with a
    chain, where each buffer is in use together with its neighbours only, it always does. Otherwise
    it takes the smaller of two greedy plans (Pisarchyk & Lee 2020, "Efficient Memory Management
    for Deep Neural Net Inference"): from the largest buffer down, or from the first used on, each
    at the lowest offset where it fits.
    """
    by_size = sorted(buffers, key=lambda each: (-each.size, each.first))
    by_time = sorted(buffers, key=lambda each: (each.first, -each.last, -each.size))
    bound = lower_bound(buffers)
    for order in (by_time, by_size):
        placed = _from_both_ends(order, bound)
        if placed is not None:
            return _placement(placed)
    return min(
        (_placement(_lowest_first(order)) for order in (by_size, by_time)),
        key=lambda each: each.size,
    )


def lower_bound(buffers: Sequence[Buffer]) -> int:
    """The most bytes that are in use at one step: no plan is smaller."""
    steps = {buffer.first for buffer in buffers}
    return max(
        (
            sum(_align(each.size) for each in buffers if each.first <= step <= each.last)
            for step in steps
        ),
        default=0,
    )


def _from_both_ends(order: Sequence[Buffer], size: int) -> list[_Placed] | None:
    """Each buffer at an end of an arena of ``size``, or as low as it fits; None where it won't."""
    placed: list[_Placed] = []
    for buffer in order:
        length = _align(buffer.size)
        gaps = [(start, end) for start, end in _gaps(buffer, placed, size) if end - start >= length]
        if not gaps:
            return None
        (low, _), (_, top) = gaps[0], gaps[-1]
        at_top = low > 0 and top == size
        placed.append((size - length if at_top else low, buffer))
    return placed


def _lowest_first(order: Sequence[Buffer]) -> list[_Placed]:
    """Each buffer at the lowest offset where it fits, in an arena without end."""
    endless = sum(_align(buffer.size) for buffer in order)
    placed: list[_Placed] = []
    for buffer in order:
        gaps = _gaps(buffer, placed, endless)
        offset = next(start for start, end in gaps if end - start >= _align(buffer.size))
        placed.append((offset, buffer))
    return placed


def _gaps(buffer: Buffer, placed: Sequence[_Placed], size: int) -> Iterator[tuple[int, int]]:
    """What lies free in an arena of ``size`` while the buffer is in use, from low to high."""
    start = 0
    for offset, other in sorted(
        (each for each in placed if each[1].meets(buffer)), key=lambda each: each[0]
    ):
        if offset > start:
            yield start, offset
        start = max(start, offset + _align(other.size))
    if size > start:
        yield start, size


def _placement(placed: Sequence[_Placed]) -> Placement:
    return Placement(
        offsets={buffer.key: offset for offset, buffer in placed},
        size=max((offset + _align(buffer.size) for offset, buffer in placed), default=0),
    )


def _align(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
