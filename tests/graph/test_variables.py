"""State between inferences: handles, initial values, reads and assignments."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgeprune.errors import MalformedModelError, ModelError, UnsupportedError
from edgeprune.graph import (
    AssignVariable,
    Concatenation,
    Graph,
    Logistic,
    Quantize,
    ReadVariable,
    StridedSlice,
    read_graph,
)
from tests.graph.networks import Network
from tests.graph.tflite_files import OperatorSpec, Subgraph


def _network(**quantization: object) -> Network:
    return Network(np.random.default_rng(1), (1, 2, 1, 5), scale=0.1, **quantization)


def _graph(network: Network) -> Graph:
    return read_graph(network.content(), name="net.tflite")


def _streaming() -> Network:
    network = _network(zero_point=-7)
    initial = np.arange(15, dtype=np.int8).reshape(1, 3, 1, 5)
    tensor = network.stream(0, 3, initial=initial, name="first/states")
    network.conv_2d(network.stream(tensor, 1), 4, kernel=(6, 1), padding="valid")
    return network


def test_a_streaming_network() -> None:
    network = _streaming()
    graph = _graph(network)
    assert [type(operator) for operator in graph.operators[:4]] == [
        ReadVariable,
        Concatenation,
        StridedSlice,
        AssignVariable,
    ]
    first, second = graph.variables
    assert (first.name, second.name) == ("first/states", "state_1")
    assert (first.tensor.shape, second.tensor.shape) == ((1, 3, 1, 5), (1, 1, 1, 5))
    assert [each.tensor.index for each in graph.variables] == [
        len(network.tensors),
        len(network.tensors) + 1,
    ]
    assert (first.tensor.scale, first.tensor.zero_point) == (np.float32(0.1), -7)
    np.testing.assert_array_equal(first.initial.reshape(-1), np.arange(15))
    assert set(second.initial.reshape(-1)) == {-7}
    assert not first.initial.flags.writeable
    assert all(variable.tensor in graph.tensors for variable in graph.variables)


def test_operators_name_the_variables_tensor() -> None:
    graph = _graph(_streaming())
    variable = graph.variables[0].tensor
    read, assign = graph.operators[0], graph.operators[3]
    assert isinstance(read, ReadVariable)
    assert isinstance(assign, AssignVariable)
    assert read.input is variable
    assert assign.output is variable
    assert assign.input is graph.operators[2].output
    assert [read.index, assign.index] == [2, 5]  # behind CALL_ONCE and VAR_HANDLE


def test_a_variable_without_initial_values_starts_at_its_zero_point() -> None:
    network = _network(zero_point=11)
    network.stream(0, 2)
    network.others[0].operators.clear()
    (variable,) = _graph(network).variables
    assert set(variable.initial.reshape(-1)) == {11}


def test_two_handles_of_one_name_are_one_variable() -> None:
    network = _network()
    network.stream(0, 2)
    again = network.tensor((), dtype="resource")
    network.operator_of("VAR_HANDLE", [], [again], SharedName="state_0")
    network.variables[again] = next(iter(network.variables.values()))
    network.read_variable(again)
    graph = _graph(network)
    assert len(graph.variables) == 1
    reads = [each for each in graph.operators if isinstance(each, ReadVariable)]
    assert reads[0].input is reads[1].input


def test_names_are_apart_in_other_containers() -> None:
    network = _network()
    network.stream(0, 2)
    again = network.tensor((), dtype="resource")
    network.operator_of("VAR_HANDLE", [], [again], Container="box", SharedName="state_0")
    network.variables[again] = next(iter(network.variables.values()))
    network.assign_variable(again, network.read_variable(again))
    assert [each.name for each in _graph(network).variables] == ["state_0", "state_0"]


def test_variables_that_only_the_initialization_knows_are_dropped() -> None:
    network = _network()
    network.variable((1, 100))
    network.relu(0)
    assert _graph(network).variables == ()


def test_the_last_of_several_initial_values_counts() -> None:
    network = _network()
    network.stream(0, 2, initial=np.full((1, 2, 1, 5), 3, dtype=np.int8))
    setup = network.others[0]
    handle = setup.operators[0].outputs[0]
    values = np.full((1, 2, 1, 5), 4, dtype=np.int8)
    constant = setup.constant(values, scales=[0.1], zero_points=[0])
    setup.operator_of("ASSIGN_VARIABLE", [handle, constant], [])
    (variable,) = _graph(network).variables
    assert set(variable.initial.reshape(-1)) == {4}


def test_a_published_streaming_model(shared_models: Path) -> None:
    graph = read_graph(shared_models / "microwakeword_hey_jarvis_v2.tflite")
    kinds = [type(operator).__name__ for operator in graph.operators]
    assert {kind: kinds.count(kind) for kind in sorted(set(kinds))} == {
        "AssignVariable": 6,
        "Concatenation": 6,
        "Conv2D": 5,
        "DepthwiseConv2D": 4,
        "FullyConnected": 1,
        "Logistic": 1,
        "Quantize": 1,
        "ReadVariable": 6,
        "Reshape": 2,
        "StridedSlice": 6,
    }
    assert {variable.name: variable.tensor.shape[1:] for variable in graph.variables} == {
        "stream/states": (2, 1, 40),
        "stream_1/states": (4, 1, 30),
        "stream_2/states": (8, 1, 60),
        "stream_3/states": (12, 1, 60),
        "stream_4/states": (20, 1, 60),
        "stream_5/states": (4, 1, 60),
    }
    assert all(
        (variable.initial == variable.tensor.zero_point).all() for variable in graph.variables
    )
    assert graph.macs == 21_630
    assert (graph.input.shape, graph.input.dtype) == ((1, 3, 40), "int8")
    assert (graph.output.shape, graph.output.dtype) == ((1, 1), "uint8")
    assert isinstance(graph.operators[-2], Logistic)
    assert isinstance(graph.operators[-1], Quantize)


# What is refused.


def _other_shape(network: Network) -> None:
    network.tensors[network.operators[2].outputs[0]].shape = (1, 2, 1, 5)


def _other_zero_point(network: Network) -> None:
    network.tensors[network.operators[2].outputs[0]].zero_points = [1]


def _handle_that_is_no_handle(network: Network) -> None:
    network.operators[1].outputs = [0]


def _handle_twice(network: Network) -> None:
    network.operators.insert(2, network.operators[1])


def _read_before_handle(network: Network) -> None:
    network.operators.insert(1, network.operators.pop(2))


def _assign_an_activation(network: Network) -> None:
    network.operators[5].inputs = [network.operators[3].outputs[0], 0]


def _never_assigned(network: Network) -> None:
    network.operators[:] = network.operators[:3]
    network.outputs = network.operators[2].outputs
    network.others[0].operators.clear()


def _handle_as_output(network: Network) -> None:
    network.outputs = network.operators[1].outputs


def _handle_as_operand(network: Network) -> None:
    network.operators[3].inputs = [*network.operators[1].outputs, 0]


def _initialize(**attributes: object) -> Callable[[Network], None]:
    def change(network: Network) -> None:
        for name, value in attributes.items():
            setattr(network.others[0].operators[1], name, value)

    return change


def _call(subgraph: int) -> Callable[[Network], None]:
    def change(network: Network) -> None:
        network.operators[0].options = {"InitSubgraphIndex": subgraph}

    return change


def _recursion(network: Network) -> None:
    network.others[0].operators.insert(
        0, OperatorSpec("CALL_ONCE", [], [], {"InitSubgraphIndex": 1})
    )


def _late(network: Network) -> None:
    network.operators.insert(3, network.operators.pop(0))


def _computed_initial(network: Network) -> None:
    network.others[0].tensors[1].data = None


def _float_variable(network: Network) -> None:
    constant = network.others[0].tensors[1]
    constant.dtype, constant.data = "float32", bytes(4 * 15)


def _unused_subgraph(network: Network) -> None:
    network.others.append(Subgraph())


def _initialization_with_output(network: Network) -> None:
    network.others[0].outputs = [1]


def _newer(network: Network) -> None:
    network.operators[2].version = 2


_REFUSED = {
    "shape": (_other_shape, UnsupportedError, "whose shape, scale"),
    "zero point": (_other_zero_point, UnsupportedError, "whose shape, scale"),
    "handle of int8": (_handle_that_is_no_handle, MalformedModelError, "no handle"),
    "handle twice": (_handle_twice, MalformedModelError, "already holds a handle"),
    "order": (_read_before_handle, MalformedModelError, "before a VAR_HANDLE"),
    "no handle": (_assign_an_activation, MalformedModelError, "before a VAR_HANDLE"),
    "no value": (_never_assigned, MalformedModelError, "nothing assigns it"),
    "handle as output": (_handle_as_output, UnsupportedError, "resource"),
    "handle as operand": (_handle_as_operand, UnsupportedError, "resource"),
    "call of itself": (_call(0), MalformedModelError, "the network itself"),
    "call of nothing": (_call(2), MalformedModelError, "subgraph 2; the file has 2"),
    "negative call": (_call(-1), MalformedModelError, "subgraph -1"),
    "recursion": (_recursion, UnsupportedError, "subgraph 1, CALL_ONCE version 1"),
    "computation": (_initialize(kind="RELU"), UnsupportedError, "neither VAR_HANDLE"),
    "initial inputs": (_initialize(inputs=[0]), MalformedModelError, "has 1 inputs"),
    "initial tensor": (_initialize(inputs=[0, 9]), MalformedModelError, "tensor 9"),
    "late": (_late, UnsupportedError, "after they were used"),
    "computed": (_computed_initial, UnsupportedError, "no constant"),
    "float": (_float_variable, UnsupportedError, "int8 is supported"),
    "unused subgraph": (_unused_subgraph, UnsupportedError, "3 subgraphs, of which 1"),
    "outputs": (_initialization_with_output, MalformedModelError, "has inputs or outputs"),
    "version": (_newer, UnsupportedError, "READ_VARIABLE version 2"),
}


@pytest.mark.parametrize("name", _REFUSED)
def test_refused(name: str) -> None:
    change, error, message = _REFUSED[name]
    network = _streaming()
    change(network)
    with pytest.raises(ModelError) as caught:
        _graph(network)
    assert isinstance(caught.value, error)
    assert message in str(caught.value)
    assert "net.tflite" in str(caught.value)


def test_gigantic_variables_are_refused() -> None:
    network = _network()
    large = np.zeros((1, 1 << 22), dtype=np.int8)
    for _ in range(9):
        handle = network.variable(large.shape, initial=large)
        network.assign_variable(handle, network.read_variable(handle))
    setup = network.others[0]
    for tensor in setup.tensors[3::2]:
        tensor.data, tensor.buffer = None, 1  # all from one buffer
    content = network.content()
    assert len(content) < 5 << 20
    with pytest.raises(UnsupportedError, match="write more than"):
        read_graph(content)
