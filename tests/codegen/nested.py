"""Small networks that lie in each other: the same layers at several widths."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.graph.networks import Network

#: Adds the layers of a network of a width to it.
Layers = Callable[[Network, int], None]


class _NestedNetwork(Network):
    """Takes the leading blocks of the weights of a wider network; scales and biases are its own."""

    def __init__(
        self,
        rng: np.random.Generator,
        shape: Sequence[int],
        wide: Sequence[npt.NDArray[np.int8]],
        **quantization: Any,
    ) -> None:
        super().__init__(rng, shape, **quantization)
        self.made: list[npt.NDArray[np.int8]] = []
        self._wide = wide

    def _weights(self, shape: Sequence[int], channels: int, axis: int, per_channel: bool) -> int:
        if self._wide:
            block = tuple(slice(0, size) for size in shape)
            values = np.ascontiguousarray(self._wide[len(self.made)][block])
        else:
            values = self.rng.integers(-127, 128, shape, dtype=np.int8)
        self.made.append(values)
        scales = self.rng.uniform(0.002, 0.05, channels if per_channel else 1)
        return self.constant(values, scales=scales, zero_points=[0] * len(scales), axis=axis)


def nested_files(
    seed: int, shape: Sequence[int], widths: Sequence[int], layers: Layers
) -> list[bytes]:
    """One .tflite file a width, the widest first; each one's weights lie in the first one's."""
    wide: list[npt.NDArray[np.int8]] = []
    contents = []
    for level, width in enumerate(widths):
        rng = np.random.default_rng([seed, level])
        network = _NestedNetwork(rng, shape, wide, scale=0.1, zero_point=-3)
        layers(network, width)
        wide = wide or network.made
        contents.append(network.content())
    return contents


def separable(network: Network, width: int) -> None:
    """The shape of a keyword spotter: convolution, separable layers, mean, dense, softmax."""
    relu = {"activation": "relu", "zero_point": -128}
    last = network.conv_2d(0, width, kernel=(4, 3), stride=(2, 1), **relu)
    for _ in range(2):
        last = network.depthwise_conv_2d(last, **relu)
        last = network.conv_2d(last, width, **relu)
    last = network.conv_2d(last, width, zero_point=5)
    last = network.average_pool_2d(last, kernel=network.shape(last)[1:3], padding="valid")
    last = network.reshape(last, (1, width))
    last = network.fully_connected(last, 5)
    network.softmax(last)
