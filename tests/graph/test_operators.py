"""What each operator's attributes become, and which contradictions are seen."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeprune.errors import UnsupportedError
from edgeprune.graph import (
    Add,
    Concatenation,
    Dequantize,
    Graph,
    HardSwish,
    LeakyRelu,
    Logistic,
    MaxPool2D,
    Mul,
    Pad,
    Quantize,
    Relu,
    Reshape,
    StridedSlice,
    Sub,
    Tanh,
    Transpose,
    read_graph,
)
from tests.graph.networks import Network

Change = Callable[[Network], object]


def _network(shape: tuple[int, ...] = (1, 6, 4, 8), **quantization: object) -> Network:
    return Network(np.random.default_rng(2), shape, scale=0.05, **quantization)


def _graph(build: Change, shape: tuple[int, ...] = (1, 6, 4, 8)) -> Graph:
    network = _network(shape)
    build(network)
    return read_graph(network.content())


def test_max_pool() -> None:
    (pool,) = _graph(
        lambda n: n.max_pool_2d(0, kernel=(3, 2), stride=(2, 2), activation="relu")
    ).operators
    assert isinstance(pool, MaxPool2D)
    assert (pool.window.kernel, pool.window.stride) == ((3, 2), (2, 2))
    assert (pool.window.padding.top, pool.window.padding.bottom) == (0, 1)
    assert pool.activation == "relu"


@pytest.mark.parametrize(
    ("build", "kind"), [(Network.add, Add), (Network.sub, Sub), (Network.mul, Mul)]
)
def test_binary_operators_broadcast(build: Callable[..., int], kind: type) -> None:
    for shape in [(), (8,), (4, 1), (6, 1, 8), (1, 1, 1, 1), (3, 6, 4, 8)]:
        network = _network()
        build(network, 0, network.operand(shape), activation="relu6")
        graph = read_graph(network.content())
        (operator,) = graph.operators
        assert isinstance(operator, kind)
        assert operator.inputs == (graph.input,)
        assert operator.constants == (operator.right,)
        assert operator.output.shape == np.broadcast_shapes((1, 6, 4, 8), shape)
        assert operator.activation == "relu6"
        assert operator.weight_bytes == operator.right.elements
    network = _network()
    build(network, network.operand((8,)), 0)
    (operator,) = read_graph(network.content()).operators
    assert operator.constants[0].shape == (8,)


def test_paddings_and_their_value() -> None:
    network = _network(zero_point=-9)
    tensor = network.pad(0, [(0, 0), (1, 2), (0, 3), (4, 0)])
    network.pad(tensor, [(0, 0), (0, 0), (1, 1), (0, 0)], 77)
    first, second = read_graph(network.content()).operators
    assert isinstance(first, Pad)
    assert isinstance(second, Pad)
    assert (first.before, first.after) == ((0, 1, 0, 4), (0, 2, 3, 0))
    assert (first.value, second.value) == (-9, 77)
    assert [first.kind, second.kind] == ["PAD", "PADV2"]


def test_concatenation_of_activations_and_constants() -> None:
    network = _network()
    constant = network.operand((1, 6, 4, 3), scale=0.05)
    network.concatenation([0, constant, 0], -1)
    graph = read_graph(network.content())
    (operator,) = graph.operators
    assert isinstance(operator, Concatenation)
    assert operator.axis == 3
    assert operator.inputs == (graph.input, graph.input)
    assert [tensor.shape for tensor in operator.constants] == [(1, 6, 4, 3)]
    assert [tensor.shape[3] for tensor in operator.sources] == [8, 3, 8]


def test_every_output_of_a_split_is_a_slice() -> None:
    network = _network()
    halves = network.split(0, -1, 2)
    parts = network.split_v(halves[1], 1, [1, -1, 2])
    network.concatenation(parts[::-1], 1)
    operators = read_graph(network.content()).operators
    slices = [operator for operator in operators if isinstance(operator, StridedSlice)]
    assert [operator.index for operator in operators] == [0, 0, 1, 1, 1, 2]
    assert [operator.kind for operator in slices] == ["SPLIT"] * 2 + ["SPLIT_V"] * 3
    assert [operator.output.index for operator in slices] == [*halves, *parts]
    assert [operator.begin[3] for operator in slices[:2]] == [0, 4]
    assert [operator.begin[1] for operator in slices[2:]] == [0, 1, 4]
    assert [operator.extent for operator in slices[2:]] == [(1, k, 4, 4) for k in (1, 3, 2)]
    assert {operator.stride for operator in slices} == {(1, 1, 1, 1)}


def _index(slice_: StridedSlice) -> tuple[np.ndarray, ...]:
    return np.ix_(
        *(
            begin + stride * np.arange(extent)
            for begin, stride, extent in zip(
                slice_.begin, slice_.stride, slice_.extent, strict=True
            )
        )
    )


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_strided_slices_take_what_numpy_takes(data: st.DataObject) -> None:
    shape = data.draw(st.lists(st.integers(1, 7), min_size=1, max_size=4).map(tuple))
    begin, end, stride = [], [], []
    begin_mask = end_mask = shrink_mask = 0
    for axis, size in enumerate(shape):
        begin.append(data.draw(st.integers(-size - 2, size + 1)))
        end.append(data.draw(st.integers(-size - 2, size + 1)))
        stride.append(data.draw(st.sampled_from([1, 1, 2, 3, -1, -2, -9])))
        begin_mask |= data.draw(st.booleans()) << axis
        end_mask |= data.draw(st.booleans()) << axis
        if -size <= begin[-1] < size and not begin_mask >> axis & 1:
            shrink_mask |= data.draw(st.sampled_from([0, 0, 1])) << axis
    network = _network(shape)
    masks = {"begin_mask": begin_mask, "end_mask": end_mask, "shrink_axis_mask": shrink_mask}
    output = network.strided_slice(0, begin, end, stride, **masks)
    if 0 in network.shape(output):
        with pytest.raises(UnsupportedError, match="not fixed"):
            read_graph(network.content())
        return
    (operator,) = read_graph(network.content()).operators
    assert isinstance(operator, StridedSlice)
    values = np.arange(np.prod(shape)).reshape(shape)
    taken = values[_index(operator)].reshape(network.shape(output))
    index = tuple(
        begin[axis]
        if shrink_mask >> axis & 1
        else slice(
            None if begin_mask >> axis & 1 else begin[axis],
            None if end_mask >> axis & 1 else end[axis],
            stride[axis],
        )
        for axis in range(len(shape))
    )
    np.testing.assert_array_equal(taken, values[index])
    assert all(
        abs(step) == 1 or extent > 1
        for step, extent in zip(operator.stride, operator.extent, strict=True)
    )


def test_dimensions_without_indices_are_taken_whole() -> None:
    network = _network()
    numbers = [
        network.constant(np.array(each, dtype=np.int32)) for each in ([0, 1], [1, 3], [1, 1])
    ]
    masks = {"BeginMask": 0, "EndMask": 0, "EllipsisMask": 0, "NewAxisMask": 0}
    network.operator(
        "STRIDED_SLICE",
        [0, *numbers],
        network.activation((1, 2, 4, 8), 0.05),
        ShrinkAxisMask=0b1000,  # of a dimension without indices: no meaning
        **masks,
    )
    (operator,) = read_graph(network.content()).operators
    assert isinstance(operator, StridedSlice)
    assert (operator.begin, operator.extent) == ((0, 1, 0, 0), (1, 2, 4, 8))


def test_slices_take_the_rest() -> None:
    (operator,) = _graph(lambda n: n.slice(0, [0, 2, 1, 0], [1, -1, 2, 8])).operators
    assert isinstance(operator, StridedSlice)
    assert operator.begin == (0, 2, 1, 0)
    assert operator.extent == operator.output.shape == (1, 4, 2, 8)


def test_transpose() -> None:
    (operator,) = _graph(lambda n: n.transpose(0, [0, 3, 1, 2])).operators
    assert isinstance(operator, Transpose)
    assert operator.permutation == (0, 3, 1, 2)
    assert operator.output.shape == (1, 8, 6, 4)


def test_reshapes() -> None:
    network = _network()
    tensor = network.expand_dims(network.squeeze(0), 2)
    network.reshape(tensor, (24, 8))
    network.tensors[network.operators[-1].inputs[1]].data = np.array([-1, 8], np.int32).tobytes()
    graph = read_graph(network.content())
    assert all(isinstance(operator, Reshape) for operator in graph.operators)
    assert [operator.output.shape for operator in graph.operators] == [
        (6, 4, 8),
        (6, 4, 1, 8),
        (24, 8),
    ]


def test_old_files_reshape_to_a_scalar_by_a_zero() -> None:
    network = _network((1, 1))
    network.reshape(0, ())
    numbers = network.tensors[network.operators[0].inputs[1]]
    numbers.shape, numbers.data = (1,), bytes(4)
    assert read_graph(network.content()).output.shape == ()


@pytest.mark.parametrize("activation", ["relu", "relu6", "relu_n1_to_1"])
def test_relus(activation: str) -> None:
    (operator,) = _graph(lambda n: n.relu(0, activation, gain=0.5, zero_point=-100)).operators
    assert isinstance(operator, Relu)
    assert operator.activation == activation


def test_activations_with_tables() -> None:
    network = _network()
    tensor = network.tanh(network.logistic(network.leaky_relu(0, 0.25)))
    network.hard_swish(tensor, gain=0.5)
    leaky, logistic, tanh, swish = read_graph(network.content()).operators
    assert isinstance(leaky, LeakyRelu)
    assert leaky.alpha == 0.25
    assert isinstance(logistic, Logistic)
    assert isinstance(tanh, Tanh)
    assert isinstance(swish, HardSwish)


def test_other_types_at_the_ends() -> None:
    network = _network(dtype="uint8", zero_point=130)
    tensor = network.quantize(0, zero_point=2)
    tensor = network.quantize(tensor, gain=2.0, zero_point=5)
    network.quantize(tensor, dtype="uint8", zero_point=133)
    graph = read_graph(network.content())
    assert all(isinstance(operator, Quantize) for operator in graph.operators)
    assert (graph.input.dtype, graph.input.zero_point) == ("uint8", 130)
    assert (graph.output.dtype, graph.output.zero_point) == ("uint8", 133)
    network.dequantize(network.outputs[0])
    graph = read_graph(network.content())
    assert isinstance(graph.operators[-1], Dequantize)
    assert (graph.output.dtype, graph.output.quantization) == ("float32", None)
