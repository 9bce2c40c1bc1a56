"""Networks: shapes, names, cost, and the registry."""

from __future__ import annotations

import numpy as np
import pytest

from edgeprune.declaration import Declaration
from edgeprune.errors import UnsupportedError
from edgeprune.models.cost import Cost, cost
from edgeprune.models.registry import Shape, build, register
from edgeprune.models.trainer import shaped
from edgeprune.recipe import DsCnn, MatchboxNet

SHAPE = Shape(frames=49, features=40, labels=12)


def test_matchbox_runs_over_time_with_features_as_channels() -> None:
    network = build(MatchboxNet(kind="matchbox", width=16, blocks=2), SHAPE, seed=1)
    assert network.input_shape == (None, 49, 1, 40)
    assert network.output_shape == (None, 12)
    assert network.get_layer("stem").output.shape == (None, 25, 1, 16)
    names = [layer.name for layer in network.layers]
    assert {"stem", "block1_depthwise", "block1_pointwise", "block2_add", "classifier"} < set(names)


def test_ds_cnn_runs_over_time_and_features() -> None:
    network = build(DsCnn(kind="ds-cnn", width=8, blocks=2), Shape(49, 10, 12), seed=1)
    assert network.input_shape == (None, 49, 10, 1)
    assert network.output_shape == (None, 12)
    assert network.get_layer("stem").output.shape == (None, 25, 5, 8)
    assert network.get_layer("block2_pointwise").output.shape == (None, 25, 5, 8)


@pytest.mark.parametrize(
    "declaration",
    [
        MatchboxNet(kind="matchbox", width=8, blocks=1, dropout=0.5),
        DsCnn(kind="ds-cnn", width=8, blocks=1, dropout=0.5),
    ],
)
def test_the_seed_decides_the_first_weights(declaration: MatchboxNet | DsCnn) -> None:
    one, same, other = (build(declaration, SHAPE, seed=seed) for seed in (1, 1, 2))
    weights = list(zip(one.get_weights(), same.get_weights(), other.get_weights(), strict=True))
    assert all(np.array_equal(first, second) for first, second, _ in weights)
    assert any(not np.array_equal(first, third) for first, _, third in weights)


def test_multiply_accumulates_are_those_of_the_published_ds_cnn() -> None:
    """MLPerf Tiny's keyword spotting reference: 2,656,768 MACs, 22,016 weights."""
    declaration = DsCnn(kind="ds-cnn", width=64, blocks=4)
    network = build(declaration, Shape(frames=49, features=10, labels=12), seed=1)
    counted = cost(network)
    assert counted.macs == 2_656_768
    assert counted.weights == 22_016
    assert counted.nonzero == counted.weights


def test_cost_of_a_layer_by_hand() -> None:
    network = build(MatchboxNet(kind="matchbox", width=16, blocks=1, kernel=9), SHAPE, seed=1)
    layers = {layer.name: layer for layer in cost(network).layers}
    assert layers["stem"].macs == 25 * 5 * 40 * 16
    assert layers["block1_depthwise"].macs == 25 * 9 * 16
    assert layers["block1_pointwise"].macs == 25 * 16 * 16
    assert layers["block1_pointwise"].parameters == 16 * 16 + 16
    assert layers["classifier"].macs == 16 * 12
    assert cost(network).macs == sum(layer.macs for layer in layers.values())


def test_zero_weights_are_counted_as_such() -> None:
    network = build(MatchboxNet(kind="matchbox", width=8, blocks=1), SHAPE, seed=1)
    kernel = network.get_layer("block1_pointwise").kernel.numpy()
    kernel[..., :3] = 0
    network.get_layer("block1_pointwise").kernel.assign(kernel)
    layers = {layer.name: layer for layer in cost(network).layers}
    assert layers["block1_pointwise"].weights == 64
    assert layers["block1_pointwise"].nonzero == 5 * 8


def test_cost_survives_a_table() -> None:
    counted = cost(build(MatchboxNet(kind="matchbox", width=8, blocks=1), SHAPE, seed=1))
    assert Cost.restore(counted.table()) == counted


class Linear(Declaration):
    """A network of one's own."""


def test_a_network_of_ones_own_can_be_registered() -> None:
    with pytest.raises(UnsupportedError, match="no network is registered for Linear") as caught:
        build(Linear(), SHAPE, seed=1)
    assert "MatchboxNet" in (caught.value.hint or "")

    from edgeprune.models.backend import keras
    from edgeprune.models.registry import _BUILDERS

    def builder(_: Linear, frames: int, features: int, labels: int, seed: int) -> object:
        layers = keras.layers
        inputs = keras.Input((frames, 1, features))
        return keras.Model(inputs, layers.Dense(labels)(layers.Flatten()(inputs)))

    register(Linear, builder)
    try:
        network = build(Linear(), SHAPE, seed=1)
    finally:
        del _BUILDERS[Linear]
    scores = network(shaped(network, np.zeros((2, 49, 40), np.float32)))
    assert scores.shape == (2, 12)
