"""Groups of taps whose products fit 16 bits: what lets one multiplication make two products.

See ``scalar_dot.h``. The larger a group, the fewer times its sums are taken apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["STEPS", "Arrangement", "arrange", "arrange_nested"]

#: Taps of one turn of the loop, by size of the groups: EDGEPRUNE_SCALAR_STEP of ``scalar_dot.h``.
STEPS = {2: 4, 3: 6, 4: 8, 6: 6, 8: 8}
#: The absolute weights of a group add up to at most this: 255 * 128 fits 16 bits.
_MOST = 255
#: Groups of two that may follow the last turn; these fit whatever their weights are.
_MOST_PAIRS = 3
#: Turns that the loop's counter can count.
_MOST_TURNS = 127
#: Values of a vector that an order of bytes can name.
_MOST_ORDERED = 256


@dataclass(frozen=True, eq=False)
class Arrangement:
    """The order in which a filter's taps are taken.

    Attributes:
        group: taps in a group of the loop.
        turns: of the loop.
        order: int64 ``[taps]``, which value each tap meets; numbers from the filter's depth on
            stand for taps of weight 0 that fill up.
        depth: values of a filter.
    """

    group: int
    turns: int
    order: npt.NDArray[np.int64]
    depth: int

    @property
    def taps(self) -> int:
        """Taps, those that fill up included."""
        return len(self.order)

    @property
    def is_ordered(self) -> bool:
        """Whether the taps leave their natural order."""
        return bool(np.any(self.order != np.arange(self.taps)))

    def arrange(self, rows: npt.NDArray[Any]) -> npt.NDArray[np.int8]:
        """Rows of weights ``[outputs, depth]`` as ``[outputs, taps]``."""
        values = max(self.taps, self.depth, int(self.order.max()) + 1)
        filled = np.zeros((len(rows), values), dtype=np.int8)
        filled[:, : self.depth] = rows
        return np.ascontiguousarray(filled[:, self.order])

    def indices(self) -> npt.NDArray[np.int8]:
        """The order as bytes; taps that fill up meet value 0."""
        return np.where(self.order < self.depth, self.order, 0).astype(np.uint8).view(np.int8)


def arrange(rows: npt.NDArray[Any], cost: Mapping[int, float]) -> Arrangement | None:
    """Order the taps in the groups that cost least.

    Args:
        rows: int8 weights ``[outputs, depth]``.
        cost: instructions of one tap in groups of so many.

    Returns:
        None where no order that the kernel can take keeps the sums in 16 bits.
    """
    magnitudes = np.abs(rows.astype(np.int64))
    layouts = sorted(
        (_Layout.of(rows.shape[1], group, cost) for group in STEPS),
        key=lambda each: each.cost(cost),
    )
    for layout in layouts:
        if layout.turns > _MOST_TURNS:
            continue
        order = _order(magnitudes, layout)
        if order is not None:
            return Arrangement(layout.group, layout.turns, order, rows.shape[1])
    return None


def arrange_nested(
    rows: npt.NDArray[Any], depths: Sequence[int], cost: Mapping[int, float]
) -> dict[int, Arrangement] | None:
    """Order the taps so that each smaller depth has the first turns of the larger ones.

    Args:
        rows: int8 weights ``[outputs, depth]`` of the widest layer.
        depths: of all members of the nest, in any order; the largest is that of ``rows``.
        cost: instructions of one tap in groups of so many.

    Returns:
        Depth to its arrangement, whose weights are the first taps of the widest one's; None where
        no order that the kernel can take keeps the sums in 16 bits.
    """
    ends = sorted(set(depths))
    if len(ends) == 1:
        only = arrange(rows, cost)
        return None if only is None else {ends[0]: only}
    magnitudes = np.abs(rows.astype(np.int64))
    for group in sorted(STEPS, key=lambda each: cost[each]):
        made = _blocks(magnitudes, ends, group)
        if made is not None:
            return made
    return None


def _blocks(
    magnitudes: npt.NDArray[np.int64], ends: Sequence[int], group: int
) -> dict[int, Arrangement] | None:
    """What each depth adds to the one before it in whole turns of its own."""
    step, whole = STEPS[group], ends[-1]
    orders: list[npt.NDArray[np.int64]] = []
    made: dict[int, Arrangement] = {}
    turns = start = 0
    for end in ends:
        block = _Layout(group, -(-(end - start) // step), 0)
        order = _order(magnitudes[:, start:end], block)
        if order is None:
            return None
        # What fills up is numbered behind all values of the widest.
        fills = (order >= end - start) & (end < whole)
        orders.append(order + np.where(fills, whole, start))
        turns += block.turns
        taps = np.concatenate(orders)
        made[end] = Arrangement(group, turns, taps, whole)
        start = end
    is_ordered = made[whole].is_ordered
    if turns > _MOST_TURNS or (is_ordered and whole > _MOST_ORDERED):
        return None
    return made


@dataclass(frozen=True)
class _Layout:
    """Whole turns of the loop, then groups of two."""

    group: int
    turns: int
    pairs: int

    @classmethod
    def of(cls, depth: int, group: int, cost: Mapping[int, float]) -> _Layout:
        """The cheapest for a depth: what is left over fills another turn, or goes in pairs."""
        turns, left = divmod(depth, STEPS[group])
        pairs = -(-left // 2)
        filled = cls(group, turns + (left > 0), 0)
        paired = cls(group, turns, pairs)
        can_pair = turns > 0 and pairs <= _MOST_PAIRS
        return paired if can_pair and paired.cost(cost) <= filled.cost(cost) else filled

    @property
    def starts(self) -> npt.NDArray[np.int64]:
        """Where each group starts."""
        looped = self.turns * STEPS[self.group]
        paired = np.arange(looped, self.taps, 2)
        return np.concatenate([np.arange(0, looped, self.group), paired]).astype(np.int64)

    @property
    def taps(self) -> int:
        return self.turns * STEPS[self.group] + 2 * self.pairs

    def cost(self, cost: Mapping[int, float]) -> float:
        return self.turns * STEPS[self.group] * cost[self.group] + 2 * self.pairs * cost[2]


def _order(magnitudes: npt.NDArray[np.int64], layout: _Layout) -> npt.NDArray[np.int64] | None:
    """The natural order if it will do, else one found by exchanging taps; None for neither."""
    depth = magnitudes.shape[1]
    filled = np.zeros((len(magnitudes), layout.taps), dtype=np.int64)
    filled[:, :depth] = magnitudes
    natural = np.arange(layout.taps)
    if not _excess(_sums(filled[:, natural], layout)).any():
        return natural
    return _exchange(filled, layout) if depth <= _MOST_ORDERED else None


def _sums(taps: npt.NDArray[np.int64], layout: _Layout) -> npt.NDArray[np.int64]:
    """The sum of each group, for each output."""
    return np.asarray(np.add.reduceat(taps, layout.starts, axis=1))


def _excess(sums: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """By how much each group exceeds the limit, over all outputs."""
    return np.asarray(np.maximum(sums - _MOST, 0).sum(axis=0))


def _dealt(filled: npt.NDArray[np.int64], layout: _Layout) -> npt.NDArray[np.int64]:
    """The heaviest taps in the pairs, the others dealt out evenly to the groups of the loop."""
    heavy = np.argsort(-filled.sum(axis=0), kind="stable")
    looped = heavy[2 * layout.pairs :].reshape(layout.group, -1)
    looped[1::2] = looped[1::2, ::-1].copy()
    return np.concatenate([looped.T.reshape(-1), heavy[: 2 * layout.pairs]])


def _exchange(filled: npt.NDArray[np.int64], layout: _Layout) -> npt.NDArray[np.int64] | None:
    """Exchange taps between the worst group and others until no group exceeds the limit.

    Steepest descent; None where it gets stuck.
    """
    order = _dealt(filled, layout)
    starts = layout.starts
    owner = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, layout.taps)))
    while True:
        sums = _sums(filled[:, order], layout)
        excess = _excess(sums)
        if not excess.any():
            return order
        worst = int(np.argmax(excess))
        theirs = filled[:, order]
        best, exchanged = 0, (0, 0)
        for place in np.flatnonzero(owner == worst):
            ours = filled[:, order[place], np.newaxis]
            change = (
                _excess(sums[:, worst, np.newaxis] - ours + theirs)
                + _excess(sums[:, owner] - theirs + ours)
                - excess[worst]
                - excess[owner]
            )
            change[owner == worst] = 0
            other = int(np.argmin(change))
            if change[other] < best:
                best, exchanged = int(change[other]), (int(place), other)
        if best == 0:
            return None
        first, second = exchanged
        order[first], order[second] = order[second], order[first]
