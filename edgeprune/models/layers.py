"""The few layers that the networks are made of, with seeds and names given."""

from __future__ import annotations

from typing import Any

from edgeprune.models.backend import keras

__all__ = ["LayerFactory"]

#: Statistics over about twenty steps: small data sets have few steps an epoch.
_BATCH_NORM_MOMENTUM = 0.95


class LayerFactory:
    """Makes layers whose initial weights depend on one seed and their order alone.

    Args:
        seed: of all initial weights.
        biases: whether convolutions have one, although a batch normalization follows.
    """

    def __init__(self, seed: int, *, biases: bool = False) -> None:
        self._seed = seed
        self._biases = biases
        self._made = 0

    def _next_seed(self) -> int:
        self._made += 1
        return self._seed * 1009 + self._made

    def convolution(
        self,
        name: str,
        filters: int,
        kernel: tuple[int, int],
        strides: tuple[int, int] = (1, 1),
    ) -> Any:
        """A convolution that a batch normalization follows."""
        return keras.layers.Conv2D(
            filters,
            kernel,
            strides=strides,
            padding="same",
            use_bias=self._biases,
            kernel_initializer=keras.initializers.HeNormal(self._next_seed()),
            name=name,
        )

    def depthwise(self, name: str, kernel: tuple[int, int]) -> Any:
        """A depthwise convolution that a batch normalization follows."""
        return keras.layers.DepthwiseConv2D(
            kernel,
            padding="same",
            use_bias=self._biases,
            depthwise_initializer=keras.initializers.HeNormal(self._next_seed()),
            name=name,
        )

    def normalization(self, name: str) -> Any:
        """Batch normalization over channels; it folds into the convolution on export."""
        return keras.layers.BatchNormalization(momentum=_BATCH_NORM_MOMENTUM, name=name)

    def dropout(self, name: str, rate: float) -> Any:
        """Dropout, in training only."""
        return keras.layers.Dropout(rate, seed=self._next_seed(), name=name)

    def classifier(self, name: str, labels: int) -> Any:
        """A dense layer that gives logits."""
        return keras.layers.Dense(
            labels,
            kernel_initializer=keras.initializers.GlorotUniform(self._next_seed()),
            name=name,
        )
