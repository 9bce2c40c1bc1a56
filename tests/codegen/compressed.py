"""What the tests of compressed weights share: networks, programs with one encoding, and cores."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from edgeprune.codegen import HostProgram, Program, generate
from edgeprune.codegen.lowering import Lowered
from edgeprune.codegen.selection import COMPRESSED_KERNELS, Options, Selection, select
from edgeprune.cores import CORES, Core
from edgeprune.devices import NetworkSession, make_device
from edgeprune.devices.qemu_process import PROGRAM
from edgeprune.firmware import build_image
from edgeprune.graph import Operator, read_graph
from edgeprune.target import Memory, Target
from edgeprune.toolchain import Toolchain
from tests.codegen.reference import Reference
from tests.graph.networks import Network

#: int8 weights [outputs, depth] to int8 weights of that shape.
Change = Callable[[np.ndarray], np.ndarray]


def change_weights(network: Network, change: Change) -> None:
    """Change the weights of every pointwise convolution."""
    for operator in network.operators:
        weights = network.tensors[operator.inputs[1]]
        shape = tuple(weights.shape)
        if len(shape) == 4 and shape[1:3] == (1, 1):
            old = np.frombuffer(weights.data, dtype=np.int8).reshape(shape[0], shape[3])
            weights.data = change(old).astype(np.int8).tobytes()


def ties() -> bytes:
    """A network with sparse weights of which every other accumulator lies between two outputs."""
    network = Network(np.random.default_rng(0), (1, 16, 1, 8), scale=1.0, zero_point=0)
    network.conv_2d(0, 8, per_channel=False, zero_point=11)
    change_weights(network, lambda _: 64 * np.eye(8))
    _, weights, bias = (network.tensors[each] for each in network.operators[0].inputs)
    weights.scales = bias.scales = [2.0**-7]
    bias.data = bytes(4 * 8)
    network.tensors[network.outputs[0]].scales = [1.0]
    return network.content()


def zeros(rng: np.random.Generator, share: float) -> Change:
    """Make a share of the weights zero."""
    return lambda rows: np.where(rng.random(rows.shape) < share, 0, rows)


def few_values(count: int = 15) -> Change:
    """At most ``count`` different weights in a row, and zero where there was zero."""
    steps = np.linspace(-127, 127, count).round().astype(np.int64)

    def change(rows: np.ndarray) -> np.ndarray:
        nearest = steps[np.abs(rows[..., None].astype(np.int64) - steps).argmin(axis=-1)]
        return np.where(rows == 0, 0, nearest)

    return change


def offers(content: bytes, core: str) -> list[dict[str, Lowered]]:
    """For every layer of a network, the calls that compressed weights allow, by encoding."""
    return [
        {
            offer.encoding: offer
            for kernel in COMPRESSED_KERNELS
            if (offer := kernel.offer(operator, CORES[core])) is not None
        }
        for operator in read_graph(content).operators
    ]


def program_with(content: bytes, encoding: str, core: str = "cortex-m4") -> Program:
    """A program that stores weights in one encoding wherever it can, whether it pays or not."""

    def forced(operator: Operator, on: Core, options: Options) -> Selection:
        for kernel in COMPRESSED_KERNELS:
            offer = kernel.offer(operator, on)
            if offer is not None and offer.encoding == encoding:
                return Selection(chosen=offer, dense=offer, rivals=(offer,))
        return select(operator, on, Options(encodings=()))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("edgeprune.codegen.levels.select", forced)
        return generate(read_graph(content), labels=(), core=CORES[core])


def encodings(program: Program) -> list[str]:
    """Of every layer."""
    return [layer.encoding for layer in program.manifest.layers]


def some_inputs(program: Program, *, seed: int, count: int) -> np.ndarray:
    """Inputs of extremes, then random ones."""
    size = program.manifest.input.size
    rng = np.random.default_rng(seed)
    extremes = [np.full(size, value, dtype=np.int8) for value in (-128, 127)]
    extremes.append(rng.choice(np.array([-128, 127], dtype=np.int8), size))
    return np.stack([*extremes, *rng.integers(-128, 128, (count, size), dtype=np.int8)])


def assert_same_bits(
    content: bytes, program: Program, compiler: Toolchain, cache: Path, *, seed: int, count: int
) -> None:
    """Every layer computes what LiteRT's reference kernels do."""
    graph = read_graph(content)
    host = HostProgram.build(program, compiler, cache)
    reference = Reference(content)
    for values in some_inputs(program, seed=seed, count=count):
        reference.invoke(values.reshape(graph.input.shape))
        for layer, actual in zip(program.manifest.layers, host.trace(values), strict=True):
            np.testing.assert_array_equal(
                actual, reference.tensor(layer.tensor), f"{layer.encoding}: {layer.name}"
            )


@contextmanager
def on_core(
    program: Program, core: str, compiler: Toolchain, folder: Path
) -> Iterator[NetworkSession]:
    """The program in an image on the emulator, or on QEMU for the core that only it has."""
    is_there = shutil.which(PROGRAM) is not None or "EDGEPRUNE_REQUIRE_COMPILERS" in os.environ
    if CORES[core].mve and not is_there:
        pytest.skip(f"{PROGRAM} is not installed")
    source = folder / "program"
    source.mkdir()
    for file, text in program.files.items():
        (source / file).write_text(text, encoding="utf-8")
    (source / "program.json").write_text(program.manifest.to_json(), encoding="utf-8")
    target = Target(
        name="compressed",
        core=core,
        device="qemu" if CORES[core].mve else "emulator",
        clock_mhz=80.0,
        toolchain=compiler.name,
        memory=Memory(flash_kib=512, ram_kib=256),
    )
    image = build_image(source, target, compiler, folder / "image")
    with make_device(target, image=image).open_network() as session:
        yield session


def assert_estimates(content: bytes, program: Program, session: NetworkSession, core: str) -> None:
    """What layers of compressed weights were estimated to take is within a tenth of the counts."""
    by_layer = offers(content, core)
    counted = session.profile().inference.layers
    for layer, count, allowed in zip(program.manifest.layers, counted, by_layer, strict=True):
        if layer.encoding == "dense":
            continue
        estimate = allowed[layer.encoding].estimate
        assert estimate is not None
        assert estimate.instructions == pytest.approx(count.instructions, rel=0.1), layer.encoding
        assert estimate.flash_bytes == layer.constant_bytes
