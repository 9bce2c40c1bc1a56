"""Batch normalizations, folded into the layers before them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeprune.errors import UnsupportedError
from edgeprune.models.backend import keras
from edgeprune.quantization.replay import consumers, copied, replay

__all__ = ["WEIGHTED", "fold"]

#: Layers with a kernel and a bias, which a normalization folds into.
WEIGHTED = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.Dense)


def fold(network: Any) -> Any:
    """Build the network that inference computes: without normalizations and without dropout.

    A normalization of statistics mean, variance, and of parameters gamma, beta, scales what a
    layer gives by ``gamma / sqrt(variance + epsilon)``; weights w and bias b become w times that
    scale and ``beta + (b - mean) * scale`` (Jacob et al. 2018, "Quantization and Training of Neural
    Networks for Efficient Integer-Arithmetic-Only Inference", section 3.2).

    Args:
        network: a functional Keras model, whose layers keep their names; it is not changed.

    Returns:
        A functional Keras model; its convolutions and dense layers have biases.

    Raises:
        UnsupportedError: a normalization that follows no convolution or dense layer directly, by
            name, or a layer that is used more than once.
    """
    readers = consumers(network)
    folded: set[str] = set()

    def visit(layer: Any, inputs: list[Any]) -> Any:
        if isinstance(layer, keras.layers.InputLayer | keras.layers.Dropout):
            return inputs[0]
        if isinstance(layer, keras.layers.BatchNormalization):
            if layer.name not in folded:
                raise _no_place(layer)
            return inputs[0]
        if not isinstance(layer, WEIGHTED):
            return copied(layer, inputs)
        normalization = _normalization_after(layer, readers[layer.name])
        if normalization is not None:
            folded.add(normalization.name)
        return _weighted(layer, normalization, inputs[0])

    return replay(network, visit)


def _normalization_after(layer: Any, readers: list[Any]) -> Any:
    """The normalization that alone reads a layer, over its channels; None where there is none."""
    linear = layer.activation is keras.activations.linear
    if not linear or len(readers) != 1:
        return None
    (reader,) = readers
    if not isinstance(reader, keras.layers.BatchNormalization):
        return None
    axis = reader.axis[0] if isinstance(reader.axis, list | tuple) else reader.axis
    return reader if axis in (-1, len(layer.output.shape) - 1) else None


def _weighted(layer: Any, normalization: Any, inputs: Any) -> Any:
    """Apply a layer of the same kind, with a bias and with the normalization in its weights."""
    built = type(layer).from_config(layer.get_config() | {"use_bias": True})
    output = built(inputs)
    channels = int(built.bias.shape[0])
    kernel = layer.kernel.numpy().astype(np.float64)
    bias = layer.bias.numpy().astype(np.float64) if layer.use_bias else np.zeros(channels)
    if normalization is not None:
        scale, offset = _affine(normalization, channels)
        # A depthwise kernel ends in channels and multiplier, which together are the outputs.
        along = kernel.shape[2:] if isinstance(layer, keras.layers.DepthwiseConv2D) else (-1,)
        kernel, bias = kernel * scale.reshape(along), bias * scale + offset
    built.kernel.assign(kernel.astype(np.float32))
    built.bias.assign(bias.astype(np.float32))
    return output


def _affine(normalization: Any, channels: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What a normalization multiplies each channel by, and what it adds."""

    def values(variable: Any, default: float) -> NDArray[np.float64]:
        if variable is None:
            return np.full(channels, default)
        return np.asarray(variable.numpy(), dtype=np.float64)

    spread = np.sqrt(values(normalization.moving_variance, 1.0) + normalization.epsilon)
    scale = values(normalization.gamma, 1.0) / spread
    offset = values(normalization.beta, 0.0) - values(normalization.moving_mean, 0.0) * scale
    return scale, offset


def _no_place(layer: Any) -> UnsupportedError:
    return UnsupportedError(
        "this batch normalization can't be folded: it does not follow a convolution or a dense "
        "layer without activation that nothing else reads",
        where=f"layer {layer.name}",
        hint="put it directly behind a convolution, before the activation, or leave "
        "quantization.epochs at 0 and quantization.weights at 'int8'",
    )
