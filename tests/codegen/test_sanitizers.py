"""The generated C under UBSan and ASan: nothing undefined, nothing out of bounds.

zig brings UBSan and no ASan; the machine's own compiler brings both, where there is one.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgeprune.codegen import HostProgram, Program, generate
from edgeprune.codegen.selection import Options
from edgeprune.errors import ProcessError
from edgeprune.graph import read_graph
from edgeprune.toolchain import find_toolchain
from tests.codegen.sanitizers import SANITIZERS, execute
from tests.graph.networks import Network


def _network() -> Network:
    """Every plain kernel, with windows that leave the image on all sides."""
    network = Network(np.random.default_rng(6), (1, 11, 7, 4), scale=0.1, zero_point=-128)
    tensor = network.conv_2d(0, 6, kernel=(5, 4), stride=(2, 1), dilation=(1, 2), groups=2)
    tensor = network.add(tensor, network.depthwise_conv_2d(tensor, kernel=(5, 5)), zero_point=127)
    tensor = network.sub(tensor, network.operand((7, 1)), activation="relu6")
    tensor = network.mul(tensor, network.mean(tensor, [1, 2]), zero_point=127)
    tensor = network.leaky_relu(network.relu(tensor, zero_point=network.zero_point(tensor)))
    tensor = network.depthwise_conv_2d(tensor, 3, dilation=(3, 3), gain=0.002)
    tensor = network.conv_2d(tensor, 5, gain=0.001)
    tensor = network.max_pool_2d(tensor, kernel=(2, 3), stride=(1, 2))
    tensor = network.pad(tensor, [(0, 0), (2, 1), (0, 1), (1, 0)])
    tensor = network.concatenation([network.transpose(tensor, [0, 2, 1, 3])] * 2, 3)
    tensor = network.strided_slice(tensor, [0, 4, 0, 1], [1, -6, 9, 12], [1, -1, 2, 1])
    tensor = network.average_pool_2d(tensor, kernel=(3, 3), stride=(2, 2))
    tensor = network.mean(tensor, [1, 2], keep=False, gain=0.3)
    tensor = network.softmax(network.fully_connected(tensor, 4))
    network.quantize(tensor, dtype="uint8")
    return network


def _inputs(size: int, count: int) -> np.ndarray:
    rng = np.random.default_rng(1)
    extremes = [np.full(size, value, dtype=np.int8) for value in (-128, 127)]
    return np.stack([*extremes, *rng.integers(-128, 128, (count, size), dtype=np.int8)])


@pytest.fixture(scope="module")
def program() -> Program:
    plain = Options(specialized=False)
    return generate(read_graph(_network().content()), labels=(), options=plain)


@pytest.mark.parametrize("name", sorted(SANITIZERS))
def test_every_kernel(name: str, program: Program, tmp_path: Path, build_cache: Path) -> None:
    inputs = _inputs(program.manifest.input.size, 30)
    host = HostProgram.build(program, find_toolchain("zig"), build_cache)
    expected = host.invoke(inputs).view(np.int8)
    np.testing.assert_array_equal(execute(name, program, inputs, tmp_path), expected)


@pytest.mark.parametrize("name", sorted(SANITIZERS))
def test_the_published_network(
    name: str, kws_program: Program, kws_host: HostProgram, tmp_path: Path
) -> None:
    inputs = _inputs(kws_program.manifest.input.size, 10)
    found = execute(name, kws_program, inputs, tmp_path)
    np.testing.assert_array_equal(found, kws_host.invoke(inputs))


# The sanitizers are awake: a planted bug ends the program.


def _with(program: Program, file: str, old: str, new: str) -> Program:
    assert old in program.files[file]
    return Program({**program.files, file: program.files[file].replace(old, new)}, program.manifest)


@pytest.mark.parametrize("name", sorted(SANITIZERS))
def test_an_overflow_is_caught(name: str, program: Program, tmp_path: Path) -> None:
    plain = "sum0 += *row0++ * *value"
    broken = _with(program, "kernel_matrix.c", plain, f"{plain} * 99999999")
    with pytest.raises(ProcessError, match="program failed with exit code"):
        execute(name, broken, _inputs(program.manifest.input.size, 2), tmp_path)


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("model.h", "ARENA_SIZE {arena}", "ARENA_SIZE {less}"),
        ("kernel_matrix.c", "n + 1 < matrix->outputs ? n + 1 : n", "n + 1"),
    ],
)
def test_an_access_out_of_bounds_is_caught(
    file: str, old: str, new: str, program: Program, tmp_path: Path
) -> None:
    arena = program.manifest.arena_bytes
    old, new = (text.format(arena=arena, less=arena - 16) for text in (old, new))
    with pytest.raises(ProcessError, match="program failed with exit code"):
        broken = _with(program, file, old, new)
        execute("host", broken, _inputs(program.manifest.input.size, 8), tmp_path)
