"""Networks that lie in each other: shared weights, own normalizations, nothing else changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from edgeprune.models.backend import keras
from edgeprune.models.trainer import shaped
from edgeprune.pruning.masks import Mask
from edgeprune.pruning.nested_network import NestedNetwork, nest
from edgeprune.pruning.surgery import map_channels
from tests.pruning.test_surgery import ds_cnn, everything, matchbox, randomized

NETWORKS = [ds_cnn, matchbox, everything]


def _masks(network: Any, shares: tuple[float, ...] = (1.0, 0.5, 0.25)) -> list[Mask]:
    """Channels drawn at random, nested."""
    channels = map_channels(network)
    rng = np.random.default_rng(7)
    kept = [np.ones(channels.count, np.bool_) for _ in shares]
    for group in channels.groups:
        if not group.fixed:
            order = rng.permutation(group.channels)
            for mask, share in zip(kept, shares, strict=True):
                mask[order[max(1, round(share * len(order))) :]] = False
    return kept


def _nested(make: Callable[[], Any]) -> tuple[Any, NestedNetwork]:
    network = randomized(make())
    return network, nest(network, _masks(network))


def _inputs(network: Any, count: int = 3) -> np.ndarray:
    shape = (count, *network.input_shape[1:])
    return np.random.default_rng(3).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("make", NETWORKS)
def test_the_widest_computes_what_the_network_does(make: Callable[[], Any]) -> None:
    network, nested = _nested(make)
    inputs = _inputs(network)
    np.testing.assert_allclose(nested.levels[0](inputs), network(inputs), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("make", NETWORKS)
def test_a_plain_copy_computes_what_its_level_does(make: Callable[[], Any]) -> None:
    network, nested = _nested(make)
    rng = np.random.default_rng(1)
    for level in nested.levels[1:]:
        for layer in level.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.moving_mean.assign(rng.normal(size=layer.moving_mean.shape))
    inputs = _inputs(network)
    outputs = [level(inputs).numpy() for level in nested.levels]
    for level, expected in enumerate(outputs):
        plain = nested.plain(level)
        np.testing.assert_allclose(plain(inputs), expected, rtol=1e-4, atol=1e-4)
        assert plain.count_params() <= network.count_params()
    assert not np.allclose(outputs[0], outputs[1])


@pytest.mark.parametrize("make", [ds_cnn, matchbox])
def test_kernels_are_leading_blocks_of_the_widest(make: Callable[[], Any]) -> None:
    _, nested = _nested(make)
    for level in (1, 2):
        for layer in nested.plain(level).layers:
            if hasattr(layer, "kernel"):
                wide = nested.levels[0].get_layer(layer.name).kernel.numpy()
                block = tuple(slice(0, size) for size in layer.kernel.shape)
                np.testing.assert_array_equal(layer.kernel, wide[block], layer.name)


def test_levels_have_no_kernels_of_their_own() -> None:
    _, nested = _nested(ds_cnn)
    joint = nested.joint()
    kernels = [each for each in joint.trainable_variables if each.path.endswith("kernel")]
    own = [each for each in nested.levels[0].trainable_variables if each.path.endswith("kernel")]
    assert {id(each) for each in kernels} == {id(each) for each in own}
    gammas = [each for each in joint.trainable_variables if each.path.endswith("gamma")]
    assert len(gammas) == 3 * sum(
        isinstance(each, keras.layers.BatchNormalization) for each in nested.levels[0].layers
    )


def test_factors_keep_their_signs() -> None:
    network = randomized(ds_cnn())
    gamma = next(each for each in network.weights if each.path.endswith("gamma"))
    gamma.assign(np.where(np.arange(gamma.shape[0]) % 2, -0.5, 0.5))
    nested = nest(network, _masks(network))
    joint = nested.joint()
    optimizer = keras.optimizers.SGD(100.0)
    variables = [each for each in joint.trainable_variables if each.path.endswith("gamma")]
    before = [each.numpy() for each in variables]
    for sign in (1.0, -1.0):
        optimizer.apply([sign * np.ones(each.shape, np.float32) for each in variables], variables)
    for values, each in zip(before, variables, strict=True):
        np.testing.assert_array_equal(np.sign(values), np.sign(each.numpy()))


def test_training_a_level_changes_the_others_kernels_only() -> None:
    network, nested = _nested(ds_cnn)
    inputs = shaped(network, _inputs(network, 4))
    statistics = {
        each.path: each.numpy() for each in nested.levels[0].weights if "moving" in each.path
    }
    nested.levels[1](inputs, training=True)
    for each in nested.levels[0].weights:
        if each.path in statistics:
            np.testing.assert_array_equal(each, statistics[each.path])
