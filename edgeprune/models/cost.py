"""Multiply-accumulates and parameters of a network, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from edgeprune.models.backend import keras

__all__ = ["Cost", "LayerCost", "cost"]


@dataclass(frozen=True)
class LayerCost:
    """What one layer costs in an inference.

    Attributes:
        name: of the layer.
        macs: multiply-accumulates of one clip.
        parameters: weights and biases as deployed: a batch normalization folds into the layer
            before it, where it turns into a bias a channel.
        weights: values of its kernel.
        nonzero: those that are not zero.
    """

    name: str
    macs: int
    parameters: int
    weights: int
    nonzero: int


@dataclass(frozen=True)
class Cost:
    """What a network costs in an inference; sums of its layers."""

    layers: tuple[LayerCost, ...]

    @property
    def macs(self) -> int:
        return sum(layer.macs for layer in self.layers)

    @property
    def parameters(self) -> int:
        return sum(layer.parameters for layer in self.layers)

    @property
    def weights(self) -> int:
        return sum(layer.weights for layer in self.layers)

    @property
    def nonzero(self) -> int:
        return sum(layer.nonzero for layer in self.layers)

    @classmethod
    def restore(cls, table: Mapping[str, Any]) -> Cost:
        """The inverse of :meth:`table`."""
        return cls(tuple(LayerCost(**layer) for layer in table["layers"]))

    def table(self) -> dict[str, Any]:
        """For a JSON summary."""
        return {
            "macs": self.macs,
            "parameters": self.parameters,
            "weights": self.weights,
            "nonzero": self.nonzero,
            "layers": [asdict(layer) for layer in self.layers],
        }


def cost(network: Any) -> Cost:
    """Count a network of convolutions and dense layers; other layers have no MACs.

    Zeros are counted as MACs: whether a kernel can skip them is for the target to say.
    """
    kinds = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.Dense)
    return Cost(tuple(_layer(layer) for layer in network.layers if isinstance(layer, kinds)))


def _layer(layer: Any) -> LayerCost:
    kernel = layer.kernel.numpy()
    positions = int(np.prod([size for size in layer.output.shape[1:-1] if size is not None]))
    channels = int(layer.output.shape[-1])
    return LayerCost(
        name=layer.name,
        macs=positions * int(kernel.size),
        parameters=int(kernel.size) + channels,
        weights=int(kernel.size),
        nonzero=int(np.count_nonzero(kernel)),
    )
