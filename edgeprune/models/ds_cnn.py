"""Depthwise-separable CNN over time and features (Zhang et al. 2017, "Hello Edge")."""

from __future__ import annotations

from typing import Any

from edgeprune.models.backend import keras
from edgeprune.models.layers import LayerFactory
from edgeprune.recipe import DsCnn

__all__ = ["build", "separable_convolutions"]


def build(declaration: DsCnn, frames: int, features: int, labels: int, seed: int) -> Any:
    """Build the network: stem, depthwise-separable blocks, mean, classifier.

    Returns:
        A functional Keras model, [clips, frames, features, 1] → logits [clips, labels].
    """
    make = LayerFactory(seed)
    inputs = keras.Input((frames, features, 1), name="features")
    x = separable_convolutions(make, inputs, declaration)
    x = keras.layers.GlobalAveragePooling2D(name="mean")(x)
    if declaration.dropout:
        x = make.dropout("dropout", declaration.dropout)(x)
    return keras.Model(inputs, make.classifier("classifier", labels)(x), name="ds_cnn")


def separable_convolutions(make: LayerFactory, inputs: Any, declaration: DsCnn) -> Any:
    """The stem and the blocks, each convolution followed by batch normalization and ReLU.

    Args:
        make: makes the layers.
        inputs: tensor [clips, frames, features, 1].
        declaration: widths, kernels and strides.

    Returns:
        Tensor [clips, positions, positions, width].
    """
    stem = make.convolution(
        "stem", declaration.width, declaration.stem_kernel, declaration.stem_stride
    )
    x = _normalized(make, "stem", stem(inputs))
    for index in range(1, declaration.blocks + 1):
        depthwise = make.depthwise(f"block{index}_depthwise", declaration.kernel)
        x = _normalized(make, f"block{index}_depthwise", depthwise(x))
        pointwise = make.convolution(f"block{index}_pointwise", declaration.width, (1, 1))
        x = _normalized(make, f"block{index}_pointwise", pointwise(x))
    return x


def _normalized(make: LayerFactory, name: str, x: Any) -> Any:
    return keras.layers.ReLU(name=f"{name}_relu")(make.normalization(f"{name}_norm")(x))
