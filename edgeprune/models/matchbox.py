"""A 1-D residual network over time, with the features as channels.

After MatchboxNet (Majumdar & Ginsburg 2020) and TC-ResNet (Choi et al. 2019): every convolution
runs over frames alone, so that one frame's features are one vector of channels.
"""

from __future__ import annotations

from typing import Any

from edgeprune.models.backend import keras
from edgeprune.models.layers import LayerFactory
from edgeprune.recipe import MatchboxNet

__all__ = ["build"]


def build(declaration: MatchboxNet, frames: int, features: int, labels: int, seed: int) -> Any:
    """Build the network: stem, residual blocks, mean over time, classifier.

    All blocks add to one residual stream, so the stem and all pointwise convolutions have the
    same channels, and channel pruning takes a channel out of all of them at once.

    Returns:
        A functional Keras model, [clips, frames, 1, features] → logits [clips, labels].
    """
    make = LayerFactory(seed)
    inputs = keras.Input((frames, 1, features), name="features")
    stem = make.convolution(
        "stem",
        declaration.width,
        (declaration.stem_kernel, 1),
        (declaration.stem_stride, 1),
    )
    x = make.normalization("stem_norm")(stem(inputs))
    x = keras.layers.ReLU(name="stem_relu")(x)
    for index in range(1, declaration.blocks + 1):
        x = _block(make, f"block{index}", x, declaration)
    x = keras.layers.ReLU(name="relu")(x)
    x = keras.layers.GlobalAveragePooling2D(name="mean")(x)
    if declaration.dropout:
        x = make.dropout("dropout", declaration.dropout)(x)
    return keras.Model(inputs, make.classifier("classifier", labels)(x), name="matchbox")


def _block(make: LayerFactory, name: str, x: Any, declaration: MatchboxNet) -> Any:
    """Depthwise over time, pointwise over channels, and what came in added.

    No activation follows the addition: with a linear residual stream (Sandler et al. 2018,
    "MobileNetV2") about a point more of unseen speakers' clips is right than with a ReLU there.
    """
    y = make.depthwise(f"{name}_depthwise", (declaration.kernel, 1))(x)
    y = make.normalization(f"{name}_depthwise_norm")(y)
    y = keras.layers.ReLU(name=f"{name}_depthwise_relu")(y)
    y = make.convolution(f"{name}_pointwise", declaration.width, (1, 1))(y)
    y = make.normalization(f"{name}_pointwise_norm")(y)
    return keras.layers.Add(name=f"{name}_add")([x, y])
