"""What is computed at build time, against the same in real numbers."""

from __future__ import annotations

import math
import random
from fractions import Fraction

import numpy as np
import pytest

from edgeprune.codegen.fixed_point import (
    INT32_MAX,
    Rescale,
    activation_range,
    mean_rescale,
    rescale,
)
from edgeprune.codegen.kernels.reduction import merged_axes


def _real(by: Rescale) -> Fraction:
    return Fraction(by.multiplier, 2**31) * Fraction(2) ** by.shift


def test_a_rescale_is_the_nearest() -> None:
    rng = random.Random(1)
    for _ in range(2000):
        real = math.ldexp(rng.uniform(0.5, 1.0), rng.randrange(-30, 30))
        by = rescale(real)
        assert 2**30 <= by.multiplier <= INT32_MAX
        assert abs(_real(by) / Fraction(real) - 1) <= Fraction(1, 2**31)


@pytest.mark.parametrize(
    ("real", "expected"),
    [
        (0.5, Rescale(2**30, 0)),
        (1.0, Rescale(2**30, 1)),
        (math.nextafter(1.0, 0.0), Rescale(2**30, 1)),  # rounds up to the next power of two
        (2.0**-32, Rescale(2**30, -31)),
        (2.0**-33, Rescale(0, 0)),
        (0.0, Rescale(0, 0)),
    ],
)
def test_rescale_at_its_edges(real: float, expected: Rescale) -> None:
    assert rescale(real) == expected


@pytest.mark.parametrize("count", [1, 2, 3, 7, 125, 1000, 4096])
def test_the_mean_divides_by_its_count(count: int) -> None:
    by = mean_rescale(0.37, count)
    assert abs(_real(by) * count / Fraction(0.37) - 1) < Fraction(1, 2**29)
    assert by.multiplier <= INT32_MAX


def test_activation_ranges() -> None:
    assert activation_range("none", 0.1, 3) == (-128, 127)
    assert activation_range("relu", 0.1, -128) == (-128, 127)
    assert activation_range("relu", 0.1, 5) == (5, 127)
    assert activation_range("relu6", 0.1, -10) == (-10, 50)
    assert activation_range("relu6", 0.01, -10) == (-10, 127)
    assert activation_range("relu_n1_to_1", 0.1, 0) == (-10, 10)
    # 1 / 0.4 is 2.5 in single precision, and rounds away from zero on both sides.
    assert activation_range("relu_n1_to_1", float(np.float32(0.4)), 0) == (-3, 3)
    # A scale so small that 6 leaves the integers.
    assert activation_range("relu6", 1e-44, 0) == (0, 127)


@pytest.mark.parametrize(
    ("shape", "axes", "expected"),
    [
        ((1, 25, 5, 64), (1, 2), ((1, 1, 64), (1, 125))),
        ((2, 25, 5, 64), (1, 2), ((1, 2, 64), (1, 125))),
        ((2, 25, 5, 64), (1, 3), ((2, 5, 1), (25, 64))),
        ((2, 25, 5, 64), (0, 2), ((1, 25, 64), (2, 5))),
        ((2, 25, 5, 64), (0, 1, 2, 3), ((1, 1, 1), (1, 16000))),
        ((7,), (0,), ((1, 1, 1), (1, 7))),
        ((1, 1, 1), (1,), ((1, 1, 1), (1, 1))),
        ((2, 3, 1, 4), (0, 2, 3), ((1, 3, 1), (2, 4))),
        ((2, 3, 4, 5, 6, 7), (0, 2, 4), None),
    ],
)
def test_merged_axes(shape: tuple[int, ...], axes: tuple[int, ...], expected: object) -> None:
    assert merged_axes(shape, axes) == expected
