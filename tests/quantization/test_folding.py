"""Folding: the same function without normalizations; what can't be folded is named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from edgeprune.errors import UnsupportedError
from edgeprune.models.backend import keras
from edgeprune.models.trainer import shaped
from edgeprune.quantization.folding import WEIGHTED, fold
from tests.quantization.networks import some_inputs

layers = keras.layers


def test_the_folded_network_computes_the_same(network: Any) -> None:
    before = [weight.numpy() for weight in network.weights]
    folded = fold(network)
    inputs = shaped(network, some_inputs(20, seed=2))
    np.testing.assert_allclose(folded(inputs), network(inputs), rtol=1e-4, atol=1e-5)
    for old, weight in zip(before, network.weights, strict=True):
        assert np.array_equal(old, weight.numpy())


def test_normalizations_and_dropout_are_gone_and_names_stay(network: Any) -> None:
    gone = layers.BatchNormalization | layers.Dropout
    folded = fold(network)
    expected = {layer.name for layer in network.layers if not isinstance(layer, gone)}
    assert {layer.name for layer in folded.layers} == expected
    assert all(layer.use_bias for layer in folded.layers if isinstance(layer, WEIGHTED))


def test_zeros_stay_zeros() -> None:
    inputs = keras.Input((4, 4, 3))
    x = layers.Conv2D(4, 1, name="conv")(inputs)
    network = keras.Model(inputs, layers.BatchNormalization()(x))
    kernel = np.ones((1, 1, 3, 4), np.float32)
    kernel[0, 0, 1, 2:] = 0
    network.get_layer("conv").kernel.assign(kernel)
    assert np.array_equal(fold(network).get_layer("conv").kernel.numpy() == 0, kernel == 0)


def behind(*before: Any) -> Callable[[], Any]:
    """A network whose layer ``culprit`` stands behind others."""

    def make() -> Any:
        x = inputs = keras.Input((8, 6, 4))
        for layer in before:
            x = layer(x)
        x = layers.BatchNormalization(name="culprit")(x)
        return keras.Model(inputs, layers.Conv2D(2, 1)(x))

    return make


def read_twice() -> Any:
    inputs = keras.Input((8, 6, 4))
    x = layers.Conv2D(4, 1)(inputs)
    return keras.Model(inputs, layers.Add()([x, layers.BatchNormalization(name="culprit")(x)]))


def over_height() -> Any:
    inputs = keras.Input((8, 6, 4))
    x = layers.Conv2D(4, 1)(inputs)
    return keras.Model(inputs, layers.BatchNormalization(axis=1, name="culprit")(x))


def shared_layer() -> Any:
    inputs = keras.Input((8, 6, 2))
    twice = layers.Conv2D(2, 1, name="culprit")
    return keras.Model(inputs, twice(twice(inputs)))


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (behind(), "can't be folded"),
        (behind(layers.Conv2D(4, 1), layers.ReLU()), "can't be folded"),
        (behind(layers.Conv2D(4, 1, activation="relu")), "can't be folded"),
        (read_twice, "can't be folded"),
        (over_height, "can't be folded"),
        (shared_layer, "used more than once"),
    ],
)
def test_what_can_not_be_folded_is_named(make: Callable[[], Any], what: str) -> None:
    with pytest.raises(UnsupportedError, match=what) as caught:
        fold(make())
    assert caught.value.where == "layer culprit"
    assert caught.value.hint


def test_two_inputs_are_refused() -> None:
    inputs = [keras.Input((4,)), keras.Input((4,))]
    with pytest.raises(UnsupportedError, match="2 inputs and 1 outputs"):
        fold(keras.Model(inputs, layers.Add()(inputs)))
