"""Operators that contradict themselves, and operators that ask for what there is not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from edgeprune.errors import MalformedModelError, UnsupportedError
from edgeprune.graph import Graph, read_graph
from tests.graph.networks import Network

Change = Callable[[Network], object]


def _graph(build: Change) -> Graph:
    network = Network(np.random.default_rng(2), (1, 6, 4, 8), scale=0.05)
    build(network)
    return read_graph(network.content())


def _output(build: Change, **attributes: object) -> Change:
    """A layer, its output's tensor changed."""

    def change(network: Network) -> None:
        build(network)
        for name, value in attributes.items():
            setattr(network.tensors[network.outputs[0]], name, value)

    return change


def _options(build: Change, **options: object) -> Change:
    """A layer, its attributes changed."""

    def change(network: Network) -> None:
        build(network)
        network.operators[-1].options = {**network.operators[-1].options, **options}

    return change


def _operand(build: Change, position: int, values: object, dtype: str = "int32") -> Change:
    """A layer, the values of one of its constant inputs changed."""

    def change(network: Network) -> None:
        build(network)
        tensor = network.tensors[network.operators[-1].inputs[position]]
        array = np.array(values, dtype=dtype)
        tensor.shape, tensor.data, tensor.dtype = array.shape, array.tobytes(), dtype

    return change


def _pool(network: Network) -> int:
    return network.max_pool_2d(0)


def _pad(network: Network) -> int:
    return network.pad(0, [(0, 0), (1, 1), (0, 0), (0, 0)])


def _padv2(network: Network) -> int:
    return network.pad(0, [(0, 0), (1, 1), (0, 0), (0, 0)], 4)


def _add(network: Network) -> int:
    return network.add(0, network.operand((8,)))


def _concat(network: Network) -> int:
    return network.concatenation([0, 0], 3)


def _split(network: Network) -> None:
    network.split(0, 3, 2)


def _split_v(network: Network) -> None:
    network.split_v(0, 3, [3, 5])


def _strided(network: Network) -> int:
    return network.strided_slice(0, [0, 1, 0, 0], [1, 3, 4, 8])


def _slice(network: Network) -> int:
    return network.slice(0, [0, 1, 0, 0], [1, 2, 4, 8])


def _transpose(network: Network) -> int:
    return network.transpose(0, [0, 2, 1, 3])


def _reshape(network: Network) -> int:
    return network.reshape(0, (24, 8))


_MALFORMED = {
    "pool: shape": (_output(_pool, shape=(1, 6, 4, 9)), "[1, 6, 4, 8]"),
    "pad: negative": (_operand(_pad, 1, [[0, 0], [3, -1], [0, 0], [0, 0]]), "pads tensor"),
    "pad: too few": (_operand(_pad, 1, [[0, 0], [1, 1]]), "8 are needed"),
    "pad: shape": (_output(_pad, shape=(1, 7, 4, 8)), "[1, 8, 4, 8]"),
    "pad: absurd": (_operand(_pad, 1, [[0, 0], [2**31 - 1] * 2, [0, 0], [0, 0]]), "shape"),
    "padv2: two values": (_operand(_padv2, 2, [1, 2], "int8"), "one value"),
    "add: shapes": (_operand(_add, 1, [1, 2, 3], "int8"), "don't broadcast"),
    "add: output": (_output(_add, shape=(6, 4, 8)), "[1, 6, 4, 8]"),
    "concatenation: axis": (_options(_concat, Axis=4), "dimension 4"),
    "concatenation: sum": (_output(_concat, shape=(1, 6, 4, 17)), "joins 2"),
    "concatenation: others": (_output(_concat, shape=(1, 6, 5, 16)), "joins tensor"),
    "concatenation: rank": (_output(_concat, shape=(6, 4, 8, 1, 8)), "5 dimensions"),
    "split: axis": (_operand(_split, 0, 7), "dimension 7"),
    "split: number": (_options(_split, NumSplits=3), "into 3 parts"),
    "split: shape": (_output(_split, shape=(1, 6, 4, 5)), "[1, 6, 4, 4]"),
    "split_v: sum": (_operand(_split_v, 1, [3, 6]), "parts of [3, 6]"),
    "split_v: number": (_operand(_split_v, 1, [3, 4, 1]), "2 are needed"),
    "split_v: two open": (_operand(_split_v, 1, [-1, -1]), "parts of"),
    "split_v: nothing": (_operand(_split_v, 1, [9, -1]), "parts of"),
    "strided_slice: stride": (_operand(_strided, 3, [1, 0, 1, 1]), "stride of 0"),
    "strided_slice: nothing": (_operand(_strided, 2, [1, 1, 4, 8]), "takes nothing"),
    "strided_slice: outside": (
        _options(_operand(_strided, 1, [0, 6, 0, 0]), ShrinkAxisMask=2),
        "takes nothing",
    ),
    "strided_slice: lengths": (_operand(_strided, 1, [0, 1, 0]), "3 begins"),
    "strided_slice: rank": (
        _operand(_operand(_operand(_strided, 1, [0] * 5), 2, [1] * 5), 3, [1] * 5),
        "5 begins",
    ),
    "strided_slice: shape": (_output(_strided, shape=(1, 3, 4, 8)), "[1, 2, 4, 8]"),
    "slice: outside": (_operand(_slice, 1, [0, 5, 0, 0]), "takes"),
    "slice: negative": (_operand(_slice, 1, [0, -1, 0, 0]), "takes"),
    "slice: size": (_operand(_slice, 2, [1, -2, 4, 8]), "takes"),
    "transpose: twice": (_operand(_transpose, 1, [0, 2, 2, 3]), "permutes"),
    "transpose: outside": (_operand(_transpose, 1, [0, 2, 1, 4]), "permutes"),
    "transpose: too many": (_operand(_transpose, 1, list(range(5))), "4 are needed"),
    "transpose: shape": (_output(_transpose, shape=(1, 6, 4, 8)), "[1, 4, 6, 8]"),
    "reshape: elements": (_output(_reshape, shape=(24, 9)), "by the shape"),
    "reshape: contradiction": (_operand(_reshape, 1, [12, 16]), "by the shape"),
    "squeeze: not 1": (_output(lambda n: n.squeeze(0), shape=(6, 8, 4)), "turns tensor"),
    "relu: shape": (_output(lambda n: n.relu(0), shape=(6, 4, 8)), "[1, 6, 4, 8]"),
    "leaky_relu: alpha": (lambda n: n.leaky_relu(0, float("nan")), "alpha of nan"),
    "logistic: no scale": (_output(lambda n: n.logistic(0), scales=()), "no scale"),
    "many indices": (_operand(_transpose, 1, [0] * 5000), "4 are needed"),
    "many axes": (_operand(lambda n: n.mean(0, [1]), 1, [1] * 5000), "at most 1024"),
}


@pytest.mark.parametrize("name", _MALFORMED)
def test_contradictions(name: str) -> None:
    change, message = _MALFORMED[name]
    with pytest.raises(MalformedModelError) as caught:
        _graph(change)
    assert message in str(caught.value)


def _mixed(network: Network) -> None:
    network.concatenation([0, network.operand((1, 6, 4, 8), scale=0.06)], 3)


def _float_inside(network: Network) -> None:
    network.dequantize(0)
    network.relu(0)


def _computed_indices(network: Network) -> None:
    _transpose(network)
    network.tensors[network.operators[-1].inputs[1]].data = None


def _other(build: Change) -> Change:
    return _output(build, scales=[0.07])


_UNSUPPORTED = {
    "pool that rescales": (_other(_pool), "have to rescale"),
    "concatenation that rescales": (_mixed, "have to rescale"),
    "pad that rescales": (_other(_pad), "have to rescale"),
    "padv2 that rescales": (_output(_padv2, zero_points=[3]), "zero point 3"),
    "transpose that rescales": (_other(_transpose), "have to rescale"),
    "reshape that rescales": (_other(_reshape), "have to rescale"),
    "slice that rescales": (_other(_slice), "have to rescale"),
    "split that rescales": (_other(_split), "have to rescale"),
    "strided slice that rescales": (_other(_strided), "have to rescale"),
    "logistic": (_other(lambda n: n.logistic(0)), "scale 1/256"),
    "tanh": (_output(lambda n: n.tanh(0), zero_points=[1]), "scale 1/128"),
    "hard_swish": (lambda n: n.hard_swish(0, gain=1 / 128), "less than 128"),
    "negative slope": (lambda n: n.leaky_relu(0, -1.0), "alpha of -1"),
    "fused concatenation": (_options(_concat, FusedActivationFunction=1), "fused"),
    "fused tanh": (_options(_add, FusedActivationFunction=4), "fused activation 4"),
    "two constants": (lambda n: n.add(n.operand((2,)), n.operand((2,))), "constants"),
    "one constant": (lambda n: n.tanh(n.operand((2,))), "constant"),
    "constants joined": (lambda n: n.concatenation([n.operand((2, 3))] * 2, 0), "constants"),
    "ellipsis": (_options(_strided, EllipsisMask=1), "EllipsisMask"),
    "new axis": (_options(_strided, NewAxisMask=2), "NewAxisMask"),
    "offset": (_options(_strided, Offset=True), "Offset"),
    "computed indices": (_computed_indices, "constant of int32"),
    "indices of another type": (_operand(_transpose, 1, [0, 2, 1, 3], "int8"), "of int32"),
    "float inside": (_float_inside, "only place for float32"),
    "uint8 inside": (lambda n: n.relu(n.quantize(0, dtype="uint8")), "uint8"),
    "uint8 to uint8": (
        lambda n: n.quantize(n.quantize(0, dtype="uint8"), dtype="uint8"),
        "uint8 into uint8",
    ),
    "dequantize to int8": (_output(lambda n: n.dequantize(0), dtype="int8"), "float32"),
    "much written": (
        lambda n: [n.pad(0, [(0, 0), (0, 100_000), (0, 0), (0, 0)]) for _ in range(12)],
        "write more than",
    ),
}


@pytest.mark.parametrize("name", _UNSUPPORTED)
def test_what_edgeprune_lacks(name: str) -> None:
    change, message = _UNSUPPORTED[name]
    with pytest.raises(UnsupportedError) as caught:
        _graph(change)
    assert message in str(caught.value)
