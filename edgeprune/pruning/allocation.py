"""Allocation: how much of which layer goes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgeprune.pruning.masks import Mask

__all__ = ["Allocation", "Global", "Listed", "PerLayer", "Row", "lowest", "make_allocation"]

#: float64 scores of what can be taken out of one layer, or of layers that an addition joins;
#: minus infinity for what is gone already.
Row = NDArray[np.float64]


class Allocation(Protocol):
    """Divides the sparsity among layers."""

    def shares(self, rows: Sequence[Row], sparsity: float, layers: Sequence[str]) -> list[float]:
        """How much goes.

        Args:
            rows: scores that can be ranked against each other, a row a layer.
            sparsity: share to take out of all of them.
            layers: the name of each row's layer; of layers that an addition joins, any one.

        Returns:
            The share to take out of each row.
        """


class PerLayer:
    """The same share of every layer."""

    def shares(self, rows: Sequence[Row], sparsity: float, layers: Sequence[str]) -> list[float]:
        """The sparsity itself, for each row."""
        return [sparsity] * len(rows)


@dataclass(frozen=True)
class Listed:
    """A share for each layer, approached by all of them at one pace.

    Attributes:
        final: the sparsity at which each layer has its share, above 0.
        by_layer: layer name → its share.
    """

    final: float
    by_layer: Mapping[str, float]

    def shares(self, rows: Sequence[Row], sparsity: float, layers: Sequence[str]) -> list[float]:
        """As much of each layer's share as the sparsity is of the final one."""
        return [self.by_layer[layer] * (sparsity / self.final) for layer in layers]


@dataclass(frozen=True)
class Global:
    """The lowest scores of the whole network, wherever they are.

    Left alone it can empty a layer and cut the network in two (Tanaka, Kunin, Yamins & Ganguli
    2020, "Pruning Neural Networks without Any Data by Iteratively Conserving Synaptic Flow").

    Attributes:
        floor: share from 0 to 1 of what a layer would keep under :class:`PerLayer` that it keeps
            in any case; at least its highest score stays.
    """

    floor: float

    def shares(self, rows: Sequence[Row], sparsity: float, layers: Sequence[str]) -> list[float]:
        """Rank all rows together, apart from the highest of each."""
        if not rows:
            return []
        ranked = np.concatenate([self._held(row, sparsity) for row in rows])
        goes = lowest(ranked, round(sparsity * len(ranked))) & (ranked < np.inf)
        ends = np.cumsum([len(row) for row in rows])
        return [float(part.mean()) for part in np.split(goes, ends[:-1])]

    def _held(self, row: Row, sparsity: float) -> Row:
        """The row with infinite scores where the floor holds."""
        count = max(1, math.ceil(self.floor * (1 - sparsity) * len(row)))
        held = row.copy()
        held[np.argsort(row, kind="stable")[len(row) - count :]] = np.inf
        return held


def lowest(scores: NDArray[np.floating], count: int) -> Mask:
    """True at the lowest scores, and at all that are minus infinity: what is gone stays gone.

    Args:
        scores: of any shape; of equal ones the first go.
        count: how many.
    """
    ranked = scores.ravel()
    goes = np.zeros(ranked.size, dtype=np.bool_)
    goes[np.argsort(ranked, kind="stable")[:count]] = True
    return (goes | np.isneginf(ranked)).reshape(scores.shape)


def make_allocation(name: str, *, floor: float) -> Allocation:
    """The allocation of a recipe.

    Args:
        name: ``layer`` or ``global``.
        floor: for global.
    """
    return Global(floor) if name == "global" else PerLayer()
