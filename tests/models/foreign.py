"""Networks as others build them: what a ``.keras`` file or an entry point may bring."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from edgeprune.models.backend import keras

layers = keras.layers

FRAMES, FEATURES, LABELS = 11, 10, 4


def residual(frames: int, features: int, labels: int, seed: int) -> Any:
    """Two-dimensional, with an addition, a softmax, and layers that Keras names and seeds."""
    inputs = keras.Input((frames, features, 1))
    x = layers.Conv2D(8, (4, 3), strides=2, padding="same", use_bias=False, name="stem")(inputs)
    x = layers.ReLU(6.0)(layers.BatchNormalization(momentum=0.9)(x))
    y = layers.Conv2D(8, 3, padding="same", activation="relu", name="inner")(x)
    x = layers.Activation("relu")(layers.Add(name="add")([x, layers.Conv2D(8, 1, name="outer")(y)]))
    x = layers.Dropout(0.1)(layers.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, layers.Dense(labels, activation="softmax")(x))


def concatenating(frames: int, features: int, labels: int, seed: int) -> Any:
    """Two branches side by side; dense layers behind a flattening; a softmax of its own."""
    inputs = keras.Input((frames, features))
    x = layers.Reshape((frames, features, 1))(inputs)
    left = layers.Conv2D(8, 3, strides=2, padding="same", activation="relu", name="left")(x)
    right = layers.Conv2D(4, 5, strides=2, padding="same", activation="relu", name="right")(x)
    x = layers.Concatenate()([left, right])
    x = layers.MaxPooling2D(2)(layers.ZeroPadding2D(1)(x))
    x = layers.Dense(8, activation="relu", name="hidden")(layers.Flatten()(x))
    return keras.Model(inputs, layers.Softmax()(layers.Dense(labels)(x)))


def depthwise(frames: int, features: int, labels: int, seed: int) -> Any:
    """Over time, features as channels, sequential, a convolution as the classifier."""
    return keras.Sequential(
        [
            keras.Input((frames, 1, features)),
            layers.Conv2D(8, (3, 1), padding="same", use_bias=False),
            layers.BatchNormalization(momentum=0.9),
            layers.ReLU(),
            layers.DepthwiseConv2D((5, 1), padding="same", name="depthwise"),
            layers.Conv2D(12, 1, activation="relu", name="pointwise"),
            layers.AveragePooling2D((frames, 1)),
            layers.Conv2D(labels, 1),
            layers.Flatten(),
        ]
    )


def gated(frames: int, features: int, labels: int, seed: int) -> Any:
    """What channels can't be followed through: gates, other activations, shapes moved about."""
    inputs = keras.Input((frames, features, 1))
    x = layers.GaussianNoise(0.1)(layers.Rescaling(0.5)(inputs))
    x = layers.Conv2D(8, 3, strides=2, padding="same", activation="silu")(x)
    gate = layers.Dense(8, activation="sigmoid")(layers.GlobalAveragePooling2D(keepdims=True)(x))
    x = layers.Multiply()([x, gate])
    y = layers.LeakyReLU()(layers.Conv2D(8, 1)(x))
    x = layers.Average()([x, layers.Subtract()([x, y])])
    x = layers.Cropping2D(1)(layers.SpatialDropout2D(0.1)(x))
    x = layers.Reshape((-1,))(layers.Permute((2, 1, 3))(x))
    return keras.Model(inputs, layers.Dense(labels)(x))


def saved(network: Any, path: Path) -> Path:
    """Write a ``.keras`` file; Keras itself is behind with what NumPy deprecates."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        network.save(path)
    return path


def failing(frames: int, features: int, labels: int, seed: int) -> Any:
    """Breaks."""
    raise ZeroDivisionError("no layers left")


def of_another_shape(frames: int, features: int, labels: int, seed: int) -> Any:
    """Features before frames."""
    return residual(features, frames, labels, seed)


def a_number(frames: int, features: int, labels: int, seed: int) -> int:
    """No network at all."""
    return frames


NOT_CALLABLE = 3
