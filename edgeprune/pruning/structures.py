"""Structures: what is taken out at once."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgeprune.pruning.channels import ChannelGroup, ChannelMap
from edgeprune.pruning.masks import Mask, Masks, channel_masks

__all__ = ["Channel", "Structure", "Unstructured", "make_structure"]

#: Layer name → float32 scores of its kernel's shape.
LayerScores = Mapping[str, NDArray[np.float32]]


class Structure(Protocol):
    """Turns scores into masks.

    Attributes:
        name: as recipes write it.
    """

    name: str

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
            scores: of every kernel.
            sparsity: share to take out.
            previous: what stayed before; what did not, never comes back.
        """


class Unstructured:
    """Single weights of the kernels of convolutions and dense layers, in each layer the same share.

    Depthwise kernels stay: they hold few weights, each of which matters.

    Args:
        excluded: names of layers that stay whole.
    """

    name = "unstructured"

    def __init__(self, excluded: Collection[str] = ()) -> None:
        self._excluded = frozenset(excluded)

    def masks(
        self,
        channels: ChannelMap,
        scores: LayerScores,
        sparsity: float,
        previous: Masks | None = None,
    ) -> Masks:
        """Take the lowest scores out of each kernel."""
        variables = {}
        for kernel in channels.kernels:
            if kernel.layer in self._excluded:
                continue
            before = previous.variables[kernel.path] if previous else None
            variables[kernel.path] = _highest(scores[kernel.layer], sparsity, before)
        return Masks(variables=variables)


def _highest(scores: NDArray[np.float32], sparsity: float, before: Mask | None) -> Mask:
    ranked = scores.ravel() if before is None else np.where(before, scores, -1.0).ravel()
    mask = np.ones(ranked.size, dtype=np.bool_)
    mask[np.argsort(ranked, kind="stable")[: round(sparsity * ranked.size)]] = False
    return mask.reshape(scores.shape)


class Channel:
    """Whole channels, in each group of joined layers the same share.

    A channel's score is the sum over its filters, each layer's scores divided by their mean first:
    otherwise the layer with the largest weights would decide for all that it is joined with.

    Args:
        multiple: as many channels stay as the nearest multiple of this, but at least one multiple.
        excluded: names of layers whose channels stay; so do the channels joined with them.
    """

    name = "channel"

    def __init__(self, multiple: int = 1, excluded: Collection[str] = ()) -> None:
        self._multiple = multiple
        self._excluded = frozenset(excluded)

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
        for group in channels.groups:
            if group.fixed or not self._excluded.isdisjoint(group.layers):
                continue
            ranked = _channel_scores(group, scores)
            if before is not None:
                ranked = np.where(before[group.channels], ranked, -1.0)
            stay = self._rounded(len(ranked), sparsity)
            order = np.argsort(ranked, kind="stable")
            kept[group.channels[order[: len(ranked) - stay]]] = False
        return channel_masks(channels, kept)

    def _rounded(self, count: int, sparsity: float) -> int:
        nearest = round(count * (1 - sparsity) / self._multiple) * self._multiple
        return min(count, max(nearest, self._multiple))


def _channel_scores(group: ChannelGroup, scores: LayerScores) -> NDArray[np.float64]:
    total = np.zeros(len(group.channels))
    for kernel in group.kernels:
        layer = scores[kernel.layer]
        filters = layer.reshape(-1, layer.shape[-1]).sum(axis=0, dtype=np.float64)
        mean = filters.mean()
        if mean > 0:
            rows = np.searchsorted(group.channels, kernel.outputs)
            np.add.at(total, rows, filters / mean)
    return total


def make_structure(name: str, *, multiple: int, excluded: Collection[str]) -> Structure:
    """The structure of a recipe.

    Args:
        name: ``channel`` or ``unstructured``.
        multiple: for channels.
        excluded: names of layers that are left alone.
    """
    if name == Channel.name:
        return Channel(multiple, excluded)
    return Unstructured(excluded)
