"""Kernels for cores without SIMD, on the emulated cores: bits, instructions, sanitizers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgeprune.codegen import HostProgram, Options, Program, generate
from edgeprune.codegen.selection import select
from edgeprune.cores import CORES, CoreName
from edgeprune.devices import make_device
from edgeprune.firmware import build_image
from edgeprune.graph import read_graph
from edgeprune.target import Memory, Target
from edgeprune.toolchain import Toolchain, find_toolchain
from tests.codegen.sanitizers import execute
from tests.graph.networks import Network

_CORES: list[CoreName] = ["cortex-m3", "cortex-m0plus"]
_DENSE = Options(encodings=())


def _limit_weights(network: Network, largest: int) -> None:
    """Give the last layer weights of at most so much."""
    weights = network.tensors[network.operators[-1].inputs[1]]
    values = np.frombuffer(weights.data or b"", dtype=np.int8)
    weights.data = (values.astype(int) * largest // 127).astype(np.int8).tobytes()


def _pointwise() -> Network:
    """Every size of groups, and every number of pairs behind them."""
    network = Network(np.random.default_rng(3), (1, 7, 1, 22), scale=0.1, zero_point=-9)
    tensor = 0
    for depth, largest in [(27, 80), (25, 100), (23, 127), (20, 60), (31, 30), (5, 127)]:
        tensor = network.conv_2d(
            tensor,
            depth,
            activation="relu" if depth % 2 else "none",
            zero_point=-depth,
            gain=largest / 127,
        )
        _limit_weights(network, largest)
    return network


def _depthwise() -> Network:
    """Rows with and without a loop of their own, along either axis; a convolution in front."""
    network = Network(np.random.default_rng(4), (1, 21, 6, 2), scale=0.1, zero_point=100)
    tensor = network.conv_2d(0, 5, kernel=(4, 3), stride=(1, 2), dilation=(2, 1))
    for kernel in [(3, 3), (5, 2), (7, 1), (9, 3), (4, 3)]:
        activation = "relu" if kernel[1] == 3 else "none"
        tensor = network.depthwise_conv_2d(tensor, kernel=kernel, activation=activation)
    network.depthwise_conv_2d(tensor, kernel=(3, 3), stride=(2, 1), dilation=(1, 2))
    return network


_NETWORKS = {"pointwise": _pointwise, "depthwise": _depthwise}


def _program(content: bytes, core: CoreName) -> Program:
    return generate(read_graph(content), labels=(), core=CORES[core], options=_DENSE)


def _inputs(size: int, count: int) -> np.ndarray:
    rng = np.random.default_rng(1)
    extremes = [np.full(size, value, dtype=np.int8) for value in (-128, 127)]
    return np.stack([*extremes, *rng.integers(-128, 128, (count, size), dtype=np.int8)])


def _run(
    program: Program, core: CoreName, toolchain: Toolchain, folder: Path, inputs: np.ndarray
) -> tuple[np.ndarray, list[int]]:
    """What an emulated core computes, and the instructions of each layer."""
    (folder / "program").mkdir()
    for name, text in program.files.items():
        (folder / "program" / name).write_text(text, encoding="utf-8")
    (folder / "program" / "program.json").write_text(program.manifest.to_json(), encoding="utf-8")
    target = Target(
        name="test",
        core=core,
        device="emulator",
        clock_mhz=64.0,
        toolchain=toolchain.name,
        memory=Memory(flash_kib=128, ram_kib=32),
    )
    image = build_image(folder / "program", target, toolchain, folder / "image")
    with make_device(target, image=image).open_network() as session:
        outputs = [
            np.array(session.invoke(each.reshape(program.manifest.input.shape))) for each in inputs
        ]
        layers = session.profile().inference.layers
    return np.stack(outputs), [layer.instructions or 0 for layer in layers]


@pytest.mark.parametrize("core", _CORES)
@pytest.mark.parametrize("name", sorted(_NETWORKS))
def test_small_networks(
    name: str,
    core: CoreName,
    cross_compiler: Toolchain,
    zig: Toolchain,
    tmp_path: Path,
    build_cache: Path,
) -> None:
    program = _program(_NETWORKS[name]().content(), core)
    assert all(layer.kernel.startswith("edgeprune_scalar_") for layer in program.manifest.layers)
    inputs = _inputs(program.manifest.input.size, 8)
    found, _ = _run(program, core, cross_compiler, tmp_path, inputs)
    expected = HostProgram.build(program, zig, build_cache).invoke(inputs)
    np.testing.assert_array_equal(found.reshape(expected.shape), expected)
    assert len(np.unique(expected)) > 10


def test_the_small_networks_have_every_group_size() -> None:
    groups, pairs = set(), set()
    for operator in read_graph(_pointwise().content()).operators:
        shape = dict(select(operator, CORES["cortex-m3"], _DENSE).chosen.shape)
        groups.add(shape["group"])
        step = {2: 4, 3: 6, 4: 8, 6: 6, 8: 8}[shape["group"]]
        pairs.add(shape["taps"] % step // 2)
    assert groups == {2, 3, 4, 6, 8}
    assert pairs == {0, 1, 2, 3}


@pytest.mark.parametrize(
    ("core", "most"), [("cortex-m3", 5_000_000), ("cortex-m0plus", 11_000_000)]
)
def test_the_published_network(
    core: CoreName,
    most: int,
    kws_model: Path,
    kws_host: HostProgram,
    cross_compiler: Toolchain,
    tmp_path: Path,
) -> None:
    program = _program(kws_model.read_bytes(), core)
    inputs = _inputs(program.manifest.input.size, 2)
    found, counted = _run(program, core, cross_compiler, tmp_path, inputs)
    expected = kws_host.invoke(inputs)
    np.testing.assert_array_equal(found.reshape(expected.shape), expected)
    assert sum(counted) < most
    _assert_estimates(kws_model.read_bytes(), core, counted)


def _assert_estimates(content: bytes, core: CoreName, counted: list[int]) -> None:
    """Every layer that a scalar kernel computes costs what is estimated, within a tenth."""
    operators = [each for each in read_graph(content).operators if each.kind != "RESHAPE"]
    for operator, instructions in zip(operators, counted, strict=True):
        lowered = select(operator, CORES[core], _DENSE).chosen
        if lowered.function.startswith("edgeprune_scalar_"):
            assert lowered.estimate is not None
            assert lowered.estimate.instructions == pytest.approx(instructions, rel=0.1)
            assert lowered.estimate.flash_bytes == sum(
                int(each.values.nbytes) for each in lowered.constants
            )


@pytest.mark.parametrize("core", _CORES)
def test_estimates_of_one_dimension(core: CoreName, zig: Toolchain, tmp_path: Path) -> None:
    """Windows over time, as in keyword networks of another shape."""
    network = Network(np.random.default_rng(11), (1, 49, 1, 40), scale=0.1, zero_point=-20)
    tensor = network.conv_2d(0, 32, kernel=(5, 1), stride=(2, 1), activation="relu")
    for _ in range(2):
        tensor = network.depthwise_conv_2d(tensor, kernel=(9, 1), zero_point=-3)
        tensor = network.conv_2d(tensor, 32, activation="relu", zero_point=-128)
    program = _program(network.content(), core)
    inputs = _inputs(program.manifest.input.size, 1)
    _, counted = _run(program, core, zig, tmp_path, inputs)
    _assert_estimates(network.content(), core, counted)


@pytest.mark.parametrize(
    ("network", "core"),
    [("pointwise", "cortex-m3"), ("pointwise", "cortex-m0plus"), ("depthwise", "cortex-m3")],
)
@pytest.mark.parametrize("name", ["zig", "host"])
def test_sanitizers(
    name: str, network: str, core: CoreName, tmp_path: Path, build_cache: Path
) -> None:
    program = _program(_NETWORKS[network]().content(), core)
    inputs = _inputs(program.manifest.input.size, 3)
    host = HostProgram.build(program, find_toolchain("zig"), build_cache)
    np.testing.assert_array_equal(execute(name, program, inputs, tmp_path), host.invoke(inputs))
