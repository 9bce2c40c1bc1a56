"""exp, logistic and tanh in integers, against the same in real numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest

from edgeprune.codegen.fixed_point import INT32_MAX
from edgeprune.codegen.kernels.softmax import SOFTMAX
from edgeprune.codegen.kernels.transcendental import logistic, softmax_exponentials, tanh
from edgeprune.cores import CORES
from edgeprune.graph import read_graph
from tests.graph.networks import Network


@pytest.mark.parametrize(("scale", "beta"), [(0.1447, 1.0), (0.01, 1.0), (1.0, 0.3), (20.0, 2.0)])
def test_exponentials(scale: float, beta: float) -> None:
    table = softmax_exponentials(scale, beta).table()
    assert table[0] == INT32_MAX
    assert list(table) == sorted(table, reverse=True)
    for index, value in enumerate(table):
        assert value / 2**31 == pytest.approx(math.exp(-index * scale * beta), abs=1e-6)
    # What is left out is next to nothing: 31 / 16 of the reach of a Q5.26 number, or more.
    assert len(table) == 256 or math.exp(-len(table) * scale * beta) < math.exp(-15)


def test_a_softmax_of_a_vanishing_scale_is_refused() -> None:
    with pytest.raises(ValueError, match="2\\*\\*-26"):
        softmax_exponentials(2.0**-27, 1.0)


@pytest.mark.parametrize("scale", [0.001, 0.03, 0.4, 1.0])
def test_sigmoids_are_the_nearest_integers_or_next_to_them(scale: float) -> None:
    for value in range(-255, 256):
        x = value * scale
        assert logistic(value, scale) == pytest.approx(256 / (1 + math.exp(-x)), abs=0.6)
        assert tanh(value, scale) == pytest.approx(128 * math.tanh(x), abs=0.6)


def test_a_softmax_has_the_smaller_of_a_table_and_a_series() -> None:
    functions = []
    for scale in (0.1, 1.0):
        network = Network(np.random.default_rng(0), (1, 12), scale=scale)
        network.softmax(0)
        (operator,) = read_graph(network.content()).operators
        lowered = SOFTMAX.lower(operator, CORES["host"])
        functions.append((lowered.function, len(lowered.constants)))
    assert functions == [
        ("edgeprune_kernel_softmax_series", 0),
        ("edgeprune_kernel_softmax_table", 1),
    ]
