"""Bit for bit what the reference kernels compute, layer by layer."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgeprune.codegen import HostProgram, generate
from edgeprune.codegen.kernels.fully_connected import FULLY_CONNECTED
from edgeprune.codegen.manifest import Manifest
from edgeprune.codegen.selection import Options
from edgeprune.cores import CORES
from edgeprune.graph import (
    AssignVariable,
    FullyConnected,
    Graph,
    Operator,
    read_graph,
)
from edgeprune.toolchain import Toolchain
from tests.codegen.case import Case
from tests.codegen.reference import Reference, fully_connected
from tests.graph.networks import ACTIVATIONS, Network

_ZERO_POINTS = st.one_of(st.sampled_from([-128, -1, 0, 127]), st.integers(-128, 127))
_GAINS = st.sampled_from([0.004, 0.1, 0.5, 1.0, 1.0, 2.0, 30.0])
_PAIRS = st.tuples(st.integers(1, 3), st.integers(1, 3))
_ACTIVATIONS = st.sampled_from(sorted(ACTIVATIONS))
_MOST_ELEMENTS = 4000


@st.composite
def _networks(draw: st.DrawFn) -> Case:
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
    _end(draw, network, images[-1])
    return Case(network.content(), seed)


def _layer(draw: st.DrawFn, network: Network, images: list[int]) -> int:
    source = images[-1] if draw(st.booleans()) else draw(st.sampled_from(images))
    family = draw(
        st.sampled_from(
            [_weighted_layer, _window_layer, _binary_layer, _unary_layer, _moving_layer]
        )
    )
    return family(draw, network, source, images)


def _window(draw: st.DrawFn, network: Network, source: int, *, dilated: bool) -> dict[str, Any]:
    _, height, width, _ = network.shape(source)
    kernel = draw(_PAIRS)
    window = {"kernel": kernel, "stride": draw(_PAIRS), "padding": "same"}
    dilation = draw(_PAIRS) if dilated else (1, 1)
    if dilated:
        window["dilation"] = dilation
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    if reach[0] <= height and reach[1] <= width:
        window["padding"] = draw(st.sampled_from(["same", "valid"]))
    return window


def _output(draw: st.DrawFn) -> dict[str, Any]:
    return {"gain": draw(_GAINS), "zero_point": draw(_ZERO_POINTS)}


def _weighted_layer(draw: st.DrawFn, network: Network, source: int, images: list[int]) -> int:
    depth = network.shape(source)[3]
    options = {
        "activation": draw(_ACTIVATIONS),
        "per_channel": draw(st.booleans()),
        **_output(draw),
    }
    kind = draw(st.sampled_from(["conv", "pointwise", "depthwise"]))
    if kind == "pointwise":
        return network.conv_2d(source, draw(st.integers(1, 9)), **options)
    window = _window(draw, network, source, dilated=True)
    if kind == "conv":
        groups = draw(st.sampled_from([g for g in (1, 1, 2, 3) if depth % g == 0]))
        channels = groups * draw(st.integers(1, 4))
        return network.conv_2d(source, channels, groups=groups, **window, **options)
    multiplier = draw(st.sampled_from([1, 1, 2, 3])) if depth < 10 else 1
    return network.depthwise_conv_2d(source, multiplier, **window, **options)


def _window_layer(draw: st.DrawFn, network: Network, source: int, images: list[int]) -> int:
    kinds = ["average", "max", "mean"]
    if network.scale(source) > 1e-6:  # TensorFlow Lite refuses a smaller one
        kinds.append("soft")
    kind = draw(st.sampled_from(kinds))
    if kind == "mean":
        axes = draw(st.lists(st.integers(0, 3), min_size=1, max_size=3, unique=True))
        return network.mean(source, axes, **_output(draw))
    if kind == "soft":
        return network.softmax(source, beta=draw(st.sampled_from([0.5, 1.0, 1.7])))
    window = _window(draw, network, source, dilated=False)
    pool = network.average_pool_2d if kind == "average" else network.max_pool_2d
    return pool(source, activation=draw(_ACTIVATIONS), **window)


def _binary_layer(draw: st.DrawFn, network: Network, source: int, images: list[int]) -> int:
    """With a tensor of the same shape, or a constant or a mean that repeats its values."""
    shape = network.shape(source)
    same = [each for each in images if network.shape(each) == shape]
    repeated = tuple(draw(st.sampled_from([1, size])) for size in shape)
    kind = draw(st.sampled_from(["tensor", "constant", "mean"]))
    if kind == "tensor":
        other = draw(st.sampled_from(same))
    elif kind == "mean":
        other = network.mean(source, draw(st.sampled_from([[1, 2], [3], [0, 1]])))
    else:
        scale, zero_point = draw(st.sampled_from([0.01, 0.5])), draw(_ZERO_POINTS)
        start = draw(st.integers(0, 3))
        other = network.operand(repeated[start:], scale=scale, zero_point=zero_point)
    pair = (source, other) if draw(st.booleans()) else (other, source)
    combine = draw(st.sampled_from([network.add, network.sub, network.mul]))
    return combine(*pair, activation=draw(_ACTIVATIONS), **_output(draw))


def _unary_layer(draw: st.DrawFn, network: Network, source: int, images: list[int]) -> int:
    kinds = ["relu", "relu6", "relu_n1_to_1", "leaky", "swish", "quantize", "like"]
    if network.scale(source) <= 1:
        kinds += ["logistic", "tanh"]
    kind = draw(st.sampled_from(kinds))
    output = _output(draw)
    if kind == "logistic":
        return network.logistic(source)
    if kind == "tanh":
        return network.tanh(source)
    if kind == "leaky":
        return network.leaky_relu(source, draw(st.sampled_from([0.0, 0.1, 0.3, 1.5])), **output)
    if kind == "swish":
        return network.hard_swish(source, **{**output, "gain": max(output["gain"], 0.1)})
    if kind == "quantize":
        return network.quantize(source, **output)
    if kind == "like":
        return network.relu(source, "relu6", zero_point=network.zero_point(source))
    return network.relu(source, kind, **output)


def _moving_layer(draw: st.DrawFn, network: Network, source: int, images: list[int]) -> int:
    shape = network.shape(source)
    kind = draw(st.sampled_from(["pad", "join", "split", "slice", "strided", "transpose"]))
    axis = draw(st.integers(0, 3))
    if kind == "transpose":
        return network.transpose(source, draw(st.permutations(range(4))))
    if kind == "slice":
        begin = [draw(st.integers(0, size - 1)) for size in shape]
        whole = zip(begin, shape, strict=True)
        return network.slice(source, begin, [draw(st.integers(1, n - b)) for b, n in whole])
    if kind == "strided":
        stride = [draw(st.sampled_from([1, 1, 2, -1, -2])) for _ in shape]
        begin = [draw(st.integers(0, size - 1)) for size in shape]
        end = [n if step > 0 else -n - 1 for n, step in zip(shape, stride, strict=True)]
        return network.strided_slice(source, begin, end, stride)
    if kind == "split" and shape[axis] > 1:
        first = draw(st.integers(1, shape[axis] - 1))
        return draw(st.sampled_from(network.split_v(source, axis, [first, -1])))
    if 2 * math.prod(shape) > _MOST_ELEMENTS:
        return network.relu(source)
    if kind == "join":
        like = {"scale": network.scale(source), "zero_point": network.zero_point(source)}
        size = (*shape[:axis], draw(st.integers(1, 3)), *shape[axis + 1 :])
        parts = [source, network.operand(size, **like), source]
        return network.concatenation(draw(st.permutations(parts)), axis)
    amounts = [draw(st.tuples(st.integers(0, 1), st.integers(0, 1))) for _ in shape]
    return network.pad(source, amounts, draw(st.sampled_from([None, -128, 5])))


def _end(draw: st.DrawFn, network: Network, source: int) -> None:
    kind = draw(st.sampled_from(["none", "classifier", "uint8", "float32"]))
    if kind == "classifier":
        _classifier(draw, network, source)
    elif kind == "uint8":
        network.quantize(source, dtype="uint8", zero_point=draw(st.integers(0, 255)))
    elif kind == "float32":
        network.dequantize(source)
    else:
        network.outputs = [source]


def _classifier(draw: st.DrawFn, network: Network, source: int) -> None:
    elements = int(np.prod(network.shape(source)))
    flat = network.reshape(source, (1, elements))
    network.fully_connected(
        flat,
        draw(st.integers(1, 6)),
        activation=draw(st.sampled_from(["none", "relu"])),
        bias=draw(st.booleans()),
        per_channel=draw(st.booleans()),
        **_output(draw),
    )


def _inputs(graph: Graph, seed: int, count: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    limits = np.iinfo(graph.input.dtype)
    kind = {"dtype": graph.input.dtype}
    random = rng.integers(limits.min, limits.max + 1, (count, *graph.input.shape), **kind)
    extremes = [np.full(graph.input.shape, value, **kind) for value in (limits.min, limits.max)]
    extremes.append(rng.choice(np.array([limits.min, limits.max], **kind), graph.input.shape))
    return np.concatenate([np.stack(extremes), random])


class _Check:
    """Layers against the reference's, as long as the reference has had the same input."""

    def __init__(self, graph: Graph, manifest: Manifest, reference: Reference) -> None:
        self._graph = graph
        self._manifest = manifest
        self._reference = reference
        #: Tensors that the reference has other values of, from where it rounds otherwise on.
        self._strayed: set[int] = set()
        self.checked = 0

    def inference(self, values: np.ndarray, traced: list[np.ndarray], output: np.ndarray) -> None:
        self._reference.invoke(values)
        computed = {
            layer.tensor: actual
            for layer, actual in zip(self._manifest.layers, traced, strict=True)
        }
        for operator in self._graph.operators:
            self._layer(operator, computed)
        final = self._graph.output.index
        if final not in self._strayed:
            _assert_bytes(output, self._reference.tensor(final), "the output")

    def _layer(self, operator: Operator, computed: dict[int, np.ndarray]) -> None:
        index = operator.output.index
        strayed = any(each.index in self._strayed for each in operator.inputs)
        if isinstance(operator, AssignVariable):
            self._strayed |= {index} if strayed else set()
            return

        if strayed:
            self._strayed.add(index)
            return
        expected = self._reference.tensor(index)
        theirs = expected
        if isinstance(operator, FullyConnected):
            source = operator.input.index
            values = computed.get(source, self._reference.tensor(source))
            expected = fully_connected(operator, values)
        if not np.array_equal(expected, theirs):
            self._strayed.add(index)
        if index in computed:
            _assert_bytes(computed[index], expected, str(operator))
            self.checked += 1


def _assert_bytes(actual: np.ndarray, expected: np.ndarray, what: str) -> None:
    both = [np.ascontiguousarray(each).reshape(-1).view(np.int8) for each in (actual, expected)]
    np.testing.assert_array_equal(*both, err_msg=what)


def _assert_same_bits(
    content: bytes,
    toolchain: Toolchain,
    cache: Path,
    *,
    seed: int,
    count: int,
    options: Options | None = None,
) -> None:
    """Every layer computes what the reference computes of the same input."""
    graph = read_graph(content)
    program = generate(graph, labels=(), options=options)
    host = HostProgram.build(program, toolchain, cache)
    reference = Reference(content)
    inputs = _inputs(graph, seed, count)
    for values, output in zip(inputs, host.invoke(inputs), strict=True):
        check = _Check(graph, program.manifest, reference)
        check.inference(values, host.trace(values), output)
        assert check.checked or not program.manifest.layers


@settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(case=_networks())
def test_random_networks(case: Case, zig: Toolchain, build_cache: Path) -> None:
    """With the kernels that are made for a core, and with the plain ones, which take everything."""
    for options in (Options(), Options(specialized=False)):
        _assert_same_bits(case.content, zig, build_cache, seed=case.seed, count=4, options=options)


@pytest.mark.parametrize("name", ["mlperf_tiny_kws_ref", "mlperf_tiny_resnet_quant"])
def test_models_by_others(
    name: str, shared_models: Path, zig: Toolchain, build_cache: Path
) -> None:
    content = (shared_models / f"{name}.tflite").read_bytes()
    _assert_same_bits(content, zig, build_cache, seed=7, count=200)


def test_a_streaming_model_by_others(
    shared_models: Path, zig: Toolchain, build_cache: Path
) -> None:
    """Every layer of 120 steps; the state starts anew with every sequence."""
    content = (shared_models / "microwakeword_hey_jarvis_v2.tflite").read_bytes()
    _assert_same_sequence(content, zig, build_cache, seed=5, steps=120)


def _assert_same_sequence(
    content: bytes, toolchain: Toolchain, cache: Path, *, seed: int, steps: int
) -> None:
    graph = read_graph(content)
    program = generate(graph, labels=())
    host = HostProgram.build(program, toolchain, cache)
    for sequence in (seed, seed + 1):
        check = _Check(graph, program.manifest, Reference(content))
        inputs = _inputs(graph, sequence, steps - 3)
        found = zip(inputs, host.trace_sequence(inputs), host.sequence(inputs), strict=True)
        for values, traced, output in found:
            check.inference(values, traced, output)
        assert check.checked >= steps


def test_streams(zig: Toolchain, build_cache: Path) -> None:
    """Two states, one of them with values of its own to start from."""
    network = _network((1, 2, 1, 6), zero_point=-5)
    initial = np.arange(-12, 12, dtype=np.int8).reshape(1, 4, 1, 6)
    tensor = network.stream(0, 4, initial=initial)
    tensor = network.depthwise_conv_2d(tensor, kernel=(5, 1), padding="valid", zero_point=3)
    tensor = network.stream(network.conv_2d(tensor, 5, activation="relu"), 3)
    network.logistic(network.mean(tensor, [1, 2], keep=False))
    _assert_same_sequence(network.content(), zig, build_cache, seed=9, steps=100)


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


@pytest.mark.parametrize("depth", [2, 12, 100])
@pytest.mark.parametrize("scale", [0.003, 0.1447])
def test_softmax_without_a_table(
    depth: int, scale: float, zig: Toolchain, build_cache: Path
) -> None:
    network = _network((100 // depth, depth), scale=scale)
    network.softmax(0)
    program = generate(read_graph(network.content()), labels=())
    assert program.manifest.layers[0].kernel == "edgeprune_kernel_softmax_series"
    _assert_same_bits(network.content(), zig, build_cache, seed=depth, count=100)


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
        network.fully_connected(0, 2, bias=False, per_channel=per_channel)
        network.tensors[1].scales = [scales[1]] * (1 + per_channel)
        network.tensors[-1].scales = [scales[2]]
        (layer,) = read_graph(network.content()).operators
        lowered = FULLY_CONNECTED.lower(layer, CORES["host"])
        (constant,) = (each for each in lowered.constants if each.name == "multiplier")
        multipliers[per_channel] = constant.values.tolist()
    assert multipliers[False] == [round(math.frexp(single)[0] * 2**31)] * 2
    assert multipliers[True] == [round(math.frexp(double)[0] * 2**31)] * 2
    assert multipliers[False] != multipliers[True]
