"""Kernels for the DSP extension: bit for bit the reference's, on this machine and on the cores."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgeprune.codegen import HostProgram, Options, Program, generate
from edgeprune.codegen.kernels.dsp import DSP_KERNELS
from edgeprune.codegen.selection import select
from edgeprune.cores import CORES
from edgeprune.devices import NetworkSession, make_device
from edgeprune.firmware import build_image
from edgeprune.graph import FullyConnected, read_graph
from edgeprune.target import Memory, Target
from edgeprune.toolchain import Toolchain
from tests.codegen.case import Case
from tests.codegen.reference import Reference, fully_connected
from tests.codegen.sanitizers import execute
from tests.graph.networks import ACTIVATIONS, Network

_CORE = CORES["cortex-m4"]
_DENSE = Options(encodings=())
_ZERO_POINTS = st.one_of(st.sampled_from([-128, -128, -1, 0, 127]), st.integers(-128, 127))
#: Below 0.5 some outputs shift by so little that another kernel takes the layer.
_GAINS = st.sampled_from([0.5, 1.0, 1.0, 2.0, 30.0, 1e5])
_ACTIVATIONS = st.sampled_from(["relu", "relu", *sorted(ACTIVATIONS)])


@st.composite
def _networks(draw: st.DrawFn) -> Case:
    """A chain of layers, so that they write over each other's memory; some images are rows."""
    seed = draw(st.integers(0, 2**31))
    width = draw(st.sampled_from([1, 1, 2, 4, 5, 6, 9, 13]))
    height = draw(st.integers(1, 40 if width == 1 else 9))
    network = Network(
        np.random.default_rng(seed),
        (1, height, width, draw(st.integers(1, 13))),
        scale=0.1,
        zero_point=draw(_ZERO_POINTS),
    )
    source = 0
    for _ in range(draw(st.integers(2, 6))):
        source = _layer(draw, network, source)
    return Case(network.content(), seed)


def _layer(draw: st.DrawFn, network: Network, source: int) -> int:
    _, height, width, _ = network.shape(source)
    kind = draw(st.sampled_from(["conv", "pointwise", "depthwise", "depthwise"]))
    weighted = {
        "activation": draw(_ACTIVATIONS),
        "per_channel": draw(st.booleans()),
        "gain": draw(_GAINS),
        "zero_point": draw(_ZERO_POINTS),
    }
    if kind == "pointwise":
        return network.conv_2d(source, draw(st.integers(1, 18)), **weighted)
    kernel = (draw(st.integers(1, 5)), draw(st.sampled_from([1, 3, 3, 2, 4, 5, 7, 9])))
    if width == 1:
        kernel = kernel[::-1] if draw(st.booleans()) else (kernel[1], 1)
    fits = kernel[0] <= height and kernel[1] <= width
    window = {"kernel": kernel, "padding": draw(st.sampled_from(["same", "valid"]))}
    if not fits:
        window["padding"] = "same"
    if kind == "depthwise":
        stride = (draw(st.integers(1, 2)), 1) if width > 1 else (1, 1)
        return network.depthwise_conv_2d(source, stride=stride, **window, **weighted)
    dilation = (1, 1) if fits else (draw(st.integers(1, 2)), draw(st.integers(1, 2)))
    stride = (draw(st.integers(1, 3)), draw(st.integers(1, 3)))
    return network.conv_2d(
        source, draw(st.integers(1, 9)), stride=stride, dilation=dilation, **window, **weighted
    )


def _program(content: bytes) -> Program:
    return generate(read_graph(content), labels=(), core=_CORE, options=_DENSE)


def _dsp_kernels(program: Program) -> list[str]:
    kernels = [layer.kernel for layer in program.manifest.layers]
    return [kernel for kernel in kernels if kernel.startswith("edgeprune_dsp_")]


def _inputs(program: Program, *, seed: int, count: int) -> np.ndarray:
    size = program.manifest.input.size
    rng = np.random.default_rng(seed)
    extremes = [np.full(size, value, dtype=np.int8) for value in (-128, 127)]
    extremes.append(rng.choice(np.array([-128, 127], dtype=np.int8), size))
    return np.stack([*extremes, *rng.integers(-128, 128, (count, size), dtype=np.int8)])


def _assert_same_bits(
    content: bytes, compiler: Toolchain, cache: Path, *, seed: int, count: int
) -> int:
    """Every layer computes what the reference does; returns how many were DSP kernels'."""
    graph, program = read_graph(content), _program(content)
    host = HostProgram.build(program, compiler, cache)
    reference = Reference(content)
    operators = {operator.output.index: operator for operator in graph.operators}
    for values in _inputs(program, seed=seed, count=count):
        reference.invoke(values.reshape(graph.input.shape))
        for layer, actual in zip(program.manifest.layers, host.trace(values), strict=True):
            operator = operators[layer.tensor]
            expected = reference.tensor(layer.tensor)
            if isinstance(operator, FullyConnected):
                expected = fully_connected(operator, reference.tensor(operator.input.index))
            np.testing.assert_array_equal(actual, expected, f"{layer.kernel}: {operator}")
    return len(_dsp_kernels(program))


@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(case=_networks())
def test_random_networks(case: Case, host_cc: Toolchain, build_cache: Path) -> None:
    _assert_same_bits(case.content, host_cc, build_cache, seed=case.seed, count=3)


def _matchbox() -> Network:
    """One-dimensional, time as height: a stem, separable convolutions, a residual."""
    network = Network(np.random.default_rng(3), (1, 49, 1, 40), scale=0.1, zero_point=-20)
    relu = {"activation": "relu", "zero_point": -128}
    tensor = network.conv_2d(0, 32, kernel=(5, 1), stride=(2, 1), **relu)
    for taps in (9, 11):
        inner = network.depthwise_conv_2d(tensor, kernel=(taps, 1), zero_point=-3)
        inner = network.conv_2d(inner, 32, zero_point=10)
        tensor = network.add(tensor, inner, activation="relu", zero_point=-128)
    tensor = network.conv_2d(network.conv_2d(tensor, 40, **relu), 32, activation="relu6")
    network.fully_connected(network.reshape(tensor, (1, 800)), 7)
    return network


def _image() -> Network:
    """Two-dimensional, with the 3 x 3 kernels of most networks and nothing that is even."""
    network = Network(np.random.default_rng(4), (1, 13, 9, 3), scale=0.1, zero_point=11)
    relu = {"activation": "relu", "zero_point": -128}
    tensor = network.conv_2d(0, 7, kernel=(3, 3), **relu)
    tensor = network.depthwise_conv_2d(tensor, zero_point=-30)
    tensor = network.conv_2d(tensor, 14, **relu)
    tensor = network.depthwise_conv_2d(tensor, kernel=(5, 4), **relu)
    tensor = network.conv_2d(tensor, 6, kernel=(3, 2), stride=(2, 2), dilation=(2, 1))
    tensor = network.depthwise_conv_2d(tensor, stride=(2, 1), **relu)
    network.fully_connected(network.reshape(tensor, (5, 24)), 5, zero_point=3)
    return network


_NETWORKS = {"image": _image, "matchbox": _matchbox}


@pytest.mark.parametrize("name", sorted(_NETWORKS))
def test_networks(name: str, host_cc: Toolchain, build_cache: Path) -> None:
    content = _NETWORKS[name]().content()
    weighted = [each for each in read_graph(content).operators if each.constants]
    found = _assert_same_bits(content, host_cc, build_cache, seed=1, count=20)
    assert found == len(weighted)


# What fits.


def _fitting(network: Network) -> list[bool]:
    """Of every layer, whether it is a DSP kernel's on an M4; it never is on an M3."""
    operators = read_graph(network.content()).operators
    taken = []
    for operator in operators:
        assert all(kernel.offer(operator, CORES["cortex-m3"]) is None for kernel in DSP_KERNELS)
        taken.append(any(kernel.offer(operator, _CORE) is not None for kernel in DSP_KERNELS))
    return taken


def _network(shape: tuple[int, ...] = (1, 8, 8, 4)) -> Network:
    return Network(np.random.default_rng(2), shape, scale=0.1, zero_point=0)


def test_layers_that_do_not_fit() -> None:
    network = _network()
    network.conv_2d(0, 4, groups=2)
    network.depthwise_conv_2d(0, 2)
    network.depthwise_conv_2d(0, stride=(1, 2))
    network.depthwise_conv_2d(0, dilation=(2, 2))
    network.conv_2d(0, 4, gain=0.001)
    network.fully_connected(network.reshape(0, (1, 256)), 3)
    assert not any(_fitting(network))
    batch = _network((2, 8, 8, 4))
    batch.conv_2d(0, 4, kernel=(3, 3))
    batch.depthwise_conv_2d(0)
    batch.conv_2d(0, 4)
    assert _fitting(batch) == [False, False, True]
    large = _network((1, 80, 80, 1))
    large.depthwise_conv_2d(0)
    assert _fitting(large) == [False]


def test_weights_that_do_not_fit_a_half() -> None:
    """256 * -128 + b is an int16 only where b is not negative."""
    for second, fits in ((-1, False), (0, True), (127, True)):
        network = _network()
        network.conv_2d(0, 2)
        weights = np.array([[-128, 1, 2, 3], [second, -128, 5, -128]], dtype=np.int8)
        network.tensors[network.operators[0].inputs[1]].data = weights.tobytes()
        assert _fitting(network) == [fits]


def test_accumulators_that_do_not_fit() -> None:
    """Beyond 2**23 the upper bits of an accumulator would be lost."""
    for bias, fits in ((1 << 22, True), (1 << 23, False)):
        network = _network()
        network.conv_2d(0, 2)
        values = np.array([bias, 0], dtype=np.int32)
        network.tensors[network.operators[0].inputs[2]].data = values.tobytes()
        assert _fitting(network) == [fits]


@pytest.mark.parametrize("kind", ["pointwise", "convolution", "depthwise"])
def test_channels_without_weights(kind: str, host_cc: Toolchain, build_cache: Path) -> None:
    """Pruning can empty a channel; the converter then gives it a scale next to nothing."""
    network = _network()
    relu = {"activation": "relu", "zero_point": -128}
    if kind == "depthwise":
        network.depthwise_conv_2d(0, **relu)
    else:
        network.conv_2d(0, 4, kernel=(1, 1) if kind == "pointwise" else (3, 3), **relu)
    weights, bias = (network.tensors[index] for index in network.operators[0].inputs[1:])
    axis = 3 if kind == "depthwise" else 0
    values = np.frombuffer(weights.data, np.int8).reshape(weights.shape).copy()
    np.moveaxis(values, axis, 0)[:3] = 0
    weights.data = values.tobytes()
    weights.scales = np.array([1e-7, 2e-7, 1e-3, weights.scales[3]])
    bias.scales = weights.scales * network.scale(0)
    bias.data = np.array([2**30, -(2**29), 12_345, -77], dtype=np.int32).tobytes()
    assert _fitting(network) == [True]
    assert _assert_same_bits(network.content(), host_cc, build_cache, seed=1, count=5) == 1


# Nothing undefined, nothing out of bounds.


@pytest.mark.parametrize("name", sorted(_NETWORKS))
def test_nothing_is_undefined_or_out_of_bounds(
    name: str, host_cc: Toolchain, build_cache: Path, tmp_path: Path
) -> None:
    program = _program(_NETWORKS[name]().content())
    inputs = _inputs(program, seed=5, count=5)
    expected = HostProgram.build(program, host_cc, build_cache).invoke(inputs)
    np.testing.assert_array_equal(execute("host", program, inputs, tmp_path), expected)


# On the emulated cores.


@contextmanager
def _on_core(
    program: Program, core: str, compiler: Toolchain, folder: Path
) -> Iterator[NetworkSession]:
    source = folder / "program"
    source.mkdir()
    for file, text in program.files.items():
        (source / file).write_text(text, encoding="utf-8")
    (source / "program.json").write_text(program.manifest.to_json(), encoding="utf-8")
    target = Target(
        name="dsp",
        core=core,
        device="emulator",
        clock_mhz=80.0,
        toolchain=compiler.name,
        memory=Memory(flash_kib=512, ram_kib=256),
    )
    image = build_image(source, target, compiler, folder / "image")
    with make_device(target, image=image).open_network() as session:
        yield session


@pytest.mark.parametrize("core", ["cortex-m4", "cortex-m7", "cortex-m33"])
@pytest.mark.parametrize("name", sorted(_NETWORKS))
def test_cores_compute_what_this_machine_does(
    name: str,
    core: str,
    cross_compiler: Toolchain,
    host_cc: Toolchain,
    build_cache: Path,
    tmp_path: Path,
) -> None:
    program = _program(_NETWORKS[name]().content())
    inputs = _inputs(program, seed=6, count=3)
    expected = HostProgram.build(program, host_cc, build_cache).invoke(inputs)
    with _on_core(program, core, cross_compiler, tmp_path) as session:
        for values, output in zip(inputs, expected, strict=True):
            np.testing.assert_array_equal(session.invoke(values).reshape(-1), output)


def _assert_estimates(content: bytes, program: Program, session: NetworkSession) -> int:
    """Estimates are within a tenth of the counts; returns how many instructions were counted."""
    inference = session.profile().inference
    operators = {operator.output.index: operator for operator in read_graph(content).operators}
    for layer, counted in zip(program.manifest.layers, inference.layers, strict=True):
        if layer.kernel in _dsp_kernels(program):
            chosen = select(operators[layer.tensor], _CORE, _DENSE).chosen
            assert chosen.estimate is not None
            assert chosen.estimate.instructions == pytest.approx(counted.instructions, rel=0.1)
            assert chosen.estimate.flash_bytes == layer.constant_bytes
    return int(inference.work.instructions)


@pytest.mark.parametrize("name", sorted(_NETWORKS))
def test_estimates(name: str, zig: Toolchain, tmp_path: Path) -> None:
    content = _NETWORKS[name]().content()
    program = _program(content)
    with _on_core(program, "cortex-m4", zig, tmp_path) as session:
        _assert_estimates(content, program, session)


def test_cost_of_the_published_network(kws_model: Path, zig: Toolchain, tmp_path: Path) -> None:
    content = kws_model.read_bytes()
    program = _program(content)
    with _on_core(program, "cortex-m4", zig, tmp_path) as session:
        assert _assert_estimates(content, program, session) < 2_950_000
    assert program.manifest.arena_bytes < 8_500
