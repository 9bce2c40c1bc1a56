"""The kernels for Helium (MVE): the bits of the reference kernels, here and on a Cortex-M55."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgeprune.codegen import HostProgram, Program, generate
from edgeprune.codegen.kernels.mve import MVE_KERNELS
from edgeprune.codegen.selection import Options
from edgeprune.cores import CORES
from edgeprune.devices import NetworkSession, make_device
from edgeprune.devices.qemu_process import PROGRAM
from edgeprune.errors import ToolchainError
from edgeprune.firmware import build_image
from edgeprune.graph import FullyConnected, read_graph
from edgeprune.target import Memory, Target
from edgeprune.toolchain import Toolchain, find_toolchain
from tests.codegen.reference import Reference, fully_connected
from tests.codegen.sanitizers import execute
from tests.graph.networks import ACTIVATIONS, Network

_M55 = CORES["cortex-m55"]
_ZERO_POINTS = st.one_of(st.sampled_from([-128, -1, 0, 127]), st.integers(-128, 127))
_GAINS = st.sampled_from([0.1, 0.5, 1.0, 1.0, 2.0])
_ACTIVATIONS = st.sampled_from(sorted(ACTIVATIONS))


def _program(content: bytes) -> Program:
    """Dense: small networks are good for palettes, which have kernels of their own."""
    options = Options(encodings=())
    return generate(read_graph(content), labels=(), core=_M55, options=options)


def _kernels(program: Program) -> list[str]:
    return [layer.kernel for layer in program.manifest.layers]


class _Case:
    def __init__(self, content: bytes) -> None:
        self.content = content

    def __repr__(self) -> str:
        operators = read_graph(self.content).operators
        return "; ".join(
            f"{each.kind} {list(each.inputs[0].shape)} -> {list(each.output.shape)}"
            for each in operators
        )


@st.composite
def _networks(draw: st.DrawFn) -> _Case:
    """Two or three layers that the kernels compute, and perhaps a classifier."""
    depth = draw(st.one_of(st.integers(1, 20), st.sampled_from([32, 33, 100, 112])))
    shape = (draw(st.sampled_from([1, 1, 2])), draw(st.integers(1, 9)), draw(st.integers(1, 9)))
    network = Network(
        np.random.default_rng(draw(st.integers(0, 2**31))),
        (*shape, depth),
        scale=draw(st.sampled_from([0.003, 0.1, 7.5])),
        zero_point=draw(_ZERO_POINTS),
    )
    tensor = 0
    for _ in range(draw(st.integers(2, 3))):
        tensor = _layer(draw, network, tensor)
    if draw(st.booleans()):
        elements = int(np.prod(network.shape(tensor)))
        rows = shape[0] if draw(st.booleans()) else 1
        tensor = network.reshape(tensor, (rows, elements // rows))
        network.fully_connected(
            tensor,
            draw(st.integers(1, 7)),
            activation=draw(st.sampled_from(["none", "relu"])),
            gain=draw(_GAINS),
            zero_point=draw(_ZERO_POINTS),
        )
    return _Case(network.content())


def _layer(draw: st.DrawFn, network: Network, source: int) -> int:
    _, height, width, depth = network.shape(source)
    kind = draw(st.sampled_from(["conv", "pointwise", "depthwise", "depthwise", "line", "pool"]))
    activation = draw(_ACTIVATIONS)
    kernel = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    window = {"kernel": kernel, "stride": draw(st.tuples(st.integers(1, 2), st.integers(1, 3)))}
    if kernel[0] <= height and kernel[1] <= width:
        window["padding"] = draw(st.sampled_from(["same", "valid"]))
    if kind == "pool":
        return network.average_pool_2d(source, activation=activation, **window)
    output = {"activation": activation, "gain": draw(_GAINS), "zero_point": draw(_ZERO_POINTS)}
    if kind == "pointwise":
        return network.conv_2d(source, draw(st.integers(1, 9)), **output)
    if kind == "line":
        tensor = network.reshape(source, (1, network.shape(source)[0] * height * width, 1, depth))
        window = {"kernel": (draw(st.integers(1, 9)), 1), "stride": (draw(st.integers(1, 3)), 1)}
        return network.depthwise_conv_2d(tensor, **window, **output)
    if window.get("padding", "same") == "same":
        window["dilation"] = draw(st.tuples(st.integers(1, 2), st.integers(1, 2)))
    if kind == "depthwise":
        return network.depthwise_conv_2d(source, **window, **output)
    return network.conv_2d(source, draw(st.integers(1, 9)), **window, **output)


def _inputs(size: int, count: int) -> np.ndarray:
    rng = np.random.default_rng(1)
    extremes = [np.full(size, value, dtype=np.int8) for value in (-128, 127)]
    extremes.append(rng.choice(np.array([-128, 127], dtype=np.int8), size))
    return np.stack([*extremes, *rng.integers(-128, 128, (count, size), dtype=np.int8)])


def _assert_same_bits(content: bytes, program: Program, host: HostProgram, count: int) -> None:
    """Every layer computes what the reference computes of the same input."""
    graph = read_graph(content)
    reference = Reference(content)
    operators = {operator.output.index: operator for operator in graph.operators}
    for values in _inputs(program.manifest.input.size, count):
        reference.invoke(values.reshape(graph.input.shape))
        for layer, found in zip(program.manifest.layers, host.trace(values), strict=True):
            operator = operators[layer.tensor]
            if isinstance(operator, FullyConnected):
                expected = fully_connected(operator, reference.tensor(operator.input.index))
            else:
                expected = reference.tensor(layer.tensor)
            np.testing.assert_array_equal(found, expected, err_msg=f"{layer.kernel}, {operator}")


@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(case=_networks())
def test_random_networks(case: _Case, zig: Toolchain, build_cache: Path) -> None:
    program = _program(case.content)
    host = HostProgram.build(program, zig, build_cache)
    _assert_same_bits(case.content, program, host, 3)


def _everything() -> Network:
    """What the kernels differ in: odd sizes, long and short vectors, all kinds of windows."""
    network = Network(np.random.default_rng(6), (1, 11, 7, 5), scale=0.1, zero_point=-128)
    tensor = network.conv_2d(0, 7, kernel=(5, 4), stride=(1, 2), dilation=(1, 2))
    tensor = network.depthwise_conv_2d(tensor, kernel=(3, 3), activation="relu", zero_point=-128)
    tensor = network.conv_2d(tensor, 33, activation="relu", zero_point=-100)
    tensor = network.conv_2d(tensor, 8, kernel=(3, 3), stride=(1, 1), gain=0.3, zero_point=9)
    tensor = network.depthwise_conv_2d(tensor, kernel=(2, 4), stride=(1, 2), zero_point=4)
    tensor = network.average_pool_2d(tensor, kernel=(3, 3), stride=(2, 1), activation="relu6")
    _, height, width, depth = network.shape(tensor)
    tensor = network.reshape(tensor, (1, height * width, 1, depth))
    tensor = network.depthwise_conv_2d(tensor, kernel=(9, 1), activation="relu6", zero_point=-3)
    tensor = network.reshape(tensor, (1, height * width * depth))
    network.fully_connected(tensor, 5)
    return network


def _long_rows() -> Network:
    """Rows of several runs, a single pixel, and a batch."""
    network = Network(np.random.default_rng(3), (2, 4, 19, 3), scale=0.02, zero_point=11)
    tensor = network.depthwise_conv_2d(0, kernel=(1, 5), activation="relu", zero_point=-20)
    tensor = network.conv_2d(tensor, 2, kernel=(4, 2), stride=(4, 18), padding="valid")
    tensor = network.conv_2d(tensor, 3, zero_point=-128, activation="relu")
    network.average_pool_2d(tensor, kernel=(2, 1), activation="relu_n1_to_1")
    return network


def _wide_windows() -> Network:
    """Depthwise windows that reach over more than a vector, or have few pixels."""
    network = Network(np.random.default_rng(8), (2, 9, 17, 11), scale=0.05, zero_point=-128)
    tensor = network.depthwise_conv_2d(0, kernel=(3, 3), zero_point=7)
    tensor = network.depthwise_conv_2d(
        tensor, kernel=(2, 3), dilation=(2, 3), activation="relu", zero_point=-128
    )
    tensor = network.depthwise_conv_2d(
        tensor, kernel=(3, 5), stride=(2, 4), padding="valid", activation="relu6", zero_point=-9
    )
    network.depthwise_conv_2d(tensor, kernel=(4, 1), padding="valid", zero_point=33)
    return network


_NETWORKS = {"everything": _everything, "long_rows": _long_rows, "wide_windows": _wide_windows}


@pytest.mark.parametrize("name", sorted(_NETWORKS))
def test_what_the_kernels_differ_in(name: str, zig: Toolchain, build_cache: Path) -> None:
    content = _NETWORKS[name]().content()
    program = _program(content)
    assert all("_mve_" in kernel for kernel in _kernels(program))
    _assert_same_bits(content, program, HostProgram.build(program, zig, build_cache), 20)


def test_the_published_network(kws_model: Path, zig: Toolchain, build_cache: Path) -> None:
    content = kws_model.read_bytes()
    program = _program(content)
    assert all("_mve_" in kernel for kernel in _kernels(program)[:-1])
    _assert_same_bits(content, program, HostProgram.build(program, zig, build_cache), 20)


def _large_bias(network: Network) -> None:
    bias = network.tensors[network.operators[0].inputs[2]]
    values = np.frombuffer(bias.data or b"", dtype="<i4").copy()
    values[0] = 1 << 23
    bias.data = values.tobytes()


def _refused(name: str) -> Network:
    network = Network(np.random.default_rng(2), (1, 8, 8, 6), scale=0.1)
    if name == "one output":
        network.conv_2d(0, 1)
    elif name == "groups":
        network.conv_2d(0, 6, groups=2)
    elif name == "multiplied channels":
        network.depthwise_conv_2d(0, 2)
    elif name == "a large bias":
        network.conv_2d(0, 4)
        _large_bias(network)
    elif name == "left shifts":
        network.conv_2d(0, 4, gain=1e-5)
    elif name == "a large pool":
        network = Network(np.random.default_rng(2), (1, 16, 16, 2), scale=0.1)
        network.average_pool_2d(0, kernel=(16, 16), padding="valid")
    return network


@pytest.mark.parametrize(
    "name",
    [
        "one output",
        "groups",
        "multiplied channels",
        "a large bias",
        "left shifts",
        "a large pool",
    ],
)
def test_what_does_not_fit_is_left_to_others(name: str) -> None:
    (operator,) = read_graph(_refused(name).content()).operators
    assert all(kernel.offer(operator, _M55) is None for kernel in MVE_KERNELS)


def _depthwise_kernel(shape: tuple[int, ...], **window: Any) -> str:
    network = Network(np.random.default_rng(2), shape, scale=0.1)
    network.depthwise_conv_2d(0, **window)
    (kernel,) = _kernels(_program(network.content()))
    return kernel


def test_depthwise_windows_that_fit_a_vector_are_computed_a_channel_at_a_time() -> None:
    by_channel = "edgeprune_kernel_mve_depthwise_conv_2d"
    assert _depthwise_kernel((1, 9, 5, 6), kernel=(3, 3)) == by_channel
    assert _depthwise_kernel((1, 30, 1, 6), kernel=(16, 1)) == by_channel
    eight_at_a_time = "edgeprune_kernel_mve_depthwise_channels"
    assert _depthwise_kernel((1, 9, 6, 6), kernel=(3, 3)) == eight_at_a_time
    assert _depthwise_kernel((1, 30, 1, 6), kernel=(17, 1)) == eight_at_a_time
    assert _depthwise_kernel((1, 7, 1, 6), kernel=(3, 1)) == eight_at_a_time


def test_other_cores_have_none_of_them(kws_model: Path) -> None:
    for operator in read_graph(kws_model).operators:
        assert all(kernel.offer(operator, CORES["cortex-m33"]) is None for kernel in MVE_KERNELS)


@pytest.mark.parametrize("name", sorted(_NETWORKS))
def test_nothing_is_undefined_or_out_of_bounds(
    name: str, zig: Toolchain, build_cache: Path, tmp_path: Path
) -> None:
    program = _program(_NETWORKS[name]().content())
    inputs = _inputs(program.manifest.input.size, 5)
    expected = HostProgram.build(program, zig, build_cache).invoke(inputs)
    np.testing.assert_array_equal(execute("host", program, inputs, tmp_path), expected)


# On the emulated core.


@contextmanager
def _on_m55(program: Program, toolchain: str, folder: Path) -> Iterator[NetworkSession]:
    if shutil.which(PROGRAM) is None and "EDGEPRUNE_REQUIRE_COMPILERS" not in os.environ:
        pytest.skip(f"{PROGRAM} is not installed")
    try:
        compiler = find_toolchain(toolchain)
    except ToolchainError as error:
        pytest.skip(str(error))
    source = folder / "program"
    source.mkdir()
    for file, text in program.files.items():
        (source / file).write_text(text, encoding="utf-8")
    (source / "program.json").write_text(program.manifest.to_json(), encoding="utf-8")
    target = Target(
        name="m55",
        core=_M55.name,
        device="qemu",
        clock_mhz=160.0,
        toolchain=toolchain,
        memory=Memory(flash_kib=512, ram_kib=256),
    )
    image = build_image(source, target, compiler, folder / "image")
    with make_device(target, image=image).open_network() as session:
        yield session


@pytest.mark.parametrize("toolchain", ["zig", "arm-none-eabi-gcc"])
@pytest.mark.parametrize("name", sorted(_NETWORKS))
def test_the_core_computes_what_this_machine_does(
    name: str, toolchain: str, zig: Toolchain, build_cache: Path, tmp_path: Path
) -> None:
    program = _program(_NETWORKS[name]().content())
    inputs = _inputs(program.manifest.input.size, 5)
    expected = HostProgram.build(program, zig, build_cache).invoke(inputs)
    with _on_m55(program, toolchain, tmp_path) as session:
        for values, output in zip(inputs, expected, strict=True):
            np.testing.assert_array_equal(session.invoke(values).reshape(-1), output)


def test_costs_are_what_is_counted(kws_model: Path, tmp_path: Path) -> None:
    """Estimates are within a tenth of the counts, and all of it below the aim for this core."""
    graph = read_graph(kws_model)
    program = _program(kws_model.read_bytes())
    operators = {operator.output.index: operator for operator in graph.operators}
    with _on_m55(program, "zig", tmp_path) as session:
        inference = session.profile().inference
    assert inference.work.instructions < 650_000
    for layer, counted in zip(program.manifest.layers, inference.layers, strict=True):
        operator = operators[layer.tensor]
        offers = [kernel.offer(operator, _M55) for kernel in MVE_KERNELS]
        estimates = [offer.estimate for offer in offers if offer is not None]
        if estimates and estimates[0] is not None:
            assert estimates[0].instructions == pytest.approx(counted.instructions, rel=0.1)
            assert estimates[0].flash_bytes == layer.constant_bytes
