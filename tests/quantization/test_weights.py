"""Fake-quantized weights: the values that int8 and the 4-bit grid stand for."""

from __future__ import annotations

import numpy as np
import pytest

from edgeprune.models.backend import keras, tf
from edgeprune.quantization.weights import (
    INT4_GRID,
    Bits,
    bits_of,
    fake_quantized,
    shared_axes,
    snapped,
)

KERNEL = np.random.default_rng(3).normal(size=(3, 1, 20, 6)).astype(np.float32)
AXES = (0, 1, 2)


def steps(values: np.ndarray) -> np.ndarray:
    """The int8 values of weights, as the converter finds them."""
    found = values / (np.abs(values).max(axis=AXES) / 127)
    np.testing.assert_allclose(found, np.rint(found), atol=1e-4)
    return np.rint(found).astype(int)


def test_the_grid_of_4_bits() -> None:
    assert INT4_GRID == (-127, -109, -91, -73, -54, -36, -18, 0, 18, 36, 54, 73, 91, 109, 127)


def test_int8_weights_are_the_nearest() -> None:
    values = snapped(KERNEL, AXES, 8).numpy()
    scale = np.abs(KERNEL).max(axis=AXES) / 127
    assert (np.abs(values - KERNEL) <= 0.5001 * scale).all()
    assert len(np.unique(steps(values))) > 100


def test_int4_weights_are_the_nearest_of_the_grid() -> None:
    values = snapped(KERNEL, AXES, 4).numpy()
    scale = np.abs(KERNEL).max(axis=AXES) / 127
    grid = np.array(INT4_GRID)
    distances = np.abs(KERNEL[..., None] / scale[:, None] - grid)
    # The grid is rounded to int8, so halfway between two values it may be half a step off.
    assert (np.abs(values - KERNEL) <= (distances.min(axis=-1) + 1) * scale).all()
    assert set(steps(values).ravel().tolist()) == set(INT4_GRID)


@pytest.mark.parametrize("bits", [4, 8])
def test_snapping_keeps_zeros_and_largest_weights_and_is_done_once(bits: Bits) -> None:
    kernel = KERNEL.copy()
    kernel[0, 0, ::3] = 0
    kernel[..., 2] = 0
    once = snapped(kernel, AXES, bits).numpy()
    assert not once[kernel == 0].any()
    np.testing.assert_allclose(np.abs(once).max(axis=AXES), np.abs(kernel).max(axis=AXES))
    np.testing.assert_array_equal(snapped(once, AXES, bits).numpy(), once)


@pytest.mark.parametrize("bits", [4, 8])
def test_gradients_go_straight_through(bits: Bits) -> None:
    kernel = tf.Variable(KERNEL)
    upstream = np.random.default_rng(4).normal(size=KERNEL.shape).astype(np.float32)
    with tf.GradientTape() as tape:
        values = fake_quantized(kernel, AXES, bits)
        loss = tf.reduce_sum(values * upstream)
    np.testing.assert_array_equal(values.numpy(), snapped(KERNEL, AXES, bits).numpy())
    np.testing.assert_array_equal(tape.gradient(loss, kernel).numpy(), upstream)


def test_channels_have_scales_of_their_own() -> None:
    for layer, shape, axes in (
        (keras.layers.Conv2D(4, 3, name="conv"), (None, 8, 8, 2), (0, 1, 2)),
        (keras.layers.DepthwiseConv2D(3, depth_multiplier=2, name="dw"), (None, 8, 8, 2), (0, 1)),
        (keras.layers.Dense(4, name="dense"), (None, 8), (0,)),
    ):
        layer.build(shape)
        assert shared_axes(layer) == axes
        assert bits_of(layer, ("conv", "dense")) == (8 if layer.name == "dw" else 4)
