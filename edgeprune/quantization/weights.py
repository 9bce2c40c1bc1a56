"""Weights as the int8 values that they will be, in 255 steps or on a grid of 15 values.

A channel's scale is its largest absolute weight over 127, which is how TensorFlow Lite's converter
chooses it, so it finds the same int8 values again. Weights of 4 bits are int8 values too, of one
grid for all channels of all layers: the compiler stores them as palettes, and one table of 16
values serves a whole network.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Literal

from edgeprune.models.backend import keras, tf

__all__ = ["INT4_GRID", "Bits", "bits_of", "fake_quantized", "shared_axes", "snapped"]

Bits = Literal[4, 8]

_INT8_MAX = 127
_INT4_MAX = 7

#: The int8 values of 4-bit weights: -127, -109, …, 0, …, 109, 127.
INT4_GRID: tuple[int, ...] = tuple(
    round(step * _INT8_MAX / _INT4_MAX) for step in range(-_INT4_MAX, _INT4_MAX + 1)
)


def snapped(kernel: Any, axes: tuple[int, ...], bits: Bits) -> Any:
    """The weights that int8 values stand for, nearest to given ones.

    Args:
        kernel: float32 tensor.
        axes: all axes but those of the channels; each channel has a scale of its own.
        bits: 8 for the values from -127 to 127, 4 for those of :data:`INT4_GRID`.

    Returns:
        float32 of the same shape. Zeros stay zeros, each channel's largest weight stays as it is,
        and so snapping again changes nothing.
    """
    largest = tf.reduce_max(tf.abs(kernel), axis=axes, keepdims=True)
    scale = tf.where(largest > 0, largest / _INT8_MAX, tf.ones_like(largest))
    if bits == 8:
        return tf.round(kernel / scale) * scale
    steps = tf.round(kernel / scale * (_INT4_MAX / _INT8_MAX))
    return tf.round(steps * (_INT8_MAX / _INT4_MAX)) * scale


def fake_quantized(kernel: Any, axes: tuple[int, ...], bits: Bits) -> Any:
    """:func:`snapped`, whose gradient is taken for that of the identity.

    Bengio et al. 2013, "Estimating or Propagating Gradients Through Stochastic Neurons for
    Conditional Computation": the straight-through estimator.
    """

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def straight_through(values: Any) -> Any:
        return snapped(values, axes, bits), lambda upstream: upstream

    return straight_through(tf.convert_to_tensor(kernel))


def bits_of(layer: Any, int4_layers: Collection[str]) -> Bits:
    """How many bits a layer's weights have."""
    return 4 if layer.name in int4_layers else 8


def shared_axes(layer: Any) -> tuple[int, ...]:
    """The axes of a layer's kernel that are no channels: what a scale is shared along."""
    rank = len(layer.kernel.shape)
    kept = 2 if isinstance(layer, keras.layers.DepthwiseConv2D) else 1
    return tuple(range(rank - kept))
