"""What the reader makes of valid files, and what it says of the others."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgeprune.errors import MalformedModelError, ModelError, UnsupportedError
from edgeprune.graph import (
    SUPPORTED_OPERATORS,
    Add,
    AveragePool2D,
    Conv2D,
    DepthwiseConv2D,
    FullyConnected,
    Mean,
    Padding,
    Reshape,
    Softmax,
    read_graph,
)
from tests.graph.networks import Network


def _network(shape: tuple[int, ...] = (1, 10, 8, 4), **quantization: float) -> Network:
    return Network(np.random.default_rng(1), shape, scale=0.05, **quantization)


def _one_of_each() -> Network:
    network = _network()
    tensor = network.conv_2d(0, 6, kernel=(3, 3), stride=(2, 2), activation="relu")
    tensor = network.depthwise_conv_2d(tensor, kernel=(3, 1), padding="valid")
    tensor = network.add(tensor, network.conv_2d(tensor, 6))
    tensor = network.average_pool_2d(tensor, kernel=(2, 2), stride=(2, 2))
    tensor = network.mean(tensor, [1, -2], keep=False)
    tensor = network.reshape(tensor, (1, 1, 6))
    tensor = network.reshape(tensor, (1, 6))
    network.softmax(network.fully_connected(tensor, 3))
    return network


def test_every_operator_becomes_its_own_class() -> None:
    graph = read_graph(_one_of_each().content())
    kinds = [type(operator).__name__ for operator in graph.operators]
    assert kinds == [
        "Conv2D",
        "DepthwiseConv2D",
        "Conv2D",
        "Add",
        "AveragePool2D",
        "Mean",
        "Reshape",
        "Reshape",
        "FullyConnected",
        "Softmax",
    ]
    assert graph.input.shape == (1, 10, 8, 4)
    assert graph.output.shape == (1, 3)
    assert (graph.output.scale, graph.output.zero_point) == (1 / 256, -128)
    mean = graph.operators[5]
    assert isinstance(mean, Mean)
    assert mean.axes == (1, 2)


def test_padding_is_numbers() -> None:
    graph = read_graph(_one_of_each().content())
    conv, depthwise, pool = (graph.operators[index] for index in (0, 1, 4))
    assert isinstance(conv, Conv2D)
    # 10 rows, kernel 3, stride 2: 5 outputs reach row 10, one beyond the last.
    assert conv.window.padding == Padding(top=0, left=0, bottom=1, right=1)
    assert isinstance(depthwise, DepthwiseConv2D)
    assert depthwise.window.padding.is_none
    assert isinstance(pool, AveragePool2D)
    assert pool.window.padding == Padding(top=0, left=0, bottom=1, right=0)


def test_costs_of_layers() -> None:
    graph = read_graph(_one_of_each().content())
    conv, depthwise = graph.operators[0], graph.operators[1]
    assert conv.macs == 5 * 4 * 6 * 3 * 3 * 4
    assert conv.weight_bytes == 6 * 3 * 3 * 4 + 6 * 4
    assert depthwise.macs == 3 * 4 * 6 * 3
    classifier = graph.operators[8]
    assert isinstance(classifier, FullyConnected)
    assert (classifier.rows, classifier.macs) == (1, 18)
    assert graph.macs == sum(operator.macs for operator in graph.operators)


def test_shared_weights_count_once() -> None:
    network = _network((1, 4, 4, 4))
    first = network.conv_2d(0, 4, padding="same")
    inputs = network.operators[0].inputs
    second = network.activation((1, 4, 4, 4), network.scale(first))
    network.operators.append(type(network.operators[0])("CONV_2D", [first, *inputs[1:]], [second]))
    network.operators[-1].options = network.operators[0].options
    network.outputs = [second]
    graph = read_graph(network.content())
    assert graph.weight_bytes == 4 * 4 + 4 * 4


def test_groups_and_multipliers() -> None:
    network = _network((1, 3, 3, 6))
    tensor = network.conv_2d(0, 4, kernel=(2, 2), groups=2, dilation=(2, 1))
    network.depthwise_conv_2d(tensor, 3)
    conv, depthwise = read_graph(network.content()).operators
    assert isinstance(conv, Conv2D)
    assert (conv.groups, conv.window.dilation) == (2, (2, 1))
    assert conv.macs == 3 * 3 * 4 * (2 * 2 * 3)
    assert isinstance(depthwise, DepthwiseConv2D)
    assert depthwise.multiplier == 3


def test_squeeze_and_expand_dims_are_reshapes() -> None:
    network = _network((1, 1, 5, 4))
    flat = network.activation((5, 4), 0.05)
    network.operator("SQUEEZE", [0], flat)
    axis = network.constant(np.array(0, dtype=np.int32))
    network.operator("EXPAND_DIMS", [flat, axis], network.activation((1, 5, 4), 0.05))
    graph = read_graph(network.content())
    assert [type(operator) for operator in graph.operators] == [Reshape, Reshape]
    assert [operator.kind for operator in graph.operators] == ["SQUEEZE", "EXPAND_DIMS"]


def test_an_open_batch_with_a_fixed_shape_is_fixed() -> None:
    network = _one_of_each()
    network.tensors[0].signature = [-1, 10, 8, 4]
    assert read_graph(network.content()).input.shape == (1, 10, 8, 4)


def test_constants_are_read_only() -> None:
    graph = read_graph(_one_of_each().content())
    conv = graph.operators[0]
    assert isinstance(conv, Conv2D)
    assert conv.weights.data is not None
    with pytest.raises(ValueError, match="read-only"):
        conv.weights.data[0] = 1


def test_the_digest_is_that_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(_one_of_each().content())
    other = _one_of_each()
    other.softmax(other.outputs[0])
    assert read_graph(path).digest == read_graph(path.read_bytes()).digest
    assert read_graph(path).digest != read_graph(other.content()).digest


def test_the_published_network(shared_models: Path) -> None:
    graph = read_graph(shared_models / "mlperf_tiny_kws_ref.tflite")
    assert graph.macs == 2_656_768
    assert graph.weight_bytes == 22_016 + 2_352
    assert isinstance(graph.operators[-1], Softmax)


def test_the_published_network_with_residuals(shared_models: Path) -> None:
    graph = read_graph(shared_models / "mlperf_tiny_resnet_quant.tflite")
    assert graph.macs == 12_501_632
    assert graph.weight_bytes == 78_744
    adds = [operator for operator in graph.operators if isinstance(operator, Add)]
    assert [add.activation for add in adds] == ["relu", "relu", "relu"]
    assert [add.output.shape for add in adds] == [(1, 32, 32, 16), (1, 16, 16, 32), (1, 8, 8, 64)]
    assert graph.input.shape == (1, 32, 32, 3)
    assert graph.variables == ()


def test_reading_needs_no_tensorflow() -> None:
    code = (
        "import sys, edgeprune.graph, edgeprune.codegen; "
        "sys.exit(any(name.split('.')[0] in ('tensorflow', 'keras', 'librosa') "
        "for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# What is refused. Each case changes a valid network; the error must name what is at fault.


def _set(tensor: int, **attributes: object) -> Callable[[Network], None]:
    def change(network: Network) -> None:
        for name, value in attributes.items():
            setattr(network.tensors[tensor], name, value)

    return change


def _option(operator: int, **options: object) -> Callable[[Network], None]:
    def change(network: Network) -> None:
        network.operators[operator].options = {**network.operators[operator].options, **options}

    return change


def _wire(operator: int, position: int, tensor: int) -> Callable[[Network], None]:
    def change(network: Network) -> None:
        inputs = list(network.operators[operator].inputs)
        inputs[position] = tensor
        network.operators[operator].inputs = inputs

    return change


def _attribute(**attributes: object) -> Callable[[Network], None]:
    def change(network: Network) -> None:
        for name, value in attributes.items():
            setattr(network, name, value)

    return change


# The tensors of _one_of_each: 0 input; 1 weights, 2 bias, 3 output of CONV_2D; 4, 5, 6 of
# DEPTHWISE_CONV_2D; 7, 8, 9 of CONV_2D; 10 output of ADD; 11 of AVERAGE_POOL_2D; 12 output and
# 13 axes of MEAN; 14 to 17 of RESHAPE; 18, 19, 20 of FULLY_CONNECTED; 21 output of SOFTMAX.
_MALFORMED = {
    "schema version": (_attribute(version=4), "schema version 4"),
    "no subgraph": (_attribute(subgraphs=0), "no subgraph"),
    "tensor index": (_wire(0, 0, 999), "tensor 999"),
    "negative tensor index": (_wire(0, 0, -2), "tensor -2"),
    "output index": (_attribute(outputs=[77]), "tensor 77"),
    "output that is the input": (_attribute(outputs=[0]), "output is its input"),
    "input that is a constant": (_attribute(inputs=[1]), "is a constant"),
    "buffer index": (_set(1, buffer=500), "buffer is 500"),
    "buffer too short": (_set(1, data=bytes(10)), "holds 10 bytes"),
    "buffer too long": (_set(2, data=bytes(28)), "holds 28 bytes"),
    "negative size": (_set(0, shape=(1, -3, 8, 4)), "shape"),
    "scale of zero": (_set(0, scales=[0.0]), "positive"),
    "scale that is no number": (_set(0, scales=[float("nan")]), "positive"),
    "zero points that do not match": (_set(1, zero_points=[0, 0]), "zero points"),
    "zero point outside int8": (_set(0, zero_points=[300]), "zero point outside int8"),
    "scales that do not match": (_set(1, scales=[0.1] * 5, zero_points=[0] * 5), "5 scales"),
    "activation without a scale": (_set(3, scales=[]), "no scale"),
    "axis outside": (_set(1, axis=7), "dimension 7"),
    "cycle": (_wire(3, 0, 10), "before any operator has written"),
    "output shape": (_set(3, shape=(1, 5, 5, 6)), "[1, 5, 4, 6]"),
    "rank": (_set(3, shape=(5, 4, 6)), "4 dimensions"),
    "bias length": (_set(2, shape=(5,), data=bytes(20), scales=[]), "6 output channels"),
    "bias scale": (_set(19, scales=[9.0]), "whose scale should be"),
    "stride of zero": (_option(0, StrideH=0), "StrideH 0"),
    "negative dilation": (_option(0, DilationWFactor=-1), "DilationWFactor -1"),
    "padding": (_option(0, Padding=2), "padding 2"),
    "absurd kernel": (_option(4, FilterHeight=1 << 20), "FilterHeight"),
    "no attributes": (lambda n: setattr(n.operators[0], "options", {}), "no attribute"),
    "attributes of another kind": (
        lambda n: setattr(n.operators[0], "table", "DepthwiseConv2DOptions"),
        "no attribute",
    ),
    "open sizes that do not match": (_set(0, signature=[1, 10]), "of 2 sizes"),
    "a constant is written": (_set(3, data=bytes(5 * 4 * 6)), "which is a constant"),
    "written twice": (lambda n: setattr(n.operators[3], "outputs", [6]), "already holds"),
    "too few inputs": (lambda n: setattr(n.operators[0], "inputs", [0]), "has 1 inputs"),
    "left-out weights": (_wire(0, 1, -1), "no input 1"),
    "beta": (_option(9, Beta=0.0), "beta of 0"),
    "axes": (_set(13, data=b"\x09\0\0\0\x01\0\0\0"), "along dimension 9"),
}

_UNSUPPORTED = {
    "several subgraphs": (_attribute(subgraphs=3), "3 subgraphs"),
    "two inputs": (_attribute(inputs=[0, 3]), "2 inputs"),
    "no output": (_attribute(outputs=[]), "0 outputs"),
    "no operator": (_attribute(operators=[], outputs=[0]), "no operator"),
    "float input": (_set(0, dtype="float32"), "float32"),
    "float weights": (
        _set(1, dtype="float32", data=bytes(6 * 9 * 4 * 4)),
        "another type than int8",
    ),
    "int64 bias": (_set(2, dtype="int64"), "int64"),
    "int32 activation": (_set(3, dtype="int32"), "int8 is supported"),
    "dynamic shape": (_set(0, signature=[1, -1, 8, 4]), "not fixed"),
    "empty dimension": (_set(0, shape=(1, 0, 8, 4)), "not fixed"),
    "absurd shape": (_set(0, shape=(1, 1 << 20, 1 << 20, 4)), "takes more than"),
    "many dimensions": (_set(0, shape=(1,) * 9), "9 dimensions"),
    "variable": (_set(0, is_variable=True), "a variable"),
    "sparse": (_set(1, is_sparse=True), "sparse"),
    "weights with a zero point": (_set(1, zero_points=[1] * 6), "zero point other than 0"),
    "weights that are computed": (_set(1, data=None), "computes"),
    "activation": (_option(0, FusedActivationFunction=4), "fused activation 4"),
    "shuffled weights": (_option(8, WeightsFormat=1), "shuffled"),
    "pool that rescales": (_set(11, scales=[0.5]), "different scale"),
    "softmax to another scale": (_set(21, scales=[0.5]), "scale 0.5"),
    "future version": (lambda n: setattr(n.operators[0], "version", 99), "version 99"),
}


@pytest.mark.parametrize("name", _MALFORMED)
def test_malformed(name: str) -> None:
    change, message = _MALFORMED[name]
    network = _one_of_each()
    change(network)
    with pytest.raises(MalformedModelError) as caught:
        read_graph(network.content(), name="net.tflite")
    assert message in str(caught.value)
    assert (caught.value.where or "").startswith("net.tflite")


@pytest.mark.parametrize("name", _UNSUPPORTED)
def test_unsupported(name: str) -> None:
    change, message = _UNSUPPORTED[name]
    network = _one_of_each()
    change(network)
    with pytest.raises(UnsupportedError) as caught:
        read_graph(network.content())
    assert message in str(caught.value)


def test_an_operator_outside_the_list_is_named() -> None:
    network = _network()
    network.operator("L2_POOL_2D", [0], network.activation((1, 5, 4, 4)), version=2)
    network.tensors[-1].name = "pooled"
    with pytest.raises(UnsupportedError) as caught:
        read_graph(network.content())
    text = str(caught.value)
    assert "L2_POOL_2D version 2" in text
    assert "'pooled'" in text
    assert all(name in text for name in SUPPORTED_OPERATORS)


def test_a_tensor_of_another_type_is_named_with_its_operator() -> None:
    network = _one_of_each()
    network.tensors[3].dtype = "int16"
    with pytest.raises(UnsupportedError) as caught:
        read_graph(network.content(), name="net.tflite")
    assert str(caught.value).startswith(
        "net.tflite: operator 0, CONV_2D version 3, which writes 'tensor_3', tensor 3 'tensor_3': "
        "its type is int16"
    )


def test_a_custom_operator_is_named() -> None:
    network = _network()
    network.operator("CUSTOM", [0], network.activation((1, 4)), custom="AudioMagic")
    with pytest.raises(UnsupportedError, match="CUSTOM 'AudioMagic'"):
        read_graph(network.content())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "too few"),
        (b"TFL3", "too few"),
        (b"\x89PNG\r\n\x1a\n" * 20, "TFL3 is missing"),
        (b"\x00\x00\x00\x00TFL3", "schema version 0"),
        (b"\xff\xff\xff\x7fTFL3" + bytes(100), "truncated or damaged"),
    ],
)
def test_what_is_not_a_model(content: bytes, message: str) -> None:
    with pytest.raises(MalformedModelError, match=message):
        read_graph(content)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(MalformedModelError, match="can't be read") as caught:
        read_graph(tmp_path / "absent.tflite")
    assert "absent.tflite" in str(caught.value)
    assert isinstance(caught.value, ModelError)
