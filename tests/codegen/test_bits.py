"""Bit for bit what the reference kernels compute, layer by layer."""

from __future__ import annotations

from math import frexp
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgeprune.codegen import HostProgram, generate
from edgeprune.codegen.kernels import select
from edgeprune.cores import CORES
from edgeprune.graph import FullyConnected, Graph, read_graph
from edgeprune.toolchain import Toolchain
from tests.codegen.reference import Reference, fully_connected
from tests.graph.networks import ACTIVATIONS, Network

_ZERO_POINTS = st.one_of(st.sampled_from([-128, -1, 0, 127]), st.integers(-128, 127))
_GAINS = st.sampled_from([0.004, 0.1, 0.5, 1.0, 1.0, 2.0, 30.0])
_PAIRS = st.tuples(st.integers(1, 3), st.integers(1, 3))
_ACTIVATIONS = st.sampled_from(sorted(ACTIVATIONS))


class _Case:
    def __init__(self, content: bytes, seed: int) -> None:
        self.content = content
        self.seed = seed

    def __repr__(self) -> str:
        layers = [
            f"{each.kind} {list(each.inputs[0].shape)} -> {list(each.output.shape)}"
            for each in read_graph(self.content).operators
        ]
        return f"seed {self.seed}: {'; '.join(layers)}"


@st.composite
def _networks(draw: st.DrawFn) -> _Case:
    """A network of three to ten layers of all kinds, with branches; and a seed for its inputs."""
    seed = draw(st.integers(0, 2**31))
    batch = draw(st.sampled_from([1, 1, 1, 2]))
    size = draw(st.tuples(st.integers(1, 12), st.integers(1, 9), st.integers(1, 9)))
    network = Network(
        np.random.default_rng(seed),
        (batch, *size),
        scale=draw(st.sampled_from([0.003, 0.1, 1.0, 7.5])),
        zero_point=draw(_ZERO_POINTS),
    )
    images = [0]
    for _ in range(draw(st.integers(3, 10))):
        images.append(_layer(draw, network, images))
    if draw(st.booleans()):
        _classifier(draw, network, images[-1])
    return _Case(network.content(), seed)


def _layer(draw: st.DrawFn, network: Network, images: list[int]) -> int:
    source = images[-1] if draw(st.booleans()) else draw(st.sampled_from(images))
    _, height, width, depth = network.shape(source)
    kind = draw(st.sampled_from(["conv", "pointwise", "depthwise", "pool", "mean", "add", "soft"]))
    kernel, dilation = draw(_PAIRS), draw(_PAIRS)
    padding = "same"
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    if reach[0] <= height and reach[1] <= width:
        padding = draw(st.sampled_from(["same", "valid"]))
    window = {"kernel": kernel, "stride": draw(_PAIRS), "padding": padding}
    output = {"gain": draw(_GAINS), "zero_point": draw(_ZERO_POINTS)}
    weighted = {
        "activation": draw(_ACTIVATIONS),
        "per_channel": draw(st.booleans()),
        **output,
    }
    if kind == "conv":
        groups = draw(st.sampled_from([g for g in (1, 1, 2, 3) if depth % g == 0]))
        channels = groups * draw(st.integers(1, 4))
        return network.conv_2d(
            source, channels, dilation=dilation, groups=groups, **window, **weighted
        )
    if kind == "pointwise":
        return network.conv_2d(source, draw(st.integers(1, 9)), **weighted)
    if kind == "depthwise":
        multiplier = draw(st.sampled_from([1, 1, 2, 3])) if depth < 10 else 1
        return network.depthwise_conv_2d(
            source, multiplier, dilation=dilation, **window, **weighted
        )
    if kind == "pool":
        fits = kernel[0] <= height and kernel[1] <= width
        window["padding"] = draw(st.sampled_from(["same", "valid"])) if fits else "same"
        return network.average_pool_2d(source, activation=weighted["activation"], **window)
    if kind == "mean":
        axes = draw(st.lists(st.integers(0, 3), min_size=1, max_size=3, unique=True))
        return network.mean(source, axes, **output)
    if kind == "soft":
        return network.softmax(source, beta=draw(st.sampled_from([0.5, 1.0, 1.7])))
    same = [each for each in images if network.shape(each) == network.shape(source)]
    return network.add(
        source, draw(st.sampled_from(same)), activation=weighted["activation"], **output
    )


def _classifier(draw: st.DrawFn, network: Network, source: int) -> None:
    elements = int(np.prod(network.shape(source)))
    flat = network.reshape(source, (1, elements))
    network.fully_connected(
        flat,
        draw(st.integers(1, 6)),
        activation=draw(st.sampled_from(["none", "relu"])),
        bias=draw(st.booleans()),
        per_channel=draw(st.booleans()),
        gain=draw(_GAINS),
        zero_point=draw(_ZERO_POINTS),
    )


def _inputs(graph: Graph, seed: int, count: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    random = rng.integers(-128, 128, (count, *graph.input.shape), dtype=np.int8)
    extremes = [np.full(graph.input.shape, value, dtype=np.int8) for value in (-128, 127)]
    extremes.append(rng.choice(np.array([-128, 127], dtype=np.int8), graph.input.shape))
    return np.concatenate([np.stack(extremes), random])


def _assert_same_bits(
    content: bytes, toolchain: Toolchain, cache: Path, *, seed: int, count: int
) -> None:
    """Every layer computes what the reference computes of the same input."""
    graph = read_graph(content)
    program = generate(graph, labels=())
    host = HostProgram.build(program, toolchain, cache)
    reference = Reference(content)
    inputs = _inputs(graph, seed, count)
    outputs = host.invoke(inputs)
    by_output = {operator.output.index: operator for operator in graph.operators}
    for values, output in zip(inputs, outputs, strict=True):
        reference.invoke(values)
        followed = True  # whether the reference has had the same input so far
        computed = {graph.input.index: values}
        for layer, actual in zip(program.manifest.layers, host.trace(values), strict=True):
            computed[layer.tensor] = actual
            operator = by_output[layer.tensor]
            if isinstance(operator, FullyConnected):
                source = computed.get(_unreshaped(graph, operator.input.index))
                expected = fully_connected(operator, source)
                followed = np.array_equal(expected, reference.tensor(layer.tensor))
            elif followed:
                expected = reference.tensor(layer.tensor)
            else:
                continue
            np.testing.assert_array_equal(
                actual, expected, err_msg=f"layer {layer.index}, {operator}"
            )
        np.testing.assert_array_equal(
            output, computed[_unreshaped(graph, graph.output.index)].reshape(-1)
        )


def _unreshaped(graph: Graph, tensor: int) -> int:
    sources = {
        each.output.index: each.inputs[0].index
        for each in graph.operators
        if each.kind == "RESHAPE"
    }
    while tensor in sources:
        tensor = sources[tensor]
    return tensor


@settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(case=_networks())
def test_random_networks(case: _Case, zig: Toolchain, build_cache: Path) -> None:
    _assert_same_bits(case.content, zig, build_cache, seed=case.seed, count=4)


@pytest.mark.parametrize("name", ["mlperf_tiny_kws_ref", "mlperf_tiny_resnet_quant"])
def test_models_by_others(
    name: str, shared_models: Path, zig: Toolchain, build_cache: Path
) -> None:
    content = (shared_models / f"{name}.tflite").read_bytes()
    _assert_same_bits(content, zig, build_cache, seed=7, count=200)


def _network(shape: tuple[int, ...], *, scale: float = 0.1, zero_point: int = 5) -> Network:
    return Network(np.random.default_rng(11), shape, scale=scale, zero_point=zero_point)


@pytest.mark.parametrize("groups", [2, 3, 6])
def test_groups(groups: int, zig: Toolchain, build_cache: Path) -> None:
    network = _network((2, 5, 7, 6))
    network.conv_2d(0, 12, kernel=(3, 2), groups=groups, dilation=(1, 2))
    network.conv_2d(network.outputs[0], 6, groups=groups)
    _assert_same_bits(network.content(), zig, build_cache, seed=1, count=20)


@pytest.mark.parametrize("depth", [1, 2, 12, 100, 511])
@pytest.mark.parametrize("scale", [0.003, 0.1447, 9.0])
def test_softmax(depth: int, scale: float, zig: Toolchain, build_cache: Path) -> None:
    """Thousands of rows: the last bits of its reciprocal rarely show."""
    rows = 20_000 // depth
    network = _network((rows, depth), scale=scale)
    network.softmax(0)
    _assert_same_bits(network.content(), zig, build_cache, seed=depth, count=1)


def test_time_as_height(zig: Toolchain, build_cache: Path) -> None:
    """The shapes of one-dimensional networks: windows over time, features as channels."""
    network = _network((1, 49, 1, 40), zero_point=-20)
    tensor = network.conv_2d(0, 16, kernel=(5, 1), stride=(2, 1), activation="relu")
    for _ in range(2):
        inner = network.depthwise_conv_2d(tensor, kernel=(9, 1), zero_point=-3)
        inner = network.conv_2d(inner, 16, zero_point=10)
        tensor = network.add(tensor, inner, activation="relu", zero_point=-128)
    tensor = network.mean(tensor, [1, 2], keep=False, zero_point=-128)
    network.softmax(network.fully_connected(tensor, 7))
    _assert_same_bits(network.content(), zig, build_cache, seed=2, count=50)


@pytest.mark.parametrize(
    "axes", [[0], [1], [-1], [0, 3], [1, 3], [0, 2], [0, 1, 2, 3], [2, 1, -2]], ids=str
)
@pytest.mark.parametrize("keep", [True, False])
def test_mean(axes: list[int], keep: bool, zig: Toolchain, build_cache: Path) -> None:
    network = _network((3, 4, 5, 6))
    network.mean(0, axes, keep=keep, gain=0.3, zero_point=-7)
    _assert_same_bits(network.content(), zig, build_cache, seed=3, count=10)


def test_without_bias_as_with_zeros(zig: Toolchain, build_cache: Path) -> None:
    network = _network((1, 6, 5, 4))
    tensor = network.depthwise_conv_2d(network.conv_2d(0, 6, kernel=(2, 3)))
    network.fully_connected(network.reshape(tensor, (30, 6)), 3)
    weighted = [each for each in network.operators if len(each.inputs) == 3]
    for operator in weighted:
        zeros = network.tensors[operator.inputs[2]]
        zeros.data = bytes(len(zeros.data or b""))
    with_zeros = network.content()
    for operator in weighted:
        operator.inputs = operator.inputs[:2]
    without = network.content()
    found = []
    for content in (with_zeros, without):
        graph = read_graph(content)
        host = HostProgram.build(generate(graph, labels=()), zig, build_cache)
        found.append(host.invoke(_inputs(graph, 5, 20)))
    np.testing.assert_array_equal(*found)
    assert len(weighted) == 3
    assert len(np.unique(found)) > 10


def test_an_output_before_the_last_layer_is_kept(zig: Toolchain, build_cache: Path) -> None:
    network = _network((1, 4, 4, 4))
    output = network.conv_2d(0, 4, kernel=(3, 3))
    tensor = network.conv_2d(output, 4)
    network.conv_2d(network.conv_2d(tensor, 3), 4)
    network.outputs = [output]
    _assert_same_bits(network.content(), zig, build_cache, seed=4, count=5)


def test_one_weight_scale_of_fully_connected_is_a_product_in_single_precision() -> None:
    """As TFLite Micro has it; with two scales the product is in double precision."""
    scales = [float(np.float32(value)) for value in (0.1, 0.3, 0.7)]
    single = float(np.float32(scales[0]) * np.float32(scales[1])) / scales[2]
    double = scales[0] * scales[1] / scales[2]
    multipliers = {}
    for per_channel in (False, True):
        network = Network(np.random.default_rng(0), (1, 8), scale=scales[0])
        network.fully_connected(0, 2, per_channel=per_channel)
        network.tensors[1].scales = [scales[1]] * (1 + per_channel)
        network.tensors[-1].scales = [scales[2]]
        (layer,) = read_graph(network.content()).operators
        (constant,) = (
            each for each in select(layer, CORES["host"]).constants if each.name == "multiplier"
        )
        multipliers[per_channel] = constant.values.tolist()
    assert multipliers[False] == [round(frexp(single)[0] * 2**31)] * 2
    assert multipliers[True] == [round(frexp(double)[0] * 2**31)] * 2
    assert multipliers[False] != multipliers[True]
