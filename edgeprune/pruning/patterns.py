"""Structures that zero weights and leave the network's shape: single weights, blocks, N:M."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from edgeprune.errors import TrainingError
from edgeprune.pruning.allocation import Allocation, PerLayer, Row, lowest
from edgeprune.pruning.channels import ChannelMap, Kernel
from edgeprune.pruning.masks import Mask, Masks
from edgeprune.pruning.structures import LayerScores

__all__ = ["Pattern", "Tiles", "WeightGroups", "Weights", "single_weights"]

_T = TypeVar("_T", bound=np.generic)


class Pattern(Protocol):
    """What is taken out of a kernel at once.

    A kernel in Keras' layout is [..., inputs, outputs]. The compiled kernel of a convolution or a
    dense layer reads the weights of one output at a time, its inputs one after the other, so a
    pattern runs along the last two axes; each position of a wider convolution is on its own.
    """

    @property
    def key(self) -> str:
        """The key of a recipe that it comes from, and its value, for errors."""

    def fits(self, shape: tuple[int, ...]) -> bool:
        """Whether a kernel of a shape holds it at least once."""

    def pool(self, values: NDArray[np.floating]) -> NDArray[np.floating]:
        """Sums of values of a kernel's shape over what is taken out at once."""

    def gone(self, mask: Mask) -> Mask:
        """Which of what :meth:`pool` sums over is gone under a mask of the kernel's shape."""

    def spread(self, goes: Mask, shape: tuple[int, ...]) -> Mask:
        """The mask, of the kernel's shape, under which something is gone."""

    def choose(self, row: Row, share: float) -> Mask:
        """What goes, of the shape of ``row``: the lowest scores and what is gone already."""


class Tiles:
    """Blocks of neighbouring weights; 1×1 is a single weight.

    Weights at an edge that do not fill a block stay.

    Args:
        outputs: channels that a block spans.
        inputs: the same.
    """

    def __init__(self, outputs: int, inputs: int) -> None:
        self._outputs = outputs
        self._inputs = inputs

    @property
    def key(self) -> str:
        return f"pruning.block = [{self._outputs}, {self._inputs}]"

    def fits(self, shape: tuple[int, ...]) -> bool:
        """Whether there are channels for one block."""
        *_, inputs, outputs = shape
        return inputs >= self._inputs and outputs >= self._outputs

    def pool(self, values: NDArray[np.floating]) -> NDArray[np.floating]:
        """Sums [positions, input blocks, output blocks]."""
        sums: NDArray[np.floating] = self._tiled(values).sum(axis=(2, 4))
        return sums

    def gone(self, mask: Mask) -> Mask:
        """Blocks without a weight that stays."""
        return np.logical_not(self._tiled(mask).any(axis=(2, 4)))

    def spread(self, goes: Mask, shape: tuple[int, ...]) -> Mask:
        """False in every weight of a block that goes."""
        mask = np.ones((len(goes), *shape[-2:]), dtype=np.bool_)
        stays = (~goes).repeat(self._inputs, axis=1).repeat(self._outputs, axis=2)
        mask[:, : stays.shape[1], : stays.shape[2]] = stays
        return mask.reshape(shape)

    def choose(self, row: Row, share: float) -> Mask:
        """The lowest blocks."""
        return lowest(row, round(share * row.size))

    def _tiled(self, values: NDArray[_T]) -> NDArray[_T]:
        """Without the edges [positions, input blocks, inputs, output blocks, outputs]."""
        *_, inputs, outputs = values.shape
        down, across = inputs // self._inputs, outputs // self._outputs
        planes = values.reshape(-1, inputs, outputs)
        whole = planes[:, : down * self._inputs, : across * self._outputs]
        return whole.reshape(len(planes), down, self._inputs, across, self._outputs)


def single_weights() -> Tiles:
    """Every weight on its own."""
    return Tiles(1, 1)


class WeightGroups:
    """N:M sparsity: of M neighbouring inputs of an output at most N stay.

    Mishra, Latorre, Pool, Stosic, Stosic, Venkatesh, Yu & Micikevicius 2021, "Accelerating Sparse
    Deep Neural Networks". Below the final sparsity the lowest scores go first, wherever their group
    has more than N left. Inputs at the end that do not fill a group stay.

    Args:
        kept: N.
        size: M.
    """

    def __init__(self, kept: int, size: int) -> None:
        self._kept = kept
        self._size = size

    @property
    def key(self) -> str:
        return f'pruning.pattern = "{self._kept}:{self._size}"'

    def fits(self, shape: tuple[int, ...]) -> bool:
        """Whether there are inputs for one group."""
        return shape[-2] >= self._size

    def pool(self, values: NDArray[np.floating]) -> NDArray[np.floating]:
        """The values themselves [positions, groups, M, outputs]."""
        return self._grouped(values)

    def gone(self, mask: Mask) -> Mask:
        """Weights that are gone."""
        return ~self._grouped(mask)

    def spread(self, goes: Mask, shape: tuple[int, ...]) -> Mask:
        """False in every weight that goes."""
        positions, groups, size, outputs = goes.shape
        mask = np.ones((positions, *shape[-2:]), dtype=np.bool_)
        mask[:, : groups * size] = ~goes.reshape(positions, groups * size, outputs)
        return mask.reshape(shape)

    def choose(self, row: Row, share: float) -> Mask:
        """The lowest weights, of each group at most M - N."""
        order = np.argsort(row, axis=2, kind="stable")
        rank = np.argsort(order, axis=2, kind="stable")
        candidates = np.where(rank < self._size - self._kept, row, np.inf)
        return lowest(candidates, round(share * row.size))

    def _grouped(self, values: NDArray[_T]) -> NDArray[_T]:
        """Without the inputs at the end [positions, groups, M, outputs]."""
        *_, inputs, outputs = values.shape
        groups = inputs // self._size
        planes = values.reshape(-1, inputs, outputs)
        whole = planes[:, : groups * self._size]
        return whole.reshape(len(planes), groups, self._size, outputs)


class Weights:
    """Weights of the kernels of convolutions and dense layers, by a pattern.

    Depthwise kernels stay: they hold few weights, each of which matters. A layer too small for the
    pattern stays whole.

    Args:
        name: as recipes write it.
        pattern: what goes at once.
        allocation: how much of which layer goes.
        excluded: names of layers that stay whole.
    """

    takes_channels = False

    def __init__(
        self,
        name: str,
        pattern: Pattern,
        allocation: Allocation | None = None,
        excluded: Collection[str] = (),
    ) -> None:
        self.name = name
        self._pattern = pattern
        self._allocation = allocation or PerLayer()
        self._excluded = frozenset(excluded)

    def prunable(self, channels: ChannelMap) -> tuple[Kernel, ...]:
        """Kernels that are not excluded and large enough for the pattern.

        Raises:
            TrainingError: there is none.
        """
        free = [kernel for kernel in channels.kernels if kernel.layer not in self._excluded]
        if not free:
            raise TrainingError(
                "every layer is left alone",
                where="pruning.exclude",
                hint="fewer layers in pruning.exclude, or more in pruning.only",
            )
        fitting = tuple(kernel for kernel in free if self._pattern.fits(kernel.shape))
        if not fitting:
            raise TrainingError(
                "no layer that may be pruned has as many channels",
                where=self._pattern.key,
                hint="a smaller shape, or fewer layers in pruning.exclude",
            )
        return fitting

    def pool(self, values: NDArray[np.floating]) -> NDArray[np.floating]:
        """Sums over what the pattern takes out at once."""
        return self._pattern.pool(values)

    def masks(
        self,
        channels: ChannelMap,
        scores: LayerScores,
        sparsity: float,
        previous: Masks | None = None,
    ) -> Masks:
        """Take the lowest scores out."""
        kernels = self.prunable(channels)
        rows = [scores[kernel.layer] for kernel in kernels]
        if previous is not None:
            rows = [
                np.where(self._pattern.gone(previous.variables[kernel.path]), -np.inf, row)
                for kernel, row in zip(kernels, rows, strict=True)
            ]
        names = [kernel.layer for kernel in kernels]
        shares = self._allocation.shares([row.ravel() for row in rows], sparsity, names)
        return Masks(
            variables={
                kernel.path: self._pattern.spread(self._pattern.choose(row, share), kernel.shape)
                for kernel, row, share in zip(kernels, rows, shares, strict=True)
            }
        )
