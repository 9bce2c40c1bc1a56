"""Programs with levels: each has the bits of its own network, and weights are in flash once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgeprune.codegen import HostProgram, Program, generate, generate_levels
from edgeprune.cores import CORES, CoreName
from edgeprune.devices import make_device
from edgeprune.devices.session import NetworkSession
from edgeprune.errors import ModelError
from edgeprune.firmware import build_image
from edgeprune.graph import Graph, read_graph
from edgeprune.target import Memory, Target
from edgeprune.toolchain import Toolchain
from tests.codegen.nested import nested_files, separable
from tests.codegen.reference import Reference
from tests.codegen.sanitizers import MAIN, execute
from tests.codegen.test_mve import _on_m55 as on_m55
from tests.graph.networks import Network

_CORE_NAMES: list[CoreName] = ["host", "cortex-m4", "cortex-m3", "cortex-m0plus", "cortex-m55"]
_SHAPE = (1, 9, 5, 1)
#: A level that is not there changes nothing.
_SET_LEVEL = """\
    edgeprune_model_reset(model);
    if (edgeprune_set_level(model, 1) != 1 || edgeprune_set_level(model, 2) != 1) {
        return 1;
    }
"""


def _graphs(seed: int, widths: list[int]) -> list[Graph]:
    return [read_graph(content) for content in nested_files(seed, _SHAPE, widths, separable)]


def _program(graphs: list[Graph], core: CoreName) -> Program:
    return generate_levels(graphs, labels=(), core=CORES[core])


def _inputs(count: int) -> np.ndarray:
    return np.random.default_rng(5).integers(-128, 128, (count, *_SHAPE), dtype=np.int8)


@pytest.mark.parametrize("core", _CORE_NAMES)
@pytest.mark.parametrize("widths", [[16, 12, 4], [13, 8, 5], [40, 24, 1], [52, 36, 20]], ids=str)
def test_each_level_has_the_bits_of_its_own_program(
    core: CoreName, widths: list[int], zig: Toolchain, tmp_path: Path
) -> None:
    graphs = _graphs(1, widths)
    nested = HostProgram.build(_program(graphs, core), zig, tmp_path)
    inputs = _inputs(4)
    for level, graph in enumerate(graphs):
        alone = HostProgram.build(generate(graph, labels=()), zig, tmp_path)
        np.testing.assert_array_equal(nested.invoke(inputs, level), alone.invoke(inputs))
        for ours, theirs in zip(
            nested.trace(inputs[0], level), alone.trace(inputs[0]), strict=True
        ):
            np.testing.assert_array_equal(ours.reshape(-1), theirs.reshape(-1))


@pytest.mark.parametrize(
    ("core", "widths"), [("host", [31, 6]), ("cortex-m4", [19, 14, 3]), ("cortex-m0plus", [40, 21])]
)
def test_each_level_has_the_bits_of_the_reference(
    core: CoreName, widths: list[int], zig: Toolchain, build_cache: Path
) -> None:
    contents = nested_files(7, _SHAPE, widths, separable)
    graphs = [read_graph(content) for content in contents]
    program = _program(graphs, core)
    host = HostProgram.build(program, zig, build_cache)
    values = _inputs(1)[0]
    for level, content in enumerate(contents):
        reference = Reference(content)
        reference.invoke(values)
        for layer, ours in zip(
            program.manifest.layers_of(level), host.trace(values, level), strict=True
        ):
            if layer.op == "FULLY_CONNECTED":
                break  # the reference rounds it otherwise
            theirs = reference.tensor(layer.tensor)
            np.testing.assert_array_equal(ours.reshape(-1), theirs.reshape(-1), str(layer))


@pytest.mark.parametrize("core", _CORE_NAMES)
def test_a_level_adds_only_the_parameters_of_its_channels(core: CoreName) -> None:
    program = _program(_graphs(2, [32, 24, 8]), core)
    for level in program.manifest.levels[1:]:
        for layer in level.layers:
            if layer.op in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"):
                # bias, multiplier and shift: 9 bytes in plain kernels, 8 in packed ones, which
                # may come in pairs
                assert layer.constant_bytes <= 9 * layer.output.shape[-1] + 8, layer


def test_weights_that_do_not_nest_are_stored_by_level(zig: Toolchain, tmp_path: Path) -> None:
    graphs = [*_graphs(3, [12]), *_graphs(4, [8])]
    program = _program(graphs, "cortex-m4")
    assert program.manifest.levels[1].constant_bytes > graphs[1].weight_bytes
    nested = HostProgram.build(program, zig, tmp_path)
    alone = HostProgram.build(generate(graphs[1], labels=()), zig, tmp_path)
    np.testing.assert_array_equal(nested.invoke(_inputs(2), 1), alone.invoke(_inputs(2)))


def test_one_level_is_a_program_without_levels() -> None:
    graph = _graphs(1, [8])[0]
    program = generate_levels([graph], labels=())
    assert program == generate(graph, labels=())
    assert program.manifest.levels == ()
    assert "level" not in program.files["model.h"]


def test_the_arena_is_that_of_the_largest_level() -> None:
    graphs = _graphs(1, [16, 8])
    program = _program(graphs, "host")
    assert program.manifest.arena_bytes == max(
        level.arena_bytes for level in program.manifest.levels
    )
    assert (
        f"#define EDGEPRUNE_MODEL_ARENA_SIZE {program.manifest.arena_bytes}\n"
        in (program.files["model.h"])
    )


def test_a_level_that_is_not_there_is_refused(zig: Toolchain, tmp_path: Path) -> None:
    host = HostProgram.build(_program(_graphs(1, [8, 4]), "host"), zig, tmp_path)
    with pytest.raises(ModelError, match="no level 2"):
        host.invoke(_inputs(1), 2)


def test_other_layers_are_refused() -> None:
    def shorter(network: Network, width: int) -> None:
        network.softmax(network.reshape(network.conv_2d(0, 1, kernel=(9, 5)), (1, 45)))

    other = read_graph(nested_files(1, _SHAPE, [4], shorter)[0])
    with pytest.raises(ModelError, match="other layers") as caught:
        generate_levels([*_graphs(1, [8]), other], labels=())
    assert caught.value.where == "level 1"


def test_another_output_is_refused() -> None:
    def scores(network: Network, width: int) -> None:
        network.conv_2d(0, width)

    graphs = [read_graph(each) for each in nested_files(1, _SHAPE, [8, 4], scores)]
    with pytest.raises(ModelError, match="its output differs"):
        generate_levels(graphs, labels=())


def _image_session(
    program: Program, core: CoreName, toolchain: Toolchain, folder: Path
) -> NetworkSession:
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
    return make_device(target, image=image).open_network()


@pytest.mark.parametrize("core", ["cortex-m4", "cortex-m0plus", "cortex-m3"])
def test_each_level_on_a_core(
    core: CoreName, cross_compiler: Toolchain, zig: Toolchain, build_cache: Path, tmp_path: Path
) -> None:
    graphs = _graphs(6, [24, 12, 5])
    program = _program(graphs, core)
    inputs = _inputs(3)
    work = []
    with _image_session(program, core, cross_compiler, tmp_path) as session:
        for level in (2, 0, 1):
            session.set_level(level)
            alone = HostProgram.build(generate(graphs[level], labels=()), zig, build_cache)
            outputs = np.stack([session.invoke(each) for each in inputs])
            np.testing.assert_array_equal(
                outputs.reshape(len(inputs), -1), alone.invoke(inputs), f"level {level}"
            )
            profile = session.profile(inputs[0])
            assert {cost.index for cost in profile.inference.layers} == {
                layer.index for layer in program.manifest.layers_of(level)
            }
            traced = session.trace(inputs[0])
            for ours, theirs in zip(traced, alone.trace(inputs[0]), strict=True):
                assert ours == theirs.tobytes()
            work.append((level, profile.inference.work.instructions))
        session.reset()
        session.set_level(1)
        with pytest.raises(ModelError, match="no level 3"):
            session.set_level(3)
    full, middle, small = (count for _, count in sorted(work))
    assert full > 1.5 * middle > 2 * small


@pytest.mark.parametrize("name", ["zig", "host"])
@pytest.mark.parametrize("core", ["host", "cortex-m4", "cortex-m0plus"])
def test_nothing_is_undefined(
    name: str, core: CoreName, zig: Toolchain, build_cache: Path, tmp_path: Path
) -> None:
    graphs = _graphs(8, [14, 9])
    main = MAIN.replace("    while (", f"{_SET_LEVEL}    while (", 1)
    inputs = _inputs(3)
    found = execute(name, _program(graphs, core), inputs, tmp_path, main)
    alone = HostProgram.build(generate(graphs[1], labels=()), zig, build_cache)
    np.testing.assert_array_equal(found.reshape(len(inputs), -1), alone.invoke(inputs))


@pytest.mark.parametrize("toolchain", ["zig", "arm-none-eabi-gcc"])
def test_each_level_on_a_core_with_helium(
    toolchain: str, zig: Toolchain, build_cache: Path, tmp_path: Path
) -> None:
    graphs = _graphs(9, [36, 24, 6])
    inputs = _inputs(3)
    with on_m55(_program(graphs, "cortex-m55"), toolchain, tmp_path) as session:
        for level, graph in enumerate(graphs):
            session.set_level(level)
            alone = HostProgram.build(generate(graph, labels=()), zig, build_cache)
            for values, output in zip(inputs, alone.invoke(inputs), strict=True):
                np.testing.assert_array_equal(session.invoke(values).reshape(-1), output)
