"""A network of every kind of layer that can be fake-quantized, and inputs for it."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgeprune.models.backend import keras

FRAMES, FEATURES = 16, 6

layers = keras.layers


def some_inputs(clips: int, seed: int = 0) -> np.ndarray:
    """float32 [clips, frames, features]."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(clips, FRAMES, FEATURES)).astype(np.float32)


def of_all_layers() -> Any:
    """A residual sum that is read with and without its ReLU; pooling, padding, concatenation."""
    make = keras.initializers.HeNormal
    inputs = keras.Input((FRAMES, FEATURES, 1), name="features")
    x = layers.Conv2D(8, 3, padding="same", use_bias=False, kernel_initializer=make(1), name="stem")
    x = layers.BatchNormalization(name="stem_norm")(x(inputs))
    x = layers.ReLU(name="stem_relu")(x)
    y = layers.DepthwiseConv2D(
        3, padding="same", depth_multiplier=2, depthwise_initializer=make(2), name="depthwise"
    )
    y = layers.BatchNormalization(scale=False, name="depthwise_norm")(y(x))
    y = layers.Conv2D(8, 1, kernel_initializer=make(3), name="pointwise")(y)
    y = layers.BatchNormalization(center=False, name="pointwise_norm")(y)
    y = layers.ReLU(6.0, name="pointwise_relu6")(y)
    both = layers.Add(name="add")([x, y])
    rectified = layers.ReLU(name="add_relu")(both)
    left = layers.Conv2D(4, 1, kernel_initializer=make(4), name="left")(rectified)
    left = layers.MaxPooling2D(2, name="left_pool")(left)
    right = layers.Conv2D(
        4, 1, strides=2, activation="relu", kernel_initializer=make(5), name="right"
    )(both)
    x = layers.Concatenate(name="concatenation")([left, right])
    x = layers.ZeroPadding2D(1, name="padding")(x)
    x = layers.Conv2D(4, (2, 1), kernel_initializer=make(6), name="last")(x)
    x = layers.Activation("relu", name="last_relu")(layers.BatchNormalization(name="last_norm")(x))
    x = layers.AveragePooling2D((2, 1), name="average")(x)
    x = layers.Dropout(0.2, seed=1, name="dropout")(layers.Flatten(name="flat")(x))
    classifier = layers.Dense(4, kernel_initializer=make(7), name="classifier")
    return keras.Model(inputs, classifier(x), name="all_layers")
