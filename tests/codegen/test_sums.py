"""ADD, SUB and MUL for all 65,536 pairs of operands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeprune.codegen import HostProgram, generate
from edgeprune.codegen.kernels.elementwise import ADD
from edgeprune.codegen.kernels.sums import LinearSum, exact_sums, linear_sum
from edgeprune.cores import CORES
from edgeprune.errors import UnsupportedError
from edgeprune.graph import Add, Sub, read_graph
from edgeprune.toolchain import Toolchain
from tests.codegen.reference import Reference
from tests.graph.networks import Network

_VALUES = np.arange(-128, 128, dtype=np.int8)
#: (left, right, output): scale and zero point of each.
_QUANTIZATIONS = [
    ((0.1, 3), (0.1, -7), (0.2, 11)),  # halves are exact
    ((0.5, 0), (0.125, 5), (0.5, -128)),
    ((0.5, 0), (0.5, 0), (1.0, 0)),  # ties on either side of zero
    ((0.03713, -128), (0.02135, -128), (0.04017, -128)),
    ((0.0371, -128), (0.0213, -128), (0.0402, -128)),  # almost halves: no formula
    ((0.0371, 127), (0.9, -128), (0.81, 64)),
    ((3.0, 3), (0.002, 9), (5.0, 0)),
    ((0.01, 3), (0.02, 9), (7.0, -20)),
    ((0.1, 3), (0.2, 9), (0.0001, -20)),
]


def _network(quantizations: Any, kind: str, activation: str = "none") -> Network:
    """Every pair: 256 values of the input with each of 256 constants."""
    left, right, output = quantizations
    network = Network(np.random.default_rng(0), (1, 256), scale=left[0], zero_point=left[1])
    column = _VALUES.reshape(256, 1)
    constant = network.constant(column, scales=[right[0]], zero_points=[right[1]])
    result = getattr(network, kind)(0, constant, activation=activation)
    network.tensors[result].scales = [output[0]]
    network.tensors[result].zero_points = [output[1]]
    return network


def _expected(network: Network) -> np.ndarray:
    reference = Reference(network.content())
    reference.invoke(_VALUES.reshape(1, 256))
    return reference.tensor(network.outputs[0])


@pytest.mark.parametrize("quantizations", _QUANTIZATIONS, ids=str)
@pytest.mark.parametrize("kind", ["add", "sub", "mul"])
def test_every_pair(kind: str, quantizations: Any, zig: Toolchain, build_cache: Path) -> None:
    _assert_every_pair(_network(quantizations, kind), zig, build_cache)


@pytest.mark.parametrize("quantizations", _QUANTIZATIONS[3:5], ids=str)
@pytest.mark.parametrize("activation", ["relu", "relu6", "relu_n1_to_1"])
def test_every_pair_with_an_activation(
    activation: str, quantizations: Any, zig: Toolchain, build_cache: Path
) -> None:
    _assert_every_pair(_network(quantizations, "sub", activation), zig, build_cache)


def _assert_every_pair(network: Network, zig: Toolchain, build_cache: Path) -> None:
    host = HostProgram.build(generate(read_graph(network.content()), labels=()), zig, build_cache)
    found = host.invoke(_VALUES.reshape(1, 256)).reshape(256, 256)
    np.testing.assert_array_equal(found, _expected(network))


def _apply(by: LinearSum, low: int, high: int) -> np.ndarray:
    values = _VALUES.astype(np.int64)
    sums = by.left * values[:, np.newaxis] + by.right * values + by.offset
    assert np.abs(sums).max() < 2**31
    if by.ties_away:
        sums = sums - (sums < 0) + by.rounding
    return np.clip(sums >> by.shift, low, high)


def test_a_formula_is_found_for_any_scales() -> None:
    rng = np.random.default_rng(3)
    kinds = set()
    for index in range(60):
        scales = np.exp(rng.uniform(-6, 3, 3)).astype(np.float32)
        if index % 3 == 0:  # powers of two apart, where ties are exact
            scales = scales[0] * np.exp2(rng.integers(-3, 4, 3)).astype(np.float32)
        scales[2] = max(scales[2], scales.max() / 500)
        zero_points = rng.integers(-128, 128, 3)
        pairs = [(float(a), int(b)) for a, b in zip(scales, zero_points, strict=True)]
        network = _network(pairs, "add" if index % 2 else "sub")
        (operator,) = read_graph(network.content()).operators
        assert isinstance(operator, Add | Sub)
        by = linear_sum(operator)
        assert by is not None
        kinds.add(by.ties_away)
        np.testing.assert_array_equal(_apply(by, -128, 127), exact_sums(operator))
    assert kinds == {False, True}


def test_halves_that_only_rounding_decides_are_computed_step_by_step() -> None:
    functions = []
    for left, right, output in ((0.1, 0.1, 0.2), (0.0371, 0.0213, 0.0402)):
        network = _network(((left, -128), (right, -128), (output, -128)), "add")
        (operator,) = read_graph(network.content()).operators
        lowered = ADD.lower(operator, CORES["host"])
        functions.append(lowered.function)
    assert functions == ["edgeprune_kernel_add_broadcast", "edgeprune_kernel_add_exact_broadcast"]


def test_a_sum_on_a_scale_that_is_too_small_is_refused() -> None:
    network = _network(((1.0, 0), (1.0, 0), (2.0**-19, 0)), "add")
    (operator,) = read_graph(network.content()).operators
    assert isinstance(operator, Add)
    with pytest.raises(UnsupportedError, match="too small for its inputs'"):
        linear_sum(operator)
