"""Surgery: what is left computes what the masked network computes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from edgeprune.errors import UnsupportedError
from edgeprune.models.backend import keras
from edgeprune.models.cost import cost
from edgeprune.models.registry import Shape, build
from edgeprune.pruning.channels import ChannelMap
from edgeprune.pruning.criteria import L1, Evidence, comparable_scores
from edgeprune.pruning.masks import Masks
from edgeprune.pruning.structures import Channel
from edgeprune.pruning.surgery import clone, map_channels, remove_channels
from edgeprune.recipe import DsCnn, MatchboxNet

layers = keras.layers


def randomized(network: Any) -> Any:
    """Other weights everywhere, statistics too: fresh ones hide what is forgotten."""
    rng = np.random.default_rng(2)
    for weight in network.weights:
        low = 0.2 if weight.path.endswith(("variance", "gamma")) else -1.0
        weight.assign(rng.uniform(low, 1.0, weight.shape))
    return network


def matchbox() -> Any:
    declaration = MatchboxNet(kind="matchbox", width=12, blocks=2, kernel=3)
    return build(declaration, Shape(frames=15, features=6, labels=4), seed=1)


def ds_cnn() -> Any:
    declaration = DsCnn(kind="ds-cnn", width=8, blocks=2, stem_kernel=(5, 3))
    return build(declaration, Shape(frames=15, features=6, labels=4), seed=1)


def everything() -> Any:
    """Biases, concatenation, depth multiplier, pooling, padding, flattening to dense layers."""
    inputs = keras.Input((8, 6, 2), name="features")
    left = layers.Conv2D(6, 3, padding="same", activation="relu", name="left")(inputs)
    right = layers.Conv2D(4, 1, activation="tanh", name="right")(inputs)
    x = layers.Concatenate(name="both")([left, right])
    x = layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same", name="depthwise")(x)
    x = layers.BatchNormalization(scale=False, name="norm")(x)
    x = layers.Activation("relu", name="relu")(x)
    x = layers.ZeroPadding2D(1, name="padding")(x)
    x = layers.MaxPooling2D(2, name="pool")(x)
    x = layers.Conv2D(6, 1, name="pointwise")(x)
    y = layers.Conv2D(6, 3, padding="same", use_bias=False, name="branch")(x)
    x = layers.Add(name="add")([x, y])
    x = layers.AveragePooling2D(2, name="mean")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dropout(0.3, name="dropout")(x)
    x = layers.Dense(8, activation="relu", name="hidden")(x)
    return keras.Model(inputs, layers.Dense(3, activation="softmax", name="classifier")(x))


NETWORKS = [matchbox, ds_cnn, everything]


def masks_of(network: Any, sparsity: float) -> tuple[ChannelMap, Masks]:
    channels = map_channels(network)
    structure = Channel()
    scores = {
        kernel.layer: comparable_scores(
            L1(),
            Evidence(kernel.layer, network.get_layer(kernel.layer).kernel.numpy()),
            structure.pool,
        )
        for kernel in channels.kernels
    }
    return channels, structure.masks(channels, scores, sparsity)


@pytest.mark.parametrize("make", NETWORKS)
@pytest.mark.parametrize("sparsity", [0.25, 0.6])
def test_surgery_gives_what_masking_gives(make: Callable[[], Any], sparsity: float) -> None:
    network = randomized(make())
    channels, masks = masks_of(network, sparsity)
    assert masks.channels is not None
    smaller = remove_channels(network, channels, masks.channels)
    masked = clone(network)
    weights = {weight.path: weight for weight in masked.weights}
    for path, mask in masks.variables.items():
        weights[path].assign(weights[path].numpy() * mask)
    rng = np.random.default_rng(3)
    inputs = rng.normal(size=(5, *network.input_shape[1:])).astype(np.float32)
    expected = masked(inputs).numpy()
    assert np.allclose(smaller(inputs).numpy(), expected, rtol=1e-4, atol=1e-5)
    assert not np.allclose(network(inputs).numpy(), expected, rtol=1e-2, atol=1e-2)
    assert cost(smaller).macs < cost(network).macs
    assert smaller.count_params() < network.count_params()
    assert [layer.name for layer in smaller.layers] == [layer.name for layer in network.layers]


def test_the_channels_of_every_layer_shrink_by_the_share() -> None:
    network = matchbox()
    channels, masks = masks_of(network, 0.5)
    assert masks.channels is not None
    smaller = remove_channels(network, channels, masks.channels)
    for name in ("stem", "block1_depthwise", "block1_pointwise", "block2_pointwise_norm", "mean"):
        assert smaller.get_layer(name).output.shape[-1] == 6
    assert smaller.get_layer("classifier").output.shape[-1] == 4
    assert smaller.input_shape == network.input_shape


def test_residual_additions_tie_stem_and_pointwise_layers() -> None:
    groups = {group.layers: group.fixed for group in map_channels(matchbox()).groups}
    assert groups == {
        ("stem", "block1_pointwise", "block2_pointwise"): False,
        ("classifier",): True,
    }


def test_layers_that_nothing_joins_are_ranked_apart() -> None:
    groups = [group.layers for group in map_channels(ds_cnn()).groups]
    assert groups == [("stem",), ("block1_pointwise",), ("block2_pointwise",), ("classifier",)]


def test_the_given_network_is_not_changed() -> None:
    network = randomized(matchbox())
    before = network.get_weights()
    channels, masks = masks_of(network, 0.5)
    assert masks.channels is not None
    remove_channels(network, channels, masks.channels)
    for one, other in zip(before, network.get_weights(), strict=True):
        assert np.array_equal(one, other)


def test_a_smaller_network_survives_a_file(tmp_path: Any) -> None:
    from edgeprune.models.artifact import load_network, save_network

    network = randomized(ds_cnn())
    channels, masks = masks_of(network, 0.5)
    assert masks.channels is not None
    smaller = remove_channels(network, channels, masks.channels)
    save_network(smaller, tmp_path)
    inputs = np.ones((2, *network.input_shape[1:]), np.float32)
    assert np.array_equal(load_network(tmp_path)(inputs).numpy(), smaller(inputs).numpy())


def shared_layer() -> Any:
    inputs = keras.Input((8, 6, 2))
    twice = layers.Conv2D(2, 1, name="culprit")
    return keras.Model(inputs, twice(twice(inputs)))


def with_layer(layer: Any) -> Callable[[], Any]:
    def make() -> Any:
        inputs = keras.Input((8, 6, 4))
        x = layers.Conv2D(4, 1)(inputs)
        return keras.Model(inputs, layers.Conv2D(2, 1)(layer(x)))

    return make


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (with_layer(layers.LayerNormalization(name="culprit")), "type LayerNormalization"),
        (with_layer(layers.Conv2D(4, 1, groups=2, name="culprit")), "groups = 2"),
        (with_layer(layers.Conv2D(4, 1, activation="sigmoid", name="culprit")), "sigmoid"),
        (with_layer(layers.Activation("softmax", name="culprit")), "softmax"),
        (with_layer(layers.BatchNormalization(axis=1, name="culprit")), "axis = 1"),
        (with_layer(layers.Reshape((6, 8, 4), name="culprit")), "type Reshape"),
        (shared_layer, "used more than once"),
    ],
)
def test_an_unsupported_layer_is_named(make: Callable[[], Any], what: str) -> None:
    with pytest.raises(UnsupportedError, match=what) as caught:
        map_channels(make())
    assert caught.value.where == "layer culprit"
    assert "unstructured" in (caught.value.hint or "")


def test_additions_that_broadcast_channels_are_unsupported() -> None:
    inputs = keras.Input((8, 6, 4))
    left, right = layers.Conv2D(4, 1)(inputs), layers.Conv2D(1, 1)(inputs)
    network = keras.Model(inputs, layers.Add(name="culprit")([left, right]))
    with pytest.raises(UnsupportedError, match="broadcasting") as caught:
        map_channels(network)
    assert caught.value.where == "layer culprit"


def test_layers_of_ones_own_are_unsupported_even_when_derived() -> None:
    class Dense(layers.Dense):  # type: ignore[misc]
        """Could compute anything."""

    inputs = keras.Input((4,))
    network = keras.Model(inputs, layers.Dense(2)(Dense(4, name="culprit")(inputs)))
    with pytest.raises(UnsupportedError, match="type Dense"):
        map_channels(network)
