"""Structures: what is taken out at once."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgeprune.errors import TrainingError
from edgeprune.pruning.allocation import Allocation, PerLayer, Row, lowest
from edgeprune.pruning.channels import ChannelGroup, ChannelMap, Kernel
from edgeprune.pruning.masks import Masks, channel_masks

__all__ = ["Channel", "LayerScores", "Structure"]

#: Layer name → float64 scores of the shape that the structure's pool gives.
LayerScores = Mapping[str, NDArray[np.float64]]


class Structure(Protocol):
    """Turns scores into masks.

    Attributes:
        name: as recipes write it.
        takes_channels: whether whole channels go, so that surgery follows.
    """

    name: str
    takes_channels: bool

    def prunable(self, channels: ChannelMap) -> tuple[Kernel, ...]:
        """The kernels of which something can be taken out, and whose scores are needed.

        Raises:
            TrainingError: there is none.
        """

    def pool(self, values: NDArray[np.floating]) -> NDArray[np.floating]:
        """Add values of a kernel's shape up over what is taken out at once."""

    def masks(
        self,
        channels: ChannelMap,
        scores: LayerScores,
        sparsity: float,
        previous: Masks | None = None,
    ) -> Masks:
        """Choose what stays.

        Args:
            channels: of the network.
            scores: of every prunable kernel, such that layers can be ranked against each other.
            sparsity: share to take out.
            previous: what stayed before; what did not, never comes back.
        """


class Channel:
    """Whole channels, ranked within each group of joined layers.

    A channel's score is the sum over the filters that make it.

    Args:
        multiple: as many channels stay as the nearest multiple of this, but at least one multiple.
        allocation: how much of which group goes. Groups are ranked against each other by the score
            per joined layer: a channel that many layers make costs as much more as it saves.
        excluded: names of layers whose channels stay; so do the channels joined with them.
    """

    name = "channel"
    takes_channels = True

    def __init__(
        self,
        multiple: int = 1,
        allocation: Allocation | None = None,
        excluded: Collection[str] = (),
    ) -> None:
        self._multiple = multiple
        self._allocation = allocation or PerLayer()
        self._excluded = frozenset(excluded)

    def prunable(self, channels: ChannelMap) -> tuple[Kernel, ...]:
        """Kernels that share channels neither with the network's outputs nor with excluded layers.

        Raises:
            TrainingError: there is none.
        """
        groups = self._shrinking(channels)
        if not groups:
            joined = "; ".join(
                ", ".join(group.layers) for group in channels.groups if not group.fixed
            )
            raise TrainingError(
                "every layer shares its channels with one that is left alone",
                where="pruning.exclude",
                hint=f"layers between semicolons shrink together: {joined or 'there are none'}",
            )
        return tuple(kernel for group in groups for kernel in group.kernels)

    def pool(self, values: NDArray[np.floating]) -> NDArray[np.floating]:
        """Sums over each filter, float64 [channels]."""
        sums: NDArray[np.float64] = values.reshape(-1, values.shape[-1]).sum(
            axis=0, dtype=np.float64
        )
        return sums

    def masks(
        self,
        channels: ChannelMap,
        scores: LayerScores,
        sparsity: float,
        previous: Masks | None = None,
    ) -> Masks:
        """Take the channels with the lowest scores out of each group."""
        kept = np.ones(channels.count, dtype=np.bool_)
        before = previous.channels if previous else None
        groups = self._shrinking(channels)
        rows = [_channel_scores(group, scores) for group in groups]
        if before is not None:
            rows = [
                np.where(before[group.channels], row, -np.inf)
                for group, row in zip(groups, rows, strict=True)
            ]
        shares = self._allocation.shares(rows, sparsity, [group.layers[0] for group in groups])
        for group, row, share in zip(groups, rows, shares, strict=True):
            stay = self._rounded(len(row), share)
            kept[group.channels[lowest(row, len(row) - stay)]] = False
        return channel_masks(channels, kept)

    def _shrinking(self, channels: ChannelMap) -> list[ChannelGroup]:
        return [
            group
            for group in channels.groups
            if not group.fixed and self._excluded.isdisjoint(group.layers)
        ]

    def _rounded(self, count: int, share: float) -> int:
        nearest = round(count * (1 - share) / self._multiple) * self._multiple
        return min(count, max(nearest, self._multiple))


def _channel_scores(group: ChannelGroup, scores: LayerScores) -> Row:
    total = np.zeros(len(group.channels))
    for kernel in group.kernels:
        rows = np.searchsorted(group.channels, kernel.outputs)
        np.add.at(total, rows, scores[kernel.layer])
    mean: Row = total / len(group.kernels)
    return mean
