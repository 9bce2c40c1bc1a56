"""Maps of bytes: all 256 inputs, over many scales and zero points."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgeprune.codegen import HostProgram, generate
from edgeprune.codegen.kernels.activation_maps import byte_map
from edgeprune.codegen.kernels.unary import DEQUANTIZE, LOGISTIC, QUANTIZE, RELU
from edgeprune.cores import CORES
from edgeprune.errors import UnsupportedError
from edgeprune.graph import Operator, read_graph
from edgeprune.toolchain import Toolchain
from tests.codegen.reference import Reference
from tests.graph.networks import Network

_ALL_BYTES = np.arange(256, dtype=np.uint8)
_SCALES = [0.0007, 0.0191, 0.1, 0.37, 1.0]
_OUTPUTS = [(1.0, 3), (1.0, -128), (0.004, 0), (0.51, 127), (1.7, -77), (30.0, 5)]


def _network(scale: float, zero_point: int, dtype: str = "int8") -> Network:
    return Network(
        np.random.default_rng(0), (1, 256), scale=scale, zero_point=zero_point, dtype=dtype
    )


def _operator(network: Network) -> Operator:
    (operator,) = read_graph(network.content()).operators
    return operator


def _assert_map(network: Network) -> None:
    operator = _operator(network)
    values = _ALL_BYTES.view(operator.inputs[0].dtype).reshape(1, 256)
    reference = Reference(network.content())
    reference.invoke(values)
    expected = reference.tensor(operator.output.index).reshape(-1).view(np.uint8)
    np.testing.assert_array_equal(byte_map(operator), expected)


@pytest.mark.parametrize("scale", _SCALES)
@pytest.mark.parametrize("zero_point", [-128, 0, 41, 127])
@pytest.mark.parametrize("kind", ["logistic", "tanh"])
def test_sigmoids(kind: str, scale: float, zero_point: int) -> None:
    network = _network(scale, zero_point)
    getattr(network, kind)(0)
    _assert_map(network)


@pytest.mark.parametrize("scale", _SCALES)
@pytest.mark.parametrize("zero_point", [-128, 0, 41, 127])
@pytest.mark.parametrize("kind", ["relu", "relu6", "relu_n1_to_1", "leaky", "swish", "quantize"])
def test_rescaled(kind: str, scale: float, zero_point: int) -> None:
    for gain, output_zero_point in _OUTPUTS:
        network = _network(scale, zero_point)
        output = {"gain": gain, "zero_point": output_zero_point}
        if kind == "leaky":
            for alpha in (0.0, 0.1, 0.5, 3.0):
                other = _network(scale, zero_point)
                other.leaky_relu(0, alpha, **output)
                _assert_map(other)
            continue
        if kind == "swish":
            network.hard_swish(0, gain=max(gain, 0.01), zero_point=output_zero_point)
        elif kind == "quantize":
            network.quantize(0, **output)
        else:
            network.relu(0, kind, **output)
        _assert_map(network)


@pytest.mark.parametrize(("source", "output"), [("int8", "uint8"), ("uint8", "int8")])
@pytest.mark.parametrize("gain", [1.0, 0.3, 2.5])
@pytest.mark.parametrize("shift", [0, 128, 20])
def test_between_signed_and_unsigned(source: str, output: str, gain: float, shift: int) -> None:
    signed, unsigned = -70, shift
    zero_points = (signed, unsigned) if source == "int8" else (unsigned, signed)
    network = _network(0.1, zero_points[0], source)
    network.quantize(0, dtype=output, gain=gain, zero_point=zero_points[1])
    _assert_map(network)


@pytest.mark.parametrize(
    ("dtype", "zero_point", "scale"),
    [
        ("int8", -128, 0.1),
        ("int8", 9, 1 / 3),
        ("int8", 127, 0.99999994),
        ("int8", 0, 2.0**-126),
        ("uint8", 130, 7.3),
        ("uint8", 0, 1 / 256),
        ("uint8", 255, 1e35),
    ],
)
def test_dequantize(
    dtype: str, zero_point: int, scale: float, zig: Toolchain, build_cache: Path
) -> None:
    network = _network(scale, zero_point, dtype)
    network.dequantize(0)
    graph = read_graph(network.content())
    host = HostProgram.build(generate(graph, labels=()), zig, build_cache)
    values = _ALL_BYTES.view(dtype).reshape(1, 256)
    expected = np.float32(scale) * (values.astype(np.float32) - np.float32(zero_point))
    np.testing.assert_array_equal(host.invoke(values), expected)


@pytest.mark.parametrize("scale", [2.0**-127, 1e37])
def test_dequantize_to_what_a_float_cannot_hold_is_refused(scale: float) -> None:
    network = _network(scale, 0)
    network.dequantize(0)
    with pytest.raises(UnsupportedError, match="too small or too large"):
        DEQUANTIZE.lower(_operator(network), CORES["host"])


def test_where_lite_computes_sigmoids_in_real_numbers_micro_does_not() -> None:
    """What TFLite Micro gave for inputs of large scales, by value minus zero point."""
    found = {}
    for scale in (5.0, 8.0):
        for kind in ("logistic", "tanh"):
            network = _network(scale, 0)
            getattr(network, kind)(0)
            table = byte_map(_operator(network)).view(np.int8)
            found[kind, scale] = [int(table[value % 256]) for value in (-3, -1, 0, 1, 3)]
    assert found == {
        ("logistic", 5.0): [-128, -128, 0, 127, 127],
        ("tanh", 5.0): [-128, -128, 0, 127, 127],
        ("logistic", 8.0): [-128, -128, -128, 127, 127],
        ("tanh", 8.0): [-128, -128, -128, 127, 127],
    }


def _kernel(network: Network) -> str:
    operator, host = _operator(network), CORES["host"]
    for kernel in (RELU, QUANTIZE, LOGISTIC):
        lowered = kernel.offer(operator, host)
        if lowered is not None:
            return lowered.function.removeprefix("edgeprune_kernel_")
    raise AssertionError(operator)


def test_a_table_is_taken_only_where_nothing_simpler_does() -> None:
    kinds = []
    for zero_point, gain in ((3, 1.0), (4, 1.0), (3, 1.1)):
        network = _network(0.1, 3)
        network.relu(0, gain=gain, zero_point=zero_point)
        kinds.append(_kernel(network))
    assert kinds == ["clip", "map", "map"]
    for zero_point, expected in ((131, "flip_sign"), (130, "map")):
        network = _network(0.1, 3)
        network.quantize(0, dtype="uint8", zero_point=zero_point)
        assert _kernel(network) == expected
    network = _network(0.1, 3)
    network.quantize(0, zero_point=3)
    assert _kernel(network) == "move"


@pytest.mark.parametrize(
    ("kind", "scale", "output", "message"),
    [
        ("logistic", 2.0**-29, (1 / 256, -128), "below 2\\*\\*-28"),
        ("relu", 8.0, (2.0**-22, 0), "overflows 32 bits"),
        ("hard_swish", 1e-8, (1e-8, 0), "out of the range of 16-bit arithmetic"),
    ],
)
def test_what_cannot_be_exact_is_refused(
    kind: str, scale: float, output: tuple[float, int], message: str
) -> None:
    network = _network(scale, 0)
    getattr(network, kind)(0)
    network.tensors[-1].scales, network.tensors[-1].zero_points = [output[0]], [output[1]]
    with pytest.raises(UnsupportedError, match=message):
        byte_map(_operator(network))
