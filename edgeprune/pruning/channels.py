"""Which channels of a network are one and the same, and which weights they run through.

Every channel of every tensor gets a number. Layers that pass channels on (normalization, ReLU,
depthwise convolution, pooling) pass the numbers on; a residual addition makes the channels that it
adds one. What shares a number can only be taken out together. This module knows nothing of Keras.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["ChannelGroup", "ChannelMap", "ChannelNumbers", "Kernel", "Variable"]

Numbers = NDArray[np.int64]


class ChannelNumbers:
    """Hands out channel numbers, and joins those that turn out to be the same (union-find)."""

    def __init__(self) -> None:
        self._parent: list[int] = []

    def new(self, count: int) -> Numbers:
        """Numbers for the channels of a tensor that a layer makes."""
        first = len(self._parent)
        self._parent.extend(range(first, first + count))
        return np.arange(first, first + count)

    def join(self, left: Numbers, right: Numbers) -> None:
        """Make channels that are added to each other one."""
        for one, other in zip(left.tolist(), right.tolist(), strict=True):
            low, high = sorted((self._root(one), self._root(other)))
            self._parent[high] = low

    def resolve(self, numbers: Numbers) -> Numbers:
        """The numbers after all joins: equal for equal channels."""
        return np.array([self._root(number) for number in numbers.tolist()], dtype=np.int64)

    def __len__(self) -> int:
        return len(self._parent)

    def _root(self, number: int) -> int:
        while self._parent[number] != number:
            self._parent[number] = self._parent[self._parent[number]]
            number = self._parent[number]
        return number


@dataclass(frozen=True)
class Variable:
    """How the channels run through one weight tensor.

    Attributes:
        path: of the Keras variable.
        shape: its shape.
        axes: axis → the channel numbers along it; other axes have no channels.
        silenced: the axis along which zeros silence a channel that is taken out; None for a tensor
            that need not be zeroed.
    """

    path: str
    shape: tuple[int, ...]
    axes: Mapping[int, Numbers]
    silenced: int | None


@dataclass(frozen=True)
class Kernel:
    """The kernel of a layer that makes channels: a convolution or a dense layer.

    Attributes:
        layer: its name.
        path: of the Keras variable.
        shape: its shape, [..., inputs, outputs].
        outputs: channel numbers along its last axis.
        scale: path of the factors of the batch normalization that follows; None without one.
        gates: paths of variables, channels last, that what the layer gives is linear in: scaling
            them together scales its channels. Of the batch normalization that follows, or else of
            the layer itself.
    """

    layer: str
    path: str
    shape: tuple[int, ...]
    outputs: Numbers
    scale: str | None = None
    gates: tuple[str, ...] = ()


@dataclass(frozen=True)
class ChannelGroup:
    """Channels that are ranked against each other: of one layer, or of layers joined by additions.

    Attributes:
        kernels: that make them.
        channels: their numbers, ascending.
        fixed: they are the network's inputs or outputs, and stay.
    """

    kernels: tuple[Kernel, ...]
    channels: Numbers
    fixed: bool

    @property
    def layers(self) -> tuple[str, ...]:
        return tuple(kernel.layer for kernel in self.kernels)


@dataclass(frozen=True)
class ChannelMap:
    """All of a network's channels.

    Attributes:
        count: channel numbers are below this.
        layers: the names of all layers, for exclude patterns and errors.
        variables: every weight tensor, by path.
        kernels: every kernel that makes channels, in the network's order.
        outputs: layer name → channel numbers of what it gives.
        groups: the channels, by what is ranked together.
    """

    count: int
    layers: tuple[str, ...]
    variables: Mapping[str, Variable]
    kernels: tuple[Kernel, ...]
    outputs: Mapping[str, Numbers]
    groups: tuple[ChannelGroup, ...]


def group_kernels(kernels: Sequence[Kernel], fixed: Numbers) -> tuple[ChannelGroup, ...]:
    """Put kernels that share a channel into one group."""
    groups: list[tuple[list[Kernel], set[int]]] = []
    for kernel in kernels:
        members, channels = [kernel], set(kernel.outputs.tolist())
        apart = []
        for group in groups:
            if group[1].isdisjoint(channels):
                apart.append(group)
            else:
                members, channels = group[0] + members, group[1] | channels
        groups = [*apart, (members, channels)]
    held = set(fixed.tolist())
    return tuple(
        ChannelGroup(
            kernels=tuple(members),
            channels=np.array(sorted(channels), dtype=np.int64),
            fixed=not held.isdisjoint(channels),
        )
        for members, channels in groups
    )
